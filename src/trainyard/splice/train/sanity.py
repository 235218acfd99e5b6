"""What the scores rest on: sanity probes, which can fail a build, and ablations."""

from __future__ import annotations

import logging
from pathlib import Path

from trainyard.splice.gate import reported
from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.train.ablation import ABLATIONS, ablations
from trainyard.splice.train.data import open_rows
from trainyard.splice.train.fit import checked_pruning, choose_columns, dataset_id
from trainyard.splice.train.probes import Probe, check_probes, run_probes

_log = logging.getLogger(__name__)


def probe(
    folder: Path, splits: Path, pruned: Path, out: Path, settings: SpliceTrainSettings, *, allow_partial: bool = False
) -> list[Probe]:
    """Run probes and ablations, and write `probes.json` and `ablations.csv` (contract ABLATIONS) into `out`.

    What the settings switch off leaves a file that says so, or one without rows.

    Args:
        folder: `master/`, or the folder of the line.
        splits: Contract SPLIT.
        pruned: `pruned_features.json`.
        out: Folder of the results; made if missing.
        settings: The training block of the configuration.
        allow_partial: Read what is finished of an incomplete dataset.

    Raises:
        LeakageError: A probe is out of its band; `probes_refused.json` is written instead.
        InputError, IntegrityError: See `fit.train`.
    """
    data = open_rows(folder, splits, allow_partial=allow_partial)
    pruning = checked_pruning(pruned, data)
    columns, _ = choose_columns(data, pruning, settings)
    cache = out / ".external_memory_probes"
    found = run_probes(data, columns, settings) if settings.probes else []
    report = {"enabled": settings.probes, "dataset_id": dataset_id(data), "probes": [one.to_dict() for one in found]}
    for one in found:
        _log.info("%s: AUROC %.4f over %d deals, allowed 0.5 +- %.3f", one.name, one.auroc, one.deals, one.band)
    with reported(out / "probes.json", report):
        check_probes(found)
    table = ablations(data, pruning, settings, cache=cache) if settings.ablations else ABLATIONS.schema.empty_table()
    ABLATIONS.write_csv(out / "ablations.csv", table)
    return found
