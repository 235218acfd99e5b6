"""Scores that another program made: tables by gene and base, or tracks along the genome.

A score store of another run needs nothing of this: its files are taken by their keys (`scorebatch`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from trainyard.splice.artifacts import column_names, find_artifacts, stream
from trainyard.splice.backends import ModelCard, make_card
from trainyard.splice.calls import Gene
from trainyard.splice.settings import SpliceModelSettings
from trainyard.splice.tracks import Track, find_tracks, read_tracks
from trainyard.yard.errors import ConfigError, InputError
from trainyard.yard.files import sha256_file

Scores = NDArray[np.float32]

_GENE_ID = "gene_id"
_GENOMIC = ("exon_pos", "genomic_position")
"""Columns of places on the contig, 1-based."""
_RELATIVE = ("t", "position")
"""Columns of places in the gene, 0-based, transcript direction; taken where none of the others is there."""
_DONOR = ("donor_score", "donor_prob", "donor")
_ACCEPTOR = ("acceptor_score", "acceptor_prob", "acceptor")


class ScoreImport(Protocol):
    """Where existing scores come from."""

    @property
    def card(self) -> ModelCard:
        """What a dataset says of the model that made them."""
        ...

    def read(self, genes: Sequence[Gene]) -> Iterator[tuple[str, Scores]]:
        """Give gene_id and scores `(2, length)` of those genes that are there with every base."""
        ...


def open_import(settings: SpliceModelSettings) -> ScoreImport:
    """Open what `model.scores` names: a folder of tracks, or a table (a file, or a folder of them).

    Raises:
        ConfigError: `model.scores` is not set.
        InputError: There is nothing that can be read.
    """
    source = settings.scores
    if source is None:
        raise ConfigError("model.backend is 'scores-import': set model.scores")
    if source.is_dir() and (tracks := find_tracks(source)):
        return TrackImport(tracks, settings)
    return TableImport(find_artifacts([source]), settings)


class TrackImport:
    """Scores along the genome; a base without a value scores 0."""

    def __init__(self, tracks: Sequence[Track], settings: SpliceModelSettings) -> None:
        self._tracks = tracks
        self.card = _card([track.path for track in tracks], settings)

    def read(self, genes: Sequence[Gene]) -> Iterator[tuple[str, Scores]]:
        """Scores of all genes; see `ScoreImport`."""
        scores = read_tracks(self._tracks, genes)
        for gene in genes:
            yield gene.gene_id, scores.pop(gene.gene_id)


class TableImport:
    """Scores by gene and base, in Parquet, CSV or TSV: our own export, or the published `nucleotide_scores.tsv`."""

    def __init__(self, files: Sequence[Path], settings: SpliceModelSettings) -> None:
        """Look at the columns.

        Raises:
            InputError: A file lacks one that is needed.
        """
        self._files = files
        self._columns = [_columns(path) for path in files]
        self.card = _card(files, settings)

    def read(self, genes: Sequence[Gene]) -> Iterator[tuple[str, Scores]]:
        """Scores of the genes that are complete; see `ScoreImport`.

        Raises:
            InputError: A file cannot be read.
        """
        if not genes:
            return
        by_id = {gene.gene_id: gene for gene in genes}
        # Two rows of scores and one that counts how often a base was given.
        found = {gene.gene_id: np.zeros((3, gene.length), np.float32) for gene in genes}
        for path, columns in zip(self._files, self._columns, strict=True):
            for table in _rows(path, columns, list(by_id)):
                _collect(table, columns, by_id, found)
        for gene_id, (donor, acceptor, times) in found.items():
            if (times == 1).all():
                yield gene_id, np.stack([donor, acceptor])


def _collect(table: pa.Table, columns: Sequence[str], genes: dict[str, Gene], found: dict[str, Scores]) -> None:
    ids = table[_GENE_ID].combine_chunks().dictionary_encode()
    codes = ids.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    place, donor, acceptor = (table[name].to_numpy() for name in columns[1:])
    for i, gene_id in enumerate(ids.dictionary.to_pylist()):
        if gene_id not in genes:
            continue
        gene, on = genes[gene_id], codes == i
        t = gene.t(place[on]).astype(np.int64) if columns[1] in _GENOMIC else place[on]
        inside = (t >= 0) & (t < gene.length)
        scores = found[gene_id]
        scores[0, t[inside]], scores[1, t[inside]] = donor[on][inside], acceptor[on][inside]
        np.add.at(scores[2], t[inside], 1)


def _rows(path: Path, columns: Sequence[str], gene_ids: Sequence[str]) -> Iterator[pa.Table]:
    """Rows of a file in bounded pieces; of Parquet only row groups that can hold one of the genes are read."""
    # Brings pandas along, a third of a second that every job of scoring would spend.
    import pyarrow.dataset as ds

    types = dict(zip(columns, (pa.string(), pa.int64(), pa.float32(), pa.float32()), strict=True))
    if path.suffix != ".parquet":
        yield from stream(path, types)
        return
    schema = pa.schema(list(types.items()))
    wanted = ds.field(_GENE_ID).isin(gene_ids)
    try:
        for batch in ds.dataset(path).to_batches(columns=list(columns), filter=wanted):
            yield pa.table(batch).cast(schema)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise InputError(f"{path}: cannot be read ({error}); make the file again") from error


def _columns(path: Path) -> tuple[str, str, str, str]:
    """Names of the columns for gene, place, donor and acceptor."""
    there = column_names(path)
    choices = ((_GENE_ID,), (*_GENOMIC, *_RELATIVE), _DONOR, _ACCEPTOR)
    chosen = [next((name for name in names if name in there), None) for names in choices]
    missing = [" or ".join(names) for names, name in zip(choices, chosen, strict=True) if name is None]
    if missing:
        raise InputError(f"{path}: scores of single bases need a column {', and '.join(missing)}")
    gene_id, place, donor, acceptor = (str(name) for name in chosen)
    return gene_id, place, donor, acceptor


def _card(files: Sequence[Path], settings: SpliceModelSettings) -> ModelCard:
    members = ((path.name, sha256_file(path)) for path in files)
    return make_card(settings, context=settings.context or 0, members=members)
