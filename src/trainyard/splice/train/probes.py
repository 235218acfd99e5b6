"""Sanity probes: what must not be learnable is not learned. A build in which it is fails.

Shuffled labels: labels are dealt out anew within each gene, and a small model is trained on them. No feature can know
them, so within genes the model must rank rows that it has not seen by chance. It does better where genes of train come
back in other splits, be it under other names: labels are dealt by what a gene is, not by what it is called, so a copy
gets those of its original, which the model has learned. A few sites say little, so labels are dealt out again and
again, until chance can move the mean by no more than a quarter of the tolerance.

Missingness: a small model sees only which values are missing. If that tells sites from other rows, values are missing
because of the label.

Both learn from train and are judged on val and test together, by the mean over classes of the AUROC of a class against
the rest, over pairs of rows of one gene: genes differ in how many sites they have. They ask about the data, not about a
model, so they always use shallow XGBoost trees, on all sites of some thousand and a few other rows for each.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trainyard.splice.settings import SpliceTrainSettings
from trainyard.splice.split import TEST, TRAIN, VAL
from trainyard.splice.train.data import Bools, Floats, Rows, SplitRows
from trainyard.splice.train.feed import CLASSES, make_feed
from trainyard.splice.train.metrics import is_nan, within_group_auroc
from trainyard.yard.errors import LeakageError
from trainyard.yard.identity import keyed_hash, unit_interval

TOLERANCE = 0.02
"""How far an AUROC may be from 0.5."""
SIGMAS = 4.0
"""Chance alone may move it by so many standard errors, where there are too few sites for the tolerance."""
SITES = 5_000
"""Sites of train, and of val and test, that a probe looks at: those of genes drawn by hash."""
OTHERS = 4
"""Other rows of a gene for each of its sites, drawn by hash."""
MAX_DEALS = 200
"""Most times that labels are dealt out."""
ROUNDS = 10
PARAMETERS = {"max_depth": 3, "learning_rate": 0.3, "colsample_bytree": 0.3}
_NAMED = 5

Classes = NDArray[np.int8]
Hashes = NDArray[np.uint64]


@dataclass(frozen=True)
class Probe:
    """What a probe found."""

    name: str
    auroc: float
    """NaN where a class is missing: not judged."""
    error: float
    """Standard error that chance gives it."""
    deals: int
    """Models that it is the mean of."""
    sites: int
    """Sites among the rows that were scored."""
    columns: tuple[str, ...]
    """Columns that the models used most, or whose missing values betray the label."""
    alike: tuple[str, ...] = ()
    """Some genes that were scored and have the very sites and scores of one that was learned from."""

    @property
    def band(self) -> float:
        """How far from 0.5 it may be."""
        return TOLERANCE if is_nan(self.error) else max(TOLERANCE, SIGMAS * self.error)

    @property
    def passed(self) -> bool:
        """Whether the AUROC is within the band."""
        return is_nan(self.auroc) or abs(self.auroc - 0.5) <= self.band

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        told = {"auroc": self.auroc, "standard_error": self.error, "band": self.band}
        numbers = {name: None if is_nan(value) else value for name, value in told.items()}
        counts = {"deals": self.deals, "sites": self.sites}
        named = {"columns": list(self.columns), "alike": list(self.alike)}
        return {"name": self.name, **numbers, **counts, **named, "passed": self.passed}


def run_probes(data: SplitRows, columns: Sequence[str], settings: SpliceTrainSettings) -> list[Probe]:
    """Run both probes.

    Args:
        data: The dataset.
        columns: Features that the meta-model sees.
        settings: Target, seed and threads.
    """
    learn, score = (_sample(data, splits, columns, settings) for splits in ((TRAIN,), (VAL, TEST)))
    return [shuffled_labels(learn, score, settings), missingness(learn, score, settings)]


def check_probes(probes: Sequence[Probe]) -> None:
    """End a build that knows what it must not.

    Raises:
        LeakageError: A probe is out of its band; the message names columns.
    """
    failed = [probe for probe in probes if not probe.passed]
    if failed:
        told = "; ".join(
            f"{probe.name}: AUROC {probe.auroc:.4f}, allowed 0.5 +- {probe.band:.3f}, columns"
            f" {', '.join(probe.columns) or 'none by itself'}"
            + (f", the same gene twice: {', '.join(probe.alike)}" if probe.alike else "")
            for probe in failed
        )
        raise LeakageError(
            f"sanity probes of the training found what must not be there ({told}); leave these columns out, or look for"
            " rows that are in train and in another split: genes that are alike go together by splice.split.group_table"
        )


@dataclass(frozen=True)
class Sample:
    """Rows that a probe looks at; arrays have `n` rows."""

    columns: tuple[str, ...]
    features: Floats
    """Shape `(n, columns)`."""
    target: Classes
    """Class of each row."""
    place: Hashes
    """What each row is known by, whatever its gene is called: see `row_places`."""
    names: tuple[str, ...]
    """Genes."""
    keys: Hashes
    """What each of them is known by: see `gene_keys`."""
    gene: NDArray[np.int32]
    """Number of each row's gene in `names`."""
    classes: int

    def dealt(self, seed: int, deal: int) -> Classes:
        """Classes dealt out anew within each gene, whatever it is called and whichever others there are."""
        found = np.empty_like(self.target)
        draw = _mixed(self.place + np.uint64(keyed_hash("splice probes shuffled", seed, deal)))
        found[np.lexsort((draw, self.gene))] = self.target[np.lexsort((-self.target, self.gene))]
        return found

    def alike(self, other: Sample) -> tuple[str, ...]:
        """The first few genes of the other that are genes of this one, as `name there (name here)`."""
        mine = {int(self.keys[number]): self.names[number] for number in np.unique(self.gene)[::-1]}
        both = ((other.names[number], mine.get(int(other.keys[number]))) for number in np.unique(other.gene))
        return tuple(f"{theirs} ({own})" for theirs, own in both if own is not None)[:_NAMED]


