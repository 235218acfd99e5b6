"""Gene by gene: what the meta-model adds to the base model, on the same rows, with the same code.

Base and meta scores go through the same functions, so equal scores give a difference of exactly 0. Genes of one split
group share sequence and are no independent evidence, so intervals come from resampling groups, and tests pair their
means.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.train.data import Floats, Rows
from trainyard.splice.train.feed import SITE
from trainyard.splice.train.metrics import Counts, average_precision, counts_at, curve, is_nan, ratio
from trainyard.yard.identity import generator
from trainyard.yard.tables import Column, Role, TableContract

OWN = "base_scores"
"""Value of `baseline`: the base scores of the same rows."""
BASE, META = "base", "meta"
PREDICTORS = (BASE, META)
FIXED_THRESHOLD = 0.5
LABEL_OF = {"donor": 1, "acceptor": 2}
_F64 = pa.float64()
_KEY, _NEVER = Role.KEY, Role.NEVER_A_FEATURE


def positives(label: NDArray[np.int8], site_type: str) -> NDArray[np.bool_]:
    """Which labels are true sites of a type, shape `(n,)`."""
    found: NDArray[np.bool_] = label > 0 if site_type == SITE else label == LABEL_OF[site_type]
    return found


def _outcomes(suffix: str, told: str) -> list[Column]:
    f1 = [
        Column(f"f1_{name}{suffix}", _F64, _NEVER, "", f"F1 of the {name} scores {told}; empty: no site")
        for name in PREDICTORS
    ]
    found = [*f1, Column(f"delta_f1{suffix}", _F64, _NEVER, "", f"f1_meta{suffix} - f1_base{suffix}")]
    for name in PREDICTORS:
        found += [
            Column(f"{kind}_{name}{suffix}", _F64, _NEVER, "positions", f"{kind.upper()} of the {name} scores {told}")
            for kind in ("tp", "fp", "fn")
        ]
    return found


_FIXED, _BEST = _outcomes("", "at 0.5"), _outcomes("_best_f1", "at the threshold with the best F1 on val")
DELTA = TableContract(
    "splice_delta_vs_baseline",
    (
        Column("gene_id", pa.string(), _KEY, "", "gene", nullable=False),
        Column("splice_type", pa.string(), _KEY, "", "donor, acceptor, or site for a binary model", nullable=False),
        Column("n_sites", pa.int32(), _NEVER, "", "true sites of the type among the rows", nullable=False),
        *_FIXED[:3],
        Column("auprc_base", _F64, _NEVER, "", "weighted average precision of the base scores; empty: no site"),
        Column("auprc_meta", _F64, _NEVER, "", "weighted average precision of the meta scores; empty: no site"),
        Column("delta_auprc", _F64, _NEVER, "", "auprc_meta - auprc_base"),
        *_FIXED[3:],
        *_BEST,
        Column("split_group", pa.string(), Role.METADATA, "", "genes that intervals draw together", nullable=False),
        Column(
            "baseline",
            pa.string(),
            Role.METADATA,
            "",
            f"{OWN}, or the outside table of f1_base",
            nullable=False,
        ),
    ),
)
"""`delta_vs_baseline.csv`: one row per test gene and site type. Outcomes are weighted: positions of the whole gene."""
_DELTA_OF = {
    "delta_f1": ("f1_meta", "f1_base"),
    "delta_f1_best_f1": ("f1_meta_best_f1", "f1_base_best_f1"),
    "delta_auprc": ("auprc_meta", "auprc_base"),
}
DELTAS = tuple(_DELTA_OF)


@dataclass(frozen=True)
class Thresholds:
    """From which score on a type is called, by predictor."""

    best_f1: Mapping[str, Mapping[str, float]]
    """By site type and predictor; chosen on val."""

    def of(self, site_type: str, predictor: str, rule: str) -> float:
        """Threshold under the rule `fixed` or `best_f1`."""
        return FIXED_THRESHOLD if rule == "fixed" else self.best_f1[site_type][predictor]


RULES = ("fixed", "best_f1")
_SUFFIX = {"fixed": "", "best_f1": "_best_f1"}


def gene_deltas(rows: Rows, scores: Mapping[str, Mapping[str, Floats]], thresholds: Thresholds) -> list[dict[str, Any]]:
    """Rows of DELTA, by gene and type.

    Args:
        rows: The rows of a split.
        scores: By site type and predictor, shape `(n,)` each.
        thresholds: Of the calls.
    """
    truth = {site_type: positives(rows.label, site_type) for site_type in scores}
    found = []
    for gene, group, mine in zip(rows.genes, rows.groups, rows.by_gene, strict=True):
        weight = rows.weight[mine]
        for site_type, by_predictor in scores.items():
            positive = truth[site_type][mine]
            row: dict[str, Any] = {"gene_id": gene, "splice_type": site_type, "n_sites": int(positive.sum())}
            for name in PREDICTORS:
                ranked = curve(by_predictor[name][mine], positive, weight)
                row[f"auprc_{name}"] = average_precision(ranked)
                for rule, suffix in _SUFFIX.items():
                    counts = counts_at(ranked, thresholds.of(site_type, name, rule))
                    row |= _outcome_columns(counts, name, suffix, judged=row["n_sites"] > 0)
            found.append(_with_deltas(row) | {"split_group": group, "baseline": OWN})
    return found


def against_outside(
    found: Sequence[Mapping[str, Any]], outside: Mapping[tuple[str, str], Counts], *, name: str
) -> list[dict[str, Any]]:
    """The same rows with an outside table in the place of the base scores, at its own threshold.

    Such a table counts every position of a gene, and perhaps other genes' sites or an annotation of another day: the
    rows are not the same. It has no scores, so there is no AUPRC. Genes that it lacks have no F1 of the base.

    Args:
        found: What `gene_deltas` gave.
        outside: Outcomes by gene and site type.
        name: What to call it.
    """
    rows = []
    for told in found:
        row = {**told, "baseline": name, "auprc_base": float("nan")}
        counts = outside.get((row["gene_id"], row["splice_type"]), Counts(*[float("nan")] * 4))
        for suffix in _SUFFIX.values():
            row |= _outcome_columns(counts, BASE, suffix, judged=row["n_sites"] > 0)
        rows.append(_with_deltas(row))
    return rows


def delta_table(found: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows as a table of the contract DELTA; what is undefined is null."""
    return DELTA.table([{name: None if is_nan(value) else value for name, value in row.items()} for row in found])


