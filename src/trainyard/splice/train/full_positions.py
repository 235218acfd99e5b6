"""A check of weighted figures: every position of a few test genes is scored, and nothing needs a weight.

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
from trainyard.splice.train.delta import BASE, FIXED_THRESHOLD, META, PREDICTORS, positives
from trainyard.splice.train.feed import base_scores, site_types
from trainyard.splice.train.learners import Model
from trainyard.splice.train.metrics import average_precision, counts_at, curve
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.identity import keyed_hash

TOLERANCE = 1e-5
"""How far a prediction made of a row may be from the one made of its position."""


@dataclass(frozen=True)
class Sources:
    """What rows were made of."""

    genes: GeneSource
    table: GeneTable

    @classmethod
    def open(cls, reference: Path, scores: Path) -> Sources:
        """Open the reference and the score store of a build."""
        found = Reference(reference)
        return cls(StoredGenes(found, ScoreStore(scores)), GeneTable(found.genes))


def full_positions(
    model: Model,
    data: SplitRows,
    columns: Sequence[str],
    sources: Sources,
    predicted: Mapping[str, Floats],
    settings: SpliceTrainSettings,
) -> dict[str, Any]:
    """Compare figures of the rows with those of all positions, for test genes drawn by hash.

    Args:
        model: The meta-model.
        data: The dataset.
        columns: Columns that the model knows.
        sources: What the rows were made of.
        predicted: What the model says of the test rows, by site type, shape `(n,)` each.
        settings: How many genes, target and seed.

    Returns:
        Genes, their rows and positions, and by type and predictor the figures estimated from the rows and those of all
        positions: weighted AUPRC, and precision, recall and F1 at 0.5.

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
        whole = _score(model, columns, scores, sources.table, labels, features, settings)
        mine = rows.by_gene[number]
        _check_rows(rows, mine, whole, {name: predicted[name][mine] for name in types})
        taken.append(whole)
    if not taken:
        return {"genes": [], "rows": 0, "positions": 0, "figures": {}}
    chosen = np.isin(rows.gene, [rows.genes.index(gene.name) for gene in taken])
    sampled = rows.take(chosen)
    base = base_scores(sampled.donor, sampled.acceptor, settings.target)
    figures = {}
    for name in types:
        meta = {BASE: base[name], META: predicted[name][chosen]}
        truth = positives(sampled.label, name)
        every = np.concatenate([positives(gene.label, name) for gene in taken])
        figures[name] = {
            predictor: {
                "estimated": _figures(meta[predictor], truth, sampled.weight),
                "all_positions": _figures(
                    np.concatenate([gene.by[predictor][name] for gene in taken]),
                    every,
                    np.ones(len(every), np.float32),
                ),
            }
            for predictor in PREDICTORS
        }
    return {
        "genes": [gene.name for gene in taken],
        "rows": len(sampled),
        "positions": int(sum(len(gene.label) for gene in taken)),
        "figures": figures,
    }


@dataclass(frozen=True)
class _Gene:
    """All positions of a gene that may become rows; arrays have shape `(n,)`."""

    name: str
    t: NDArray[np.int32]
    label: NDArray[np.int8]
    by: Mapping[str, Mapping[str, Floats]]
    """Scores by predictor and site type."""


def _score(
    model: Model,
    columns: Sequence[str],
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
    base = base_scores(positions.donor[t], positions.acceptor[t], settings.target)
    types = site_types(settings.target)
    by_type = {kind: np.ascontiguousarray(meta[:, i]) for i, kind in enumerate(types, start=1)}
    return _Gene(name, t, positions.calls.label[t], {BASE: base, META: by_type})


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
        if (off := float(np.abs(whole.by[META][name][place] - said).max(initial=0.0))) > TOLERANCE:
            raise IntegrityError(
                f"gene {whole.name}: the {name} predictions of its rows differ by up to {off:.3g} from those of the"
                " features made anew; features or scores have changed since: build the dataset again"
            )


def _figures(score: Floats, positive: NDArray[np.bool_], weight: Floats) -> dict[str, float]:
    found = curve(score, positive, weight)
    counts = counts_at(found, FIXED_THRESHOLD)
    outcomes = {name: getattr(counts, name) for name in ("tp", "fp", "fn", "precision", "recall", "f1")}
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