def shuffled_labels(learn: Sample, score: Sample, settings: SpliceTrainSettings) -> Probe:
    """Deal out labels, learn them, and see whether rows that were not learned from are ranked by more than chance.

    Args:
        learn: Rows to learn from.
        score: Rows to rank.
        settings: Seed.
    """
    from trainyard.splice.train.boosting import Repeated

    name, sites = "shuffled_labels", int((score.target > 0).sum())
    one = macro_auroc(np.zeros((len(score.target), score.classes), np.float32), score.target, score.gene)[1]
    if is_nan(one) or not _learnable(learn):
        return Probe(name, float("nan"), float("nan"), 0, sites, ())
    deals = min(MAX_DEALS, math.ceil((one / (TOLERANCE / SIGMAS)) ** 2))
    trees = Repeated(learn.features, learn.columns, learn.classes, rounds=ROUNDS, parameters=PARAMETERS)
    areas, gains = np.empty(deals), np.zeros(len(learn.columns))
    for deal in range(deals):
        model = trees.fit(learn.dealt(settings.seed, deal), seed=settings.seed + deal)
        said = model.predict(score.features)
        areas[deal], _ = macro_auroc(said, score.dealt(settings.seed, deal), score.gene)
        gains += model.gains()
    error, used = one / math.sqrt(deals), _largest(gains, learn.columns)
    return Probe(name, float(areas.mean()), error, deals, sites, used, learn.alike(score))


def missingness(learn: Sample, score: Sample, settings: SpliceTrainSettings) -> Probe:
    """Learn labels from which values are missing, and see whether that tells anything of other rows.

    Args:
        learn: Rows to learn from.
        score: Rows to rank.
        settings: Seed.
    """
    from trainyard.splice.train.boosting import Repeated

    name, sites = "missingness_only", int((score.target > 0).sum())
    absent, seen = (np.isnan(sample.features).astype(np.float32) for sample in (learn, score))
    error = macro_auroc(np.zeros((len(score.target), score.classes), np.float32), score.target, score.gene)[1]
    if is_nan(error) or not _learnable(learn):
        return Probe(name, float("nan"), float("nan"), 0, sites, ())
    if not absent.any() and not seen.any():
        # Without a missing value there is nothing to learn from, and every row has the same score.
        return Probe(name, 0.5, error, 0, sites, ())
    trees = Repeated(
        absent, learn.columns, learn.classes, rounds=ROUNDS, parameters=PARAMETERS | {"colsample_bytree": 1}
    )
    said = trees.fit(learn.target, seed=settings.seed).predict(seen)
    area, _ = macro_auroc(said, score.target, score.gene)
    # Of two values, the area is half plus half the difference of the two shares.
    hit = score.target > 0
    apart = np.abs(seen[hit].mean(axis=0) - seen[~hit].mean(axis=0)) / 2
    band = max(TOLERANCE, SIGMAS * error)
    return Probe(name, area, error, 1, sites, _largest(np.where(apart > band, apart, 0), learn.columns))


