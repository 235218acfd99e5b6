"""A check of weighted figures: every position of some test genes is scored, and nothing needs a weight.

Of the easy negatives, which are nearly all positions, a build samples few. Weights make up for it on average, but one
drawn row may stand for thousands: where a base model gives small scores to many positions, a meta-model that was
trained on such rows can call hundreds of sites that no row of test shows. Only all positions tell.

The features of all positions are made anew from reference and score store, so it is also seen that the rows of the
dataset say what their sources say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.calls import GeneScores
from trainyard.splice.dataset_schema import dataset
from trainyard.splice.gene_source import StoredGenes
from trainyard.splice.positions import GeneSource, GeneUnavailableError, gene_positions
from trainyard.splice.reference import Reference
from trainyard.splice.rows import row_tables
from trainyard.splice.sampling import Sample
from trainyard.splice.scorestore import ScoreStore
from trainyard.splice.settings import SpliceFeatureSettings, SpliceLabelSettings, SpliceTrainSettings
from trainyard.splice.split import TEST
from trainyard.splice.structure import GeneTable
from trainyard.splice.train.data import Floats, Rows, SplitRows
from trainyard.splice.train.delta import (
    BASE,
    FIXED_THRESHOLD,
    META,
    PREDICTORS,
    Thresholds,
    gene_deltas,
    positives,
    summarise,
)
from trainyard.splice.train.feed import base_scores, site_types
from trainyard.splice.train.metrics import average_precision, counts_at, curve
from trainyard.splice.train.model import Model
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.identity import keyed_hash
from trainyard.yard.tables import Column, Role, TableContract

TOLERANCE = 1e-5
"""How far a prediction made of a row may be from the one made of its position."""
DISAGREEMENT = 0.05
"""From which difference on an AUPRC that rows estimate is said not to be that of all positions."""


_NEVER, _F64 = Role.NEVER_A_FEATURE, pa.float64()
_OUTCOMES = ("tp", "fp", "fn", "precision", "recall", "f1")
FULL_TABLE = TableContract(
    "splice_full_positions",
    (
        Column("splice_type", pa.string(), Role.KEY, "", "donor, acceptor or site", nullable=False),
        Column("predictor", pa.string(), Role.KEY, "", "base or meta", nullable=False),
        Column("basis", pa.string(), Role.KEY, "", "estimated: weighted rows; all_positions", nullable=False),
        Column("positions", _F64, _NEVER, "positions", "positions, or what the rows stand for"),
        Column("auprc", _F64, _NEVER, "", "average precision"),
        *(Column(name, _F64, _NEVER, "", f"{name.upper()} at 0.5") for name in _OUTCOMES),
    ),
)
"""`full_positions.csv`: figures of the same test genes, from their rows and from all of their positions."""


@dataclass(frozen=True)
class Sources:
    """What rows were made of."""

    genes: GeneSource
    table: GeneTable

    @classmethod
    def open(cls, reference: Path, scores: Path, *, batches: int | None = None) -> Sources:
        """Open the reference and the score store of a build.

        Args:
            reference: Folder of the reference.
            scores: Folder of the score store.
            batches: Its batches that count, since those of an earlier plan may stand beside them; None for all.
        """
        found = Reference(reference)
        return cls(StoredGenes(found, ScoreStore.of_batches(scores, batches)), GeneTable(found.genes))


def full_positions(
    model: Model,
    data: SplitRows,
    columns: Sequence[str],
    sources: Sources,
    predicted: Mapping[str, Floats],
    thresholds: Thresholds,
    settings: SpliceTrainSettings,
) -> dict[str, Any]:
    """Compare figures of the rows with those of all positions, for test genes drawn by hash.

    Args:
        model: The meta-model.
        data: The dataset.
        columns: Columns that the model knows.
        sources: What the rows were made of.
        predicted: What the model says of the test rows, by site type, shape `(n,)` each.
        thresholds: Of the calls.
        settings: How many genes, target, resamples and seed.

    Returns:
        Genes, their rows and positions; by type and predictor the figures estimated from the rows and those of all
        positions: weighted AUPRC, and precision, recall and F1 at 0.5; the mean differences by gene over all positions
        (see `delta.summarise`); and remarks where an AUPRC is not what rows say.

    Raises:
        InputError: The dataset does not say which settings it was built with.
        IntegrityError: A position gives another prediction than its row, or rows stand for more or fewer positions than
            there are.
    """
    labels, features = _built_with(data)
    rows = data.rows(TEST)
    types = site_types(settings.target)
    order = sorted(range(len(rows.genes)), key=lambda i: keyed_hash("splice full", settings.seed, rows.genes[i]))
    taken: list[_Gene] = []
    for number in order:
        if len(taken) == settings.full_check_genes:
            break
        try:
            scores = sources.genes.gene(rows.genes[number])
        except GeneUnavailableError:
            continue
        gene = _score(model, columns, number, scores, sources.table, labels, features, settings)
        mine = rows.by_gene[number]
        _check_rows(rows, mine, gene, {name: predicted[name][mine] for name in types})
        taken.append(gene)
    if not taken:
        return {"genes": [], "rows": 0, "positions": 0, "figures": {}, "delta": {}, "remarks": []}
    chosen = np.isin(rows.gene, [gene.number for gene in taken])
    sampled, every = rows.take(chosen), _all_positions(rows, taken)
    estimated = {
        name: {BASE: base, META: predicted[name][chosen]}
        for name, base in base_scores(sampled.donor, sampled.acceptor, settings.target).items()
    }
    whole = {
        name: {BASE: base, META: np.concatenate([gene.meta[name] for gene in taken])}
        for name, base in base_scores(every.donor, every.acceptor, settings.target).items()
    }
    figures = {
        name: {
            predictor: {
                "estimated": _figures(estimated[name][predictor], positives(sampled.label, name), sampled.weight),
                "all_positions": _figures(whole[name][predictor], positives(every.label, name), every.weight),
            }
            for predictor in PREDICTORS
        }
        for name in types
    }
    delta = summarise(gene_deltas(every, whole, thresholds), resamples=settings.bootstrap, seed=settings.seed)
    return {
        "genes": list(every.genes),
        "rows": len(sampled),
        "positions": len(every),
        "figures": figures,
        "delta": delta,
        "remarks": remarks(figures),
    }


def remarks(figures: Mapping[str, Mapping[str, Mapping[str, Mapping[str, float]]]]) -> list[str]:
    """Sentences on figures that rows estimate badly.

    Args:
        figures: By site type and predictor, `estimated` and `all_positions`.
    """
    areas = [
        (name, predictor, found["all_positions"]["auprc"], found["estimated"]["auprc"])
        for name, by in figures.items()
        for predictor, found in by.items()
    ]
    told = [
        f"the {name} AUPRC of {predictor} is {true:.3f}, not {estimated:.3f}"
        for name, predictor, true, estimated in areas
        if abs(true - estimated) > DISAGREEMENT
    ]
    if not told:
        return []
    return [
        f"ROWS DO NOT STAND FOR ALL POSITIONS: over every position of the genes that were checked, {'; '.join(told)}."
        " Too few easy negatives were drawn for what base and meta-model say of them: build with a smaller"
        " splice.sampling.hard_prob (0.01) and a larger easy_ratio (20), and rely on full_positions meanwhile."
    ]


def full_rows(check: Mapping[str, Any] | None) -> Iterator[dict[str, Any]]:
    """Rows of FULL_TABLE from what `full_positions` gave; none where nothing was checked."""
    for name, by in (check or {"figures": {}})["figures"].items():
        for predictor, found in by.items():
            for basis, figures in found.items():
                yield {"splice_type": name, "predictor": predictor, "basis": basis, **figures}


@dataclass(frozen=True)
class _Gene:
    """All positions of a gene that may become rows; arrays have shape `(n,)`."""

    name: str
    number: int
    """Its number among the test genes."""
    t: NDArray[np.int32]
    label: NDArray[np.int8]
    donor: Floats
    """Of the base model, as `acceptor`."""
    acceptor: Floats
    meta: Mapping[str, Floats]
    """Scores of the meta-model by site type."""


def _all_positions(rows: Rows, taken: Sequence[_Gene]) -> Rows:
    """All positions of some genes as rows that stand for themselves."""
    sizes = [gene.t.size for gene in taken]
    joined = {
        name: np.concatenate([getattr(gene, own) for gene in taken])
        for name, own in (("position", "t"), ("label", "label"), ("donor", "donor"), ("acceptor", "acceptor"))
    }
    return Rows(
        tuple(gene.name for gene in taken),
        tuple(rows.groups[gene.number] for gene in taken),
        gene=np.repeat(np.arange(len(taken), dtype=np.int32), sizes),
        weight=np.ones(sum(sizes), np.float32),
        **joined,
    )


def _score(
    model: Model,
    columns: Sequence[str],
    number: int,
    scores: GeneScores,
    table: GeneTable,
    labels: SpliceLabelSettings,
    features: SpliceFeatureSettings,
    settings: SpliceTrainSettings,
) -> _Gene:
    """Predict every position of a gene, a bounded number of them at a time."""
    name = scores.gene.gene_id
    positions = gene_positions(scores, labels)
    t = np.flatnonzero(positions.eligible).astype(np.int32)
    every = Sample(t, np.zeros(t.size, np.int8), np.ones(t.size, np.float32), 0)
    said = [np.empty((0, len(site_types(settings.target)) + 1), np.float32)]
    said += [
        model.predict(block)
        for piece in row_tables(positions, every, table.row(name), features)
        for block in _blocks(piece, columns)
    ]
    meta = np.concatenate(said)
    return _Gene(
        name,
        number,
        t,
        positions.calls.label[t],
        positions.donor[t],
        positions.acceptor[t],
        {kind: np.ascontiguousarray(meta[:, i]) for i, kind in enumerate(site_types(settings.target), start=1)},
    )


def _blocks(table: pa.Table, columns: Sequence[str]) -> Iterator[Floats]:
    if table.num_rows:
        yield np.stack([table[name].to_numpy().astype(np.float32) for name in columns], axis=1)


def _check_rows(rows: Rows, mine: NDArray[np.intp], whole: _Gene, predicted: Mapping[str, Floats]) -> None:
    """The rows of a gene agree with its positions, one by one and in number."""
    place = np.searchsorted(whole.t, rows.position[mine])
    there = (place < whole.t.size) & (whole.t[np.minimum(place, whole.t.size - 1)] == rows.position[mine])
    if not there.all() or not np.array_equal(whole.label[place], rows.label[mine]):
        raise IntegrityError(
            f"gene {whole.name}: its rows are not positions of the gene as reference and scores have it; they belong to"
            " another build: build the dataset again"
        )
    total = float(rows.weight[mine].sum(dtype=np.float64))
    if total > whole.t.size:
        raise IntegrityError(f"gene {whole.name}: its rows stand for {total:g} positions, it has {whole.t.size}")
    for name, said in predicted.items():
        if (off := float(np.abs(whole.meta[name][place] - said).max(initial=0.0))) > TOLERANCE:
            raise IntegrityError(
                f"gene {whole.name}: the {name} predictions of its rows differ by up to {off:.3g} from those of the"
                " features made anew; features or scores have changed since: build the dataset again"
            )


def _figures(score: Floats, positive: NDArray[np.bool_], weight: Floats) -> dict[str, float]:
    found = curve(score, positive, weight)
    counts = counts_at(found, FIXED_THRESHOLD)
    outcomes = {name: getattr(counts, name) for name in _OUTCOMES}
    return {"positions": found.positives + found.negatives, "auprc": average_precision(found), **outcomes}


def _built_with(data: SplitRows) -> tuple[SpliceLabelSettings, SpliceFeatureSettings]:
    params = (data.master.manifest or {}).get("params") or {}
    try:
        labels = SpliceLabelSettings.model_validate(params["labels"])
        features = SpliceFeatureSettings.model_validate(params["features"])
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{data.master.folder}: its manifest does not say how labels and features were made ({error}); leave"
            " splice.train.full_check_genes at 0"
        ) from error
    if dataset(features).digest != data.master.contract.digest:
        raise InputError(
            f"{data.master.folder}: its columns are not those of its manifest; leave splice.train.full_check_genes at 0"
        )
    return labels, features
