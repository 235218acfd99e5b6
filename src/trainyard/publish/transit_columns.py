"""Page of everything that the transit line writes: features and columns, made from schema and contracts."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from trainyard.publish.contracts import ROLES, contract_text
from trainyard.publish.markdown import table
from trainyard.transit.curves import CURVES
from trainyard.transit.features import FEATURES, Feature
from trainyard.transit.planfiles import FILES, TARGETS, TCES
from trainyard.transit.schema import (
    DATA_TBL_COLUMNS,
    FLOAT_SCALARS,
    INT_SCALARS,
    SPLIT_EXAMPLES,
    STRING_SCALARS,
)
from trainyard.transit.select import BALANCE, COUNTS, SELECTION
from trainyard.transit.split import SHARDS_TBL_COLUMNS
from trainyard.yard.tables import TableContract

_INTRO = """\
# Features and columns of the transit line

<!-- Generated: `trainyard transit columns --write`. Change src/trainyard/transit/schema.py and the contracts. -->

How they are made: [transit.md](transit.md). A TD is a transit duration. Times are days, BTJD (BJD_TDB - 2457000) for
TESS and BKJD (BJD_TDB - 2454833) for Kepler and K2. Durations of transits are hours.
"""
_FEATURES = """\
## Records: `raw_shard_*`, `{split}_shard_*`, `norm_{split}_shard_*` (TFRecord)

Each record is a `tf.train.Example`. Shapes are those of the default settings. A `tensor` is one bytes value that
`tf.io.parse_tensor(value, tf.float32)` reads, indexed `[row, col]`; a scalar is a list of one value. A missing number
is NaN (float32) or -1 (int64), a missing text is empty.

In: `all` examples, those with `images`, or only normalized ones (`norm`). Where an archive lacks some pixel files,
examples with and without images stand side by side in one shard; `has_images` tells.
"""
_DATA_TBL = """\
## `raw/data_tbl_*.csv`

One row per planned TCE of the shard, also where it has no example: `n_transit_examples` and `n_not_transit_examples`
are the windows cut for it, `tfrec_fn` is the raw shard. The rest are the scalars of the features above. In this order:
"""
_SHARDS_TBL = """\
## `split/aux_tbls/shards_tbl_*.csv`

One row per example of the split shards, for people; programs read `examples_*.parquet` beside it, which has the same
columns and more. In this order:
"""
_PARQUET: tuple[tuple[str, str, TableContract], ...] = (
    (
        "`split/aux_tbls/examples_*.parquet`",
        "One row per example: the table that selections and audits read. `raw/examples_*.parquet` is the same less the"
        " last three columns.",
        SPLIT_EXAMPLES,
    ),
    ("`plan/targets.parquet`, `plan/targets.csv`", "One row per planned star.", TARGETS),
    ("`plan/tces.parquet`", "One row per planned TCE.", TCES),
    ("`plan/files.parquet`", "One row per file of a planned star.", FILES),
    ("`raw/curves_*.parquet`", "A few light curves of each shard with their masks, for the report.", CURVES),
    ("`select/{name}/selection.parquet`", "One row per example, kept or not.", SELECTION),
    ("`select/{name}/counts.csv`", "Number of examples by fate.", COUNTS),
    ("`select/{name}/balance.csv`", "What a `quota` wanted and found; no rows without one.", BALANCE),
)


def transit_columns() -> str:
    """The page as Markdown."""
    parts = [_INTRO, ROLES, _FEATURES, _feature_table(FEATURES)]
    parts += [contract_text(*entry, meanings=_meanings()) for entry in _PARQUET]
    parts += [_DATA_TBL, _listed(DATA_TBL_COLUMNS), _SHARDS_TBL, _listed(SHARDS_TBL_COLUMNS)]
    return "\n".join(parts)


def _feature_table(features: Iterable[Feature]) -> str:
    rows = [[f"`{f.name}`", f.kind, f.shape, f.unit, f.role.value, f.where, f.description] for f in features]
    return table(["feature", "kind", "shape", "unit", "role", "in", "meaning"], rows)


def _listed(names: Iterable[str]) -> str:
    return textwrap.fill(", ".join(f"`{name}`" for name in names) + ".", 120, break_on_hyphens=False) + "\n"


def _meanings() -> dict[str, str]:
    """Meanings of columns that several tables have."""
    return {
        **{column.name: column.description for column in SPLIT_EXAMPLES.columns},
        **INT_SCALARS,
        **STRING_SCALARS,
        **{name: text for name, (_, text) in FLOAT_SCALARS.items()},
    }