def macro_auroc(said: Floats, target: Classes, gene: NDArray[np.int32]) -> tuple[float, float]:
    """Mean over classes of the AUROC of a class against the rest, over pairs of rows of one gene, and its error.

    Of two classes only the second counts: the first is its mirror image. Classes are taken to be wrong together, which
    makes the error too large rather than too small.

    Args:
        said: Probability of each class, shape `(n, classes)`.
        target: Class of each row, shape `(n,)`.
        gene: Number of each row's gene, shape `(n,)`.

    Returns:
        Area and its standard error by chance; NaN where no gene has a class and others.
    """
    first = 1 if said.shape[1] == 2 else 0
    found = [
        within_group_auroc(np.ascontiguousarray(said[:, code]), target == code, gene)
        for code in range(first, said.shape[1])
    ]
    told = np.array([pair for pair in found if not is_nan(pair[0])])
    if not told.size:
        return float("nan"), float("nan")
    return float(told[:, 0].mean()), float(told[:, 1].mean())


def gene_keys(rows: Rows) -> Hashes:
    """What each gene is known by, whatever it is called: a hash of where its sites are and how they are scored.

    Sites are never sampled away, other rows are, so a copy of a gene has its key whichever rows were drawn of it. Of a
    gene without sites, of which probes see nothing, all rows count.

    Args:
        rows: Rows of a split.

    Returns:
        Shape `(genes,)`.
    """
    keys = np.empty(len(rows.genes), np.uint64)
    for number, mine in enumerate(rows.by_gene):
        sites = mine[rows.label[mine] > 0]
        told = sites if sites.size else mine
        told = told[np.argsort(rows.position[told], kind="stable")]
        content = hashlib.sha256()
        for values in (rows.position, rows.label, rows.donor, rows.acceptor):
            content.update(values[told].tobytes())
        keys[number] = int.from_bytes(content.digest()[:8], "little")
    return keys


def row_places(rows: Rows, keys: Hashes) -> Hashes:
    """What each row is known by, shape `(n,)`: a hash of its gene's key and its position, no two of a gene alike."""
    return _mixed(keys[rows.gene] + rows.position.astype(np.uint64))


def chosen_rows(rows: Rows, seed: int, keys: Hashes) -> Bools:
    """All sites of genes drawn by hash, and a few others of each of these genes, shape `(n,)`.

    Of a gene and its copy the same are drawn.

    Args:
        rows: Rows of a split.
        seed: Of the draws.
        keys: Of its genes; see `gene_keys`.
    """
    keep = np.zeros(len(rows), np.bool_)
    share = min(1.0, SITES / max(1, int((rows.label > 0).sum())))
    draws = _mixed(row_places(rows, keys) + np.uint64(keyed_hash("splice probes", seed)))
    for key, mine in zip(keys.tolist(), rows.by_gene, strict=True):
        if unit_interval("splice probes gene", seed, key) < share:
            sites, others = mine[rows.label[mine] > 0], mine[rows.label[mine] == 0]
            keep[sites] = True
            keep[others[np.argsort(draws[others], kind="stable")[: OTHERS * sites.size]]] = True
    return keep


def _sample(data: SplitRows, splits: Sequence[str], columns: Sequence[str], settings: SpliceTrainSettings) -> Sample:
    """Rows of some splits, the genes of which are none of one another's."""
    features, target, gene, place, keys = [], [], [], [], []
    names: list[str] = []
    for split in splits:
        rows = data.rows(split)
        keys.append(gene_keys(rows))
        keep = chosen_rows(rows, settings.seed, keys[-1])
        feed = make_feed(data, split, columns, settings.target, keep=keep)
        features.append(feed.matrix())
        target.append(feed.target)
        place.append(row_places(rows, keys[-1])[keep])
        gene.append((rows.gene[keep] + len(names)).astype(np.int32))
        names.extend(rows.genes)
    return Sample(
        tuple(columns),
        np.concatenate(features),
        np.concatenate(target),
        np.concatenate(place),
        tuple(names),
        np.concatenate(keys),
        np.concatenate(gene),
        len(CLASSES[settings.target]),
    )


def _mixed(numbers: Hashes) -> Hashes:
    """Numbers scattered over all 64 bits, no two to the same: the finisher of SplitMix64 (Steele et al. 2014)."""
    found = (numbers ^ (numbers >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return found ^ (found >> np.uint64(31))


def _learnable(sample: Sample) -> bool:
    """Whether every class is there."""
    return bool(np.bincount(sample.target, minlength=sample.classes).all())


def _largest(values: NDArray[np.float64], columns: Sequence[str]) -> tuple[str, ...]:
    return tuple(columns[i] for i in np.argsort(-values, kind="stable")[:_NAMED] if values[i] > 0)
