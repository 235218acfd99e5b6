"""What a transit configuration asks for and only a late step would find impossible."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from trainyard.transit.expressions import compile_expression
from trainyard.transit.schema import SPLIT_EXAMPLES
from trainyard.transit.settings import TransitSettings
from trainyard.transit.tces import DISPOSITIONS, QUIET
from trainyard.yard.errors import ConfigError

SELECTION_NAME = r"[A-Za-z0-9_]+"


def problems(settings: TransitSettings) -> list[str]:
    """Mistakes that are no matter of types and bounds, one line each.

    Found are conditions that do not fit the example table, dispositions that do not exist, and model inputs or metrics
    that are not allowed. Files are not looked at: a dry run does that.
    """
    return [
        *_odd_names(settings),
        *_unknown_dispositions(settings),
        *_broken_conditions(settings),
        *_broken_training(settings),
    ]


def _odd_names(settings: TransitSettings) -> Iterator[str]:
    for name in settings.select:
        if not re.fullmatch(SELECTION_NAME, name, re.ASCII):
            yield f"transit.select: {name!r} names files, so it may hold letters, digits and _ only"


def _unknown_dispositions(settings: TransitSettings) -> Iterator[str]:
    plan, masks = settings.plan, settings.build.masks
    named = {
        "plan.keep_tce_disps": plan.keep_tce_disps,
        "plan.keep_target_disps": plan.keep_target_disps,
        "plan.tce_example_disps": plan.tce_example_disps,
        "build.masks.positive_disps": masks.positive_disps,
        "build.masks.negative_disps": masks.negative_disps,
        "build.masks.true_it_disps": masks.true_it_disps,
        "inputs.disposition_map": list(settings.inputs.disposition_map.values()),
    } | {f"select.{name}.max_per_disposition": list(s.max_per_disposition) for name, s in settings.select.items()}
    for key, words in named.items():
        for word in words:
            if word not in (*DISPOSITIONS, QUIET):
                yield f"transit.{key}: unknown disposition {word!r}; known: {' '.join((*DISPOSITIONS, QUIET))}"
    labelled = {*masks.positive_disps, *masks.negative_disps}
    if undecided := [word for word in plan.tce_example_disps if word not in labelled]:
        yield (
            f"transit.plan.tce_example_disps: {' '.join(undecided)} would become examples without a label; add to"
            " transit.build.masks.positive_disps (label 1) or negative_disps (label 0)"
        )
    if both := sorted({*masks.positive_disps} & {*masks.negative_disps}):
        yield f"transit.build.masks: {' '.join(both)} stand in both positive_disps and negative_disps"


def _broken_conditions(settings: TransitSettings) -> Iterator[str]:
    for name, selection in settings.select.items():
        for key, text in (("where", selection.where), ("drop", selection.drop)):
            if text:
                source = f"transit.select.{name}.{key}"
                yield from _raised(partial(compile_expression, text, SPLIT_EXAMPLES.schema, source=source))


def _broken_training(settings: TransitSettings) -> Iterator[str]:
    from trainyard.transit.train.inputs import split_features
    from trainyard.transit.train.stopping import choose_monitor

    train = settings.train
    if train.enabled:
        yield from _raised(partial(split_features, train.features))
        both = np.array([0, 1], np.int8)
        yield from _raised(partial(choose_monitor, train.early_stopping_metric, both, patience=1))


def _raised(check: Callable[[], object]) -> Iterator[str]:
    try:
        check()
    except ConfigError as error:
        yield str(error)
