"""Scores by place on the genome: folders of bedGraph or BigWig tracks, one file per site type and strand.

Files are told apart by their names: `donor_plus.bedgraph`, `scores_acceptor_minus.bw`. A base without a value scores 0.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from trainyard.splice.calls import Gene
from trainyard.splice.schema import SITE_TYPES
from trainyard.yard.errors import EnvironmentFault, InputError
from trainyard.yard.files import faults_named

Values = NDArray[np.float32]

STRANDS = {"+": "plus", "-": "minus"}
"""How the name of a track says its strand."""
_NAME = re.compile(r".*?(donor|acceptor).*?(plus|minus).*?\.(bedgraph|bg|bw|bigwig)(?:\.gz)?")
_BIG_WIG = ("bw", "bigwig")
_HEADERS = ("track", "browser", "#")
_COLUMNS = {"chrom": pa.string(), "start": pa.int64(), "end": pa.int64(), "value": pa.float32()}


@dataclass(frozen=True)
class Track:
    """A file of scores of one site type on one strand."""

    path: Path
    site_type: str
    strand: str
    big_wig: bool


def find_tracks(folder: Path) -> list[Track]:
    """Tracks of a folder, by name; none if no name looks like one.

    Raises:
        InputError: The folder has some tracks but not one of each type and strand.
    """
    strands = {name: strand for strand, name in STRANDS.items()}
    tracks = [
        Track(path, match[1], strands[match[2]], match[3] in _BIG_WIG)
        for path in sorted(folder.iterdir())
        if (match := _NAME.fullmatch(path.name.lower())) and path.is_file()
    ]
    wanted = sorted((site_type, strand) for site_type in SITE_TYPES for strand in STRANDS)
    if tracks and sorted((track.site_type, track.strand) for track in tracks) != wanted:
        names = ", ".join(f"{site_type}_{STRANDS[strand]}" for site_type, strand in wanted)
        found = ", ".join(track.path.name for track in tracks)
        raise InputError(f"{folder}: expected one track each of {names}, found {found}")
    return tracks


def read_tracks(tracks: Sequence[Track], genes: Sequence[Gene]) -> dict[str, Values]:
    """Scores of genes, each file read once.

    Args:
        tracks: One of each site type and strand.
        genes: Genes wanted.

    Returns:
        Per gene_id an array `(2, length)`: donor and acceptor probability, transcript direction.

    Raises:
        InputError: A file cannot be read.
        EnvironmentFault: pyBigWig is needed and missing.
    """
    scores = {gene.gene_id: np.zeros((len(SITE_TYPES), gene.length), np.float32) for gene in genes}
    for track in tracks:
        row = SITE_TYPES.index(track.site_type)
        on_strand = [gene for gene in genes if gene.strand == track.strand]
        if track.big_wig:
            _read_big_wig(track.path, on_strand, {gene.gene_id: scores[gene.gene_id][row] for gene in on_strand})
            continue
        for chrom, start, end, value in _intervals(track.path):
            for gene in (gene for gene in on_strand if gene.chrom == chrom):
                _fill(scores[gene.gene_id][row], gene, start, end, value)
    return scores


def open_big_wig(path: Path, mode: str) -> Any:
    """Open a BigWig file with pyBigWig, which is not part of Trainyard's requirements.

    Raises:
        EnvironmentFault: pyBigWig is not installed.
        InputError: The file cannot be opened as BigWig.
    """
    try:
        import pyBigWig
    except ImportError:
        raise EnvironmentFault(
            f"{path}: BigWig needs the package pyBigWig, which is not installed: pip install pyBigWig, or use bedGraph"
        ) from None
    try:
        return pyBigWig.open(str(path), mode)
    except RuntimeError as error:
        raise InputError(f"{path}: cannot be opened as BigWig ({error})") from error


def _fill(scores: Values, gene: Gene, start: NDArray[np.int64], end: NDArray[np.int64], value: Values) -> None:
    """Put intervals of the gene's contig, 0-based and half-open, where they belong in the gene."""
    inside = (start < gene.end) & (end >= gene.start) & (end > start)
    first = np.maximum(start[inside], gene.start - 1)
    length = np.minimum(end[inside], gene.end) - first
    # Every base of every interval: its first base, repeated, plus 0, 1, ... within the interval.
    within = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length)
    scores[gene.t(np.repeat(first, length) + within + 1)] = np.repeat(value[inside], length)


def _intervals(path: Path) -> Iterator[tuple[str, NDArray[np.int64], NDArray[np.int64], Values]]:
    """Contig, starts, ends and values of a bedGraph, in pieces of bounded size."""
    for table in _rows(path):
        chroms = table["chrom"].combine_chunks().dictionary_encode()
        codes = chroms.indices.to_numpy()
        start, end, value = (table[name].to_numpy() for name in ("start", "end", "value"))
        for i, chrom in enumerate(chroms.dictionary.to_pylist()):
            on = codes == i
            yield chrom, start[on], end[on], value[on]


def _rows(path: Path) -> Iterator[pa.Table]:
    unreadable: list[str] = []

    def judge(row: Any) -> str:
        if not row.text.startswith(_HEADERS):
            unreadable.append(row.text)
        return "skip"

    compression = "gzip" if path.suffix.lower() == ".gz" else None
    try:
        with (
            faults_named(path),
            pa.input_stream(str(path), compression=compression) as stream,
            pa_csv.open_csv(
                stream,
                read_options=pa_csv.ReadOptions(column_names=list(_COLUMNS), use_threads=False),
                parse_options=pa_csv.ParseOptions(delimiter="\t", invalid_row_handler=judge),
                convert_options=pa_csv.ConvertOptions(column_types=_COLUMNS),
            ) as reader,
        ):
            for batch in reader:
                yield pa.table(batch)
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: cannot be read as bedGraph ({error}); make the file again") from error
    if unreadable:
        raise InputError(
            f"{path}: {len(unreadable)} lines do not have {len(_COLUMNS)} columns by tabs, such as"
            f" {unreadable[0][:60]!r}"
        )


def _read_big_wig(path: Path, genes: Sequence[Gene], scores: dict[str, Values]) -> None:
    with open_big_wig(path, "r") as file:
        contigs = file.chroms() or {}
        for gene in genes:
            if contigs.get(gene.chrom, 0) >= gene.end:
                values = np.nan_to_num(np.asarray(file.values(gene.chrom, gene.start - 1, gene.end), np.float32))
                scores[gene.gene_id][:] = values if gene.strand == "+" else values[::-1]