def summarise(found: Sequence[Mapping[str, Any]], *, resamples: int, seed: int) -> dict[str, Any]:
    """Mean differences with 95 % intervals and paired tests, by site type and for all types together.

    A gene counts once for each of its types. Genes without a true site of a type have no F1, and no difference.

    Args:
        found: Rows of DELTA.
        resamples: Draws of the bootstrap.
        seed: Of the bootstrap.
    """
    types = sorted({row["splice_type"] for row in found})
    parts = {site_type: [row for row in found if row["splice_type"] == site_type] for site_type in types}
    if len(types) > 1:
        parts["all"] = list(found)
    return {
        part: {
            name: _summary([(row["split_group"], row[name]) for row in rows if not is_nan(row[name])], resamples, seed)
            for name in DELTAS
        }
        for part, rows in parts.items()
    }


def cluster_bootstrap(
    sums: NDArray[np.float64], counts: NDArray[Any], *, resamples: int, seed: int
) -> tuple[float, float]:
    """95 % percentile interval of a mean over genes, drawing whole groups with replacement.

    Args:
        sums: Sum of the differences of the genes of each group, shape `(groups,)`.
        counts: Number of these genes, shape `(groups,)`.
        resamples: Number of draws.
        seed: Of the draws.
    """
    draw = generator("splice delta bootstrap", seed)
    means = np.empty(resamples)
    for i in range(resamples):
        times = np.bincount(draw.integers(0, sums.size, sums.size), minlength=sums.size)
        means[i] = (times * sums).sum() / (times * counts).sum()
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _summary(pairs: Sequence[tuple[str, float]], resamples: int, seed: int) -> dict[str, Any]:
    if not pairs:
        return {"genes": 0, "groups": 0}
    names, group = np.unique([name for name, _ in pairs], return_inverse=True)
    values = np.array([value for _, value in pairs])
    sums = np.bincount(group, weights=values).astype(np.float64)
    counts = np.bincount(group)
    low, high = cluster_bootstrap(sums, counts, resamples=resamples, seed=seed)
    means = sums / counts
    return {
        "genes": len(values),
        "groups": len(names),
        "mean": float(values.mean()),
        "ci95": [low, high],
        "median": float(np.median(values)),
        "better": int((values > 0).sum()),
        "worse": int((values < 0).sum()),
        "equal": int((values == 0).sum()),
        **paired_tests(means),
    }


def paired_tests(means: NDArray[np.float64]) -> dict[str, float]:
    """Two-sided p-values that groups are as often better as worse: sign test, and Wilcoxon's signed-rank test.

    Groups without a difference say nothing and are left out; without any other group both are 1.

    Args:
        means: Mean difference of each group, shape `(groups,)`.
    """
    from scipy.stats import binomtest, wilcoxon

    told = means[means != 0]
    if not told.size:
        return {"sign_test_p": 1.0, "wilcoxon_p": 1.0}
    better = int((told > 0).sum())
    return {
        "sign_test_p": float(binomtest(better, told.size).pvalue),
        "wilcoxon_p": float(wilcoxon(told).pvalue),
    }


def _outcome_columns(counts: Counts, name: str, suffix: str, *, judged: bool) -> dict[str, float]:
    outcomes = {f"{kind}_{name}{suffix}": getattr(counts, kind) for kind in ("tp", "fp", "fn")}
    total = 2 * counts.tp + counts.fp + counts.fn
    return outcomes | {f"f1_{name}{suffix}": ratio(2 * counts.tp, total) if judged else float("nan")}


def _with_deltas(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with its differences, meta less base."""
    return {**row, **{name: row[meta] - row[base] for name, (meta, base) in _DELTA_OF.items()}}
