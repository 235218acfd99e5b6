"""Which features the meta-model uses: gain while it was grown, and what is lost when a feature is permuted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.split import TEST
from trainyard.splice.train.data import Floats, Rows, SplitRows
from trainyard.splice.train.delta import positives
from trainyard.splice.train.feed import make_feed, site_types
from trainyard.splice.train.metrics import average_precision, curve
from trainyard.splice.train.model import Model
from trainyard.yard.identity import generator
from trainyard.yard.tables import Column, Role, TableContract

SAMPLE_ROWS = 20_000
"""Test rows, drawn by hash, that permutation looks at."""
PERMUTED_COLUMNS = 40
"""Columns permuted one by one: those of the highest gain. Families are permuted as a whole."""
FAMILY = "(family)"
"""Stands in `family`'s place of a name for all columns of a family together."""

IMPORTANCE = TableContract(
    "splice_importance",
    (
        Column("name", pa.string(), Role.KEY, "", "feature, or (family) for all of its family", nullable=False),
        Column("family", pa.string(), Role.METADATA, "", "family of features", nullable=False),
        Column("gain", pa.float64(), Role.METADATA, "", "share of the total gain, or of the coefficients; empty: none"),
        Column(
            "auprc_drop",
            pa.float64(),
            Role.METADATA,
            "",
            "mean over site types of what the weighted AUPRC loses when the values are permuted; empty: not permuted",
        ),
    ),
)
"""`feature_importance_all.csv`, families first, then features by gain."""


def importance_table(model: Model, data: SplitRows, columns: Sequence[str], settings: SpliceTrainSettings) -> pa.Table:
    """Measure importance on a sample of the test rows; nothing is chosen by it.

    Args:
        model: The meta-model.
        data: The dataset.
        columns: Columns that the model knows, in its order.
        settings: Target and seed.
    """
    families = {column.name: column.family for column in data.master.features}
    gains = model.gains()
    order = np.arange(len(columns)) if gains is None else np.argsort(-gains, kind="stable")
    total = 0.0 if gains is None else float(gains.sum())
    keep = data.rows(TEST).sample(SAMPLE_ROWS, "splice importance", settings.seed)
    feed = make_feed(data, TEST, columns, settings.target, keep=keep)
    sample = _Sample(model, feed.matrix(), data.rows(TEST).take(keep), site_types(settings.target), settings.seed)
    rows = []
    for family in dict.fromkeys(families.get(name, "") for name in columns):
        places = [i for i, name in enumerate(columns) if families.get(name, "") == family]
        share = float(gains[places].sum()) / total if gains is not None and total else None
        rows.append({"name": FAMILY, "family": family, "gain": share, "auprc_drop": sample.drop(places)})
    for rank, i in enumerate(order.tolist()):
        rows.append(
            {
                "name": columns[i],
                "family": families.get(columns[i], ""),
                "gain": float(gains[i]) / total if gains is not None and total else None,
                "auprc_drop": sample.drop([i]) if rank < PERMUTED_COLUMNS else None,
            }
        )
    return IMPORTANCE.table(rows)


class _Sample:
    """Rows whose columns are permuted in turn."""

    def __init__(self, model: Model, features: Floats, rows: Rows, types: Sequence[str], seed: int) -> None:
        self._model = model
        self._features = features
        self._rows = rows
        self._truth = {name: positives(rows.label, name) for name in types}
        # One permutation for all columns, so that a family is moved as a whole.
        self._order: NDArray[np.int64] = generator("splice permutation", seed).permutation(len(rows))
        self._full = self._auprc()

    def drop(self, places: Sequence[int]) -> float | None:
        """What the AUPRC loses when some columns come from other rows; None without a true site."""
        own = self._features[:, places].copy()
        self._features[:, places] = own[self._order]
        lost = self._full - self._auprc()
        self._features[:, places] = own
        return None if np.isnan(lost) else lost

    def _auprc(self) -> float:
        said = self._model.predict(self._features)
        areas = [
            average_precision(curve(np.ascontiguousarray(said[:, i]), truth, self._rows.weight))
            for i, truth in enumerate(self._truth.values(), start=1)
        ]
        defined = [area for area in areas if not np.isnan(area)]
        return float(np.mean(defined)) if defined else float("nan")
