"""Scores for other programs: a Parquet table by gene and base, or bedGraph and BigWig tracks along the genome.

The table is exact. Tracks have one file per site type and strand, values rounded and small ones left out, since most
bases score next to nothing; where genes of one strand overlap, a base has the higher of its scores.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from trainyard.splice.calls import Gene
from trainyard.splice.reference import Reference
from trainyard.splice.schema import SITE_TYPES
from trainyard.splice.scorestore import Scores, ScoreStore
from trainyard.splice.structure import gene_of
from trainyard.splice.tracks import STRANDS, open_big_wig
from trainyard.yard.files import atomic_open, atomic_path, sha256_file, write_json
from trainyard.yard.tables import Column, Role, TableContract

Format = Literal["parquet", "bedgraph", "bigwig"]

SCORES = TableContract(
    "splice_scores",
    (
        Column("gene_id", pa.string(), Role.KEY, description="gene, without version", nullable=False),
        Column("t", pa.int32(), Role.KEY, "nt", "place in the gene, 0-based, transcript direction", False),
        Column("exon_pos", pa.int64(), Role.METADATA, "nt", "place on the contig, 1-based", False),
        Column("chrom", pa.string(), Role.METADATA, description="contig of the genome", nullable=False),
        Column("strand", pa.string(), Role.METADATA, description="+ or -", nullable=False),
        Column("donor_score", pa.float32(), Role.FEATURE, description="probability of a donor", nullable=False),
        Column("acceptor_score", pa.float32(), Role.FEATURE, description="probability of an acceptor", nullable=False),
    ),
)
"""Every base of every scored gene; the probability of neither is what the two leave of 1."""

MANIFEST = "{format}.json"
FLOOR = 0.001
"""Scores below this are left out of tracks."""
_DIGITS = 4
_SUFFIX = {"bedgraph": "bedgraph", "bigwig": "bw"}


def export_scores(
    reference: Reference, store: ScoreStore, out: Path, *, format: Format, floor: float = FLOOR
) -> list[Path]:
    """Write the scores of all genes of a store and, last, `<format>.json`, which vouches for the files.

    Args:
        reference: Where the genes lie.
        store: Their scores; genes that were not scored are passed over.
        out: Folder.
        format: `parquet` gives `scores.parquet`, the others `<site type>_<plus|minus>.<bedgraph|bw>`.
        floor: Least score in tracks.

    Returns:
        The files.

    Raises:
        IntegrityError: Scores are missing or broken.
        EnvironmentFault: pyBigWig is needed and missing.
    """
    genes = _genes(reference, store)
    if format == "parquet":
        files = [_write_table(genes, store, out / "scores.parquet")]
    else:
        contigs = dict(sorted(reference.genome.contigs.items(), key=lambda contig: contig[0].encode()))
        files = [
            path
            for strand in STRANDS
            for path in _write_tracks(
                [gene for gene in genes if gene.strand == strand], strand, contigs, store, out, format, floor
            )
        ]
    told: dict[str, object] = {
        "format": format,
        "reference_id": reference.reference_id,
        "genes": len(genes),
        "bases": sum(gene.length for gene in genes),
        "files": [
            {"file": path.name, "bytes": path.stat().st_size, "sha256": sha256_file(path)} for path in sorted(files)
        ],
    }
    if format != "parquet":
        told["floor"] = floor
    write_json(out / MANIFEST.format(format=format), told)
    return files


def _genes(reference: Reference, store: ScoreStore) -> list[Gene]:
    """Scored genes by contig and place; contigs in byte order, as programs that read tracks expect."""
    scored = (gene_id for gene_id, entry in store.entries.items() if entry.key is not None)
    genes = [gene_of(reference.gene(gene_id)) for gene_id in scored]
    return sorted(genes, key=lambda gene: (gene.chrom.encode(), gene.start, gene.gene_id))


def _write_table(genes: Sequence[Gene], store: ScoreStore, path: Path) -> Path:
    with SCORES.writer(path) as writer:
        for gene in genes:
            donor, acceptor = store.get(gene.gene_id)
            t = np.arange(gene.length, dtype=np.int32)
            columns = {
                "gene_id": pa.repeat(gene.gene_id, gene.length),
                "t": t,
                "exon_pos": gene.exon_pos(t),
                "chrom": pa.repeat(gene.chrom, gene.length),
                "strand": pa.repeat(gene.strand, gene.length),
                "donor_score": donor,
                "acceptor_score": acceptor,
            }
            writer.write_table(pa.table(columns, schema=SCORES.schema))
    return path


def _write_tracks(
    genes: Sequence[Gene],
    strand: str,
    contigs: Mapping[str, int],
    store: ScoreStore,
    out: Path,
    format: Format,
    floor: float,
) -> list[Path]:
    """Both tracks of a strand, genes being read once."""
    paths = [out / f"{site_type}_{STRANDS[strand]}.{_SUFFIX[format]}" for site_type in SITE_TYPES]
    open_track = _bed_graph if format == "bedgraph" else _big_wig
    with ExitStack() as stack:
        tracks = [stack.enter_context(open_track(path, contigs)) for path in paths]
        for stretch in _stretches(genes, store):
            for track, values in zip(tracks, stretch.scores, strict=True):
                track(stretch.chrom, *intervals(values, start=stretch.start, floor=floor))
    return paths


@dataclass(frozen=True)
class _Stretch:
    """Bases of a contig that genes cover without a gap; `start` is 0-based, scores run along the genome."""

    chrom: str
    start: int
    scores: Scores


def _stretches(genes: Sequence[Gene], store: ScoreStore) -> Iterator[_Stretch]:
    """Join overlapping genes of one strand, given by contig and place."""
    held: _Stretch | None = None
    for gene in genes:
        scores = np.stack(store.get(gene.gene_id))
        new = _Stretch(gene.chrom, gene.start - 1, scores if gene.strand == "+" else scores[:, ::-1])
        if held is not None and held.chrom == new.chrom and new.start < held.start + held.scores.shape[1]:
            held = _joined(held, new)
            continue
        if held is not None:
            yield held
        held = new
    if held is not None:
        yield held


def _joined(first: _Stretch, second: _Stretch) -> _Stretch:
    begin = second.start - first.start
    end = begin + second.scores.shape[1]
    scores = np.pad(first.scores, ((0, 0), (0, max(0, end - first.scores.shape[1]))))
    scores[:, begin:end] = np.maximum(scores[:, begin:end], second.scores)
    return _Stretch(first.chrom, first.start, scores)


Intervals = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def intervals(values: NDArray[np.float32], *, start: int, floor: float) -> Intervals:
    """Turn scores into intervals of equal value.

    Args:
        values: Shape `(n,)`, one per base along the genome.
        start: Place of the first, 0-based.
        floor: Rounded scores below this are left out.

    Returns:
        Starts (0-based), ends (exclusive) and values of four decimal places, in order, without overlap.
    """
    rounded = values.astype(np.float64).round(_DIGITS)
    kept = np.flatnonzero(rounded >= floor)
    fresh = np.ones(kept.size + 1, np.bool_)
    fresh[1:-1] = (np.diff(kept) > 1) | (np.diff(rounded[kept]) != 0)
    return start + kept[fresh[:-1]], start + kept[fresh[1:]] + 1, rounded[kept[fresh[:-1]]]


class _Track(Protocol):
    """Appends intervals of one contig."""

    def __call__(
        self, chrom: str, start: NDArray[np.int64], end: NDArray[np.int64], value: NDArray[np.float64]
    ) -> None: ...


@contextmanager
def _bed_graph(path: Path, contigs: Mapping[str, int]) -> Iterator[_Track]:
    options = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with atomic_open(path) as handle:

        def append(chrom: str, start: NDArray[np.int64], end: NDArray[np.int64], value: NDArray[np.float64]) -> None:
            table = pa.table({"chrom": pa.repeat(chrom, len(start)), "start": start, "end": end, "value": value})
            pa_csv.write_csv(table, handle, options)

        yield append


@contextmanager
def _big_wig(path: Path, contigs: Mapping[str, int]) -> Iterator[_Track]:
    with atomic_path(path) as part, open_big_wig(part, "w") as file:
        file.addHeader(list(contigs.items()))

        def append(chrom: str, start: NDArray[np.int64], end: NDArray[np.int64], value: NDArray[np.float64]) -> None:
            if len(start):
                file.addEntries([chrom] * len(start), start.tolist(), ends=end.tolist(), values=value.tolist())

        yield append
