"""Read an annotation, GTF or GFF3, plain or gzip, block by block into Arrow tables.

What belongs to what (exon to transcript to gene) is worked out in `lineage`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
from numpy.typing import NDArray

from trainyard.splice import dialects
from trainyard.splice.dialects import Dialect, Style, attribute
from trainyard.splice.reasons import Reason
from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named
from trainyard.yard.ledger import Ledger

_BLOCK = 16 << 20
_COLUMNS = ("contig", "source", "feature", "start", "end", "score", "strand", "phase", "attributes")
_WANTED = ("contig", "feature", "start", "end", "strand", "attributes")
_BINARY = pa.binary()
_KEYS = pa.dictionary(pa.int32(), _BINARY)
EXON_SCHEMA = pa.schema(
    {"contig": _KEYS, "start": pa.int64(), "end": pa.int64(), "strand": pa.int8(), "transcript": _KEYS, "gene": _KEYS}
)
CDS_SCHEMA = pa.schema({"transcript": _KEYS, "length": pa.int64()})
_TEXTS = ("name", "other_name", "gene_type", "biotype", "transcript_type", "note", "version", "tags")
NODE_SCHEMA = pa.schema(
    {
        "line": pa.int64(),
        **{"key": _BINARY, "parent": _BINARY, "gene": _BINARY, "feature": _BINARY, "contig": _BINARY},
        **{"start": pa.int64(), "end": pa.int64(), "strand": pa.int8()},
        **dict.fromkeys(_TEXTS, _BINARY),
    }
)


@dataclass(frozen=True)
class RawAnnotation:
    """What an annotation says, line by line, in file order.

    Coordinates are 1-based and closed; strand is 1, -1, or 0 where it is not stated.
    """

    path: Path
    dialect: Dialect
    exons: pa.Table
    """EXON_SCHEMA, one row per exon and parent; `gene` is null in GFF3."""
    cds: pa.Table
    """CDS_SCHEMA, one row per CDS line and parent, length in nt."""
    nodes: pa.Table
    """NODE_SCHEMA: lines of genes and transcripts, and, with feature `exon`, the first exon line of transcripts."""
    header: dict[str, str]
    """Directives of the file, such as `genome-build`."""
    regions: dict[str, int]
    """Lengths (nt) that `##sequence-region` directives state, by contig."""
    lines: int
    """Lines that are neither empty nor comments."""


def read_annotation(path: Path, ledger: Ledger) -> RawAnnotation:
    """Read a file, telling its dialect by itself; kinds `line` and `exon` of the ledger are counted.

    Raises:
        InputError: Missing, truncated, not tab-separated in nine columns, neither GTF nor GFF3, or without exons.
    """
    reader = _Reader(path, ledger)
    for block in reader.blocks():
        reader.take(block)
    return reader.result()


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        with faults_named(path):
            yield
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; set splice.inputs.annotation") from None
    except IsADirectoryError:
        raise InputError(f"{path}: is a folder; set splice.inputs.annotation to a GTF or GFF3 file") from None
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(
            f"{path}: cannot be read as GTF or GFF3 ({error}); if it was downloaded, the download may be incomplete"
        ) from error


@dataclass
class _Reader:
    """Collects what the blocks of one file say."""

    path: Path
    ledger: Ledger
    dialect: Dialect | None = None
    exons: list[pa.Table] = field(default_factory=list)
    cds: list[pa.Table] = field(default_factory=list)
    nodes: list[pa.Table] = field(default_factory=list)
    header: dict[str, str] = field(default_factory=dict)
    regions: dict[str, int] = field(default_factory=dict)
    lines: int = 0
    malformed: int = 0

    def blocks(self) -> Iterator[bytes]:
        """Whole data lines in pieces of about 16 MiB, without comments and without a FASTA at the end."""
        with (
            _readable(self.path),
            pa.input_stream(str(self.path), compression=_compression(self.path)) as stream,
        ):
            rest = b""
            while chunk := stream.read(_BLOCK):
                whole, newline, rest = (rest + chunk).rpartition(b"\n")
                data, ended = self.without_comments(whole + newline)
                yield data
                if ended:
                    return
            last = self.without_comments(rest)[0]
            # Files may lack their last newline, but then the line is whole: nine columns, quotes in pairs.
            cut = last.strip() and (last.count(b"\t") != len(_COLUMNS) - 1 or last.count(b'"') % 2)
            if cut and self.dialect is not None:
                raise InputError(
                    f"{self.path}: ends in the middle of a line ({_shown(last.strip())}); the download may be"
                    " incomplete: fetch it again"
                )
            yield last

    def without_comments(self, block: bytes) -> tuple[bytes, bool]:
        """Data lines of a block, and whether the annotation ends in it."""
        # With a newline in front, every comment and every FASTA record follows one: splitting there finds them all.
        lines, fasta, _ = (b"\n" + block).partition(b"\n>")
        first, *others = lines.split(b"\n#")
        kept = [first]
        for piece in others:
            comment, _, data = piece.partition(b"\n")
            if comment.startswith(b"#FASTA"):
                return b"\n".join(kept), True
            self.directive(comment.decode("utf-8", "replace").strip())
            kept.append(data)
        return b"\n".join(kept), bool(fasta)

    def directive(self, comment: str) -> None:
        """Note what a comment (less its first `#`) says of the genome."""
        match = re.fullmatch(r"#sequence-region\s+(\S+)\s+\d+\s+(\d+)", comment)
        if match:
            self.regions[match[1]] = int(match[2])
        match = re.fullmatch(r"!(genome-build|genome-version|annotation-source|genome-build-accession)\s+(.+)", comment)
        match = match or re.fullmatch(r"#?(description|provider|date):\s*(.+)", comment)
        if match:
            self.header.setdefault(match[1], match[2])

    def take(self, block: bytes) -> None:
        """Read the lines of a block."""
        if not block or block.isspace():
            return
        lines = self.parse(_utf8(block))
        lines = lines.filter(
            pc.invert(pc.is_in(lines["feature"], pa.array(dialects.OTHER_FEATURES).cast(_BINARY)))
        ).combine_chunks()
        if lines.num_rows == 0:
            return
        self.dialect = self.dialect or dialects.recognise(lines["attributes"])
        if self.dialect is None:
            raise InputError(
                f'{self.path}: neither GTF (gene_id "X"; ...) nor GFF3 (ID=X;...): its ninth column reads'
                f" {_shown(lines['attributes'][0].as_py())}"
            )
        self.take_features(self.with_coordinates(lines), self.dialect.style)

    def parse(self, block: bytes) -> pa.Table:
        """Columns of a block's lines, as bytes; lines of another number of columns are counted as malformed."""

        def reject(row: Any) -> str:
            self.lines += 1
            self.reject_line(row.text.encode())
            return "skip"

        with _readable(self.path):
            # One thread: the order in which malformed lines are met must not vary.
            table = pa_csv.read_csv(
                pa.BufferReader(block),
                read_options=pa_csv.ReadOptions(column_names=_COLUMNS, block_size=2 * _BLOCK, use_threads=False),
                parse_options=pa_csv.ParseOptions(delimiter="\t", quote_char=False, invalid_row_handler=reject),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(_COLUMNS, _BINARY), include_columns=_WANTED, strings_can_be_null=False
                ),
            )
        numbers = np.arange(self.lines, self.lines + table.num_rows)
        self.lines += table.num_rows
        return table.append_column("line", pa.array(numbers))

    def with_coordinates(self, lines: pa.Table) -> pa.Table:
        """Lines with numbers as coordinates, strand as 1, -1 or 0; others are malformed."""
        numeric = pc.and_(*(pc.match_substring_regex(lines[name], "^[0-9]{1,15}$") for name in ("start", "end")))
        start, end = (
            pc.cast(pc.cast(pc.if_else(numeric, lines[name], b"0"), pa.string()), pa.int64())
            for name in ("start", "end")
        )
        good = pc.and_(pc.greater_equal(start, 1), pc.greater_equal(end, start))
        strand = pc.subtract(*(pc.cast(pc.equal(lines["strand"], sign), pa.int8()) for sign in (b"+", b"-")))
        lines = lines.set_column(2, "start", start).set_column(3, "end", end).set_column(4, "strand", strand)
        bad = lines.filter(pc.invert(good))
        for row in bad.to_pylist():
            self.reject_line(b"%s %s ... %s" % (row["contig"], row["feature"], row["attributes"]))
        return lines.filter(good).combine_chunks()

    def reject_line(self, text: bytes) -> None:
        """Count a line that cannot be read."""
        self.malformed += 1
        self.ledger.reject("line", _shown(text), Reason.MALFORMED_LINE)

    def take_features(self, lines: pa.Table, style: Style) -> None:
        """Sort lines into exons, CDS, and what may be genes or transcripts."""
        is_exon, is_cds = (
            pc.is_in(lines["feature"], pa.array(names).cast(_BINARY))
            for names in (dialects.EXON_FEATURES, dialects.CDS_FEATURES)
        )
        cds = _with_parents(lines.filter(is_cds), style)
        length = pc.add(pc.subtract(cds["end"], cds["start"]), 1)
        self.cds.append(pa.table([cds["transcript"], length], names=CDS_SCHEMA.names).cast(CDS_SCHEMA))
        exons = _with_parents(lines.filter(is_exon), style)
        self.take_exons(exons, style)
        self.nodes.append(_nodes(lines.filter(pc.invert(pc.or_(is_exon, is_cds))), style))

    def take_exons(self, exons: pa.Table, style: Style) -> None:
        """Keep exons that belong to something, and one line of each transcript, in case it has none of its own."""
        orphan = pc.is_null(exons["transcript"])
        for row in exons.filter(orphan).select(["contig", "start", "end"]).to_pylist():
            place = f"{row['contig'].decode('utf-8', 'replace')}:{row['start']}-{row['end']}"
            self.ledger.reject("exon", place, Reason.NO_GENE, "states no transcript and no gene")
        self.ledger.expect("exon", exons.num_rows)
        exons = exons.filter(pc.invert(orphan)).combine_chunks()
        genes = (
            attribute(exons["attributes"], ["gene_id"], style) if style is Style.GTF else pa.nulls(len(exons), _BINARY)
        )
        exons = exons.append_column("gene", genes)
        self.exons.append(exons.select(EXON_SCHEMA.names).cast(EXON_SCHEMA))
        _, first = np.unique(_codes(exons["transcript"]), return_index=True)
        witnesses = exons.take(np.sort(first)).combine_chunks()
        self.nodes.append(_nodes(witnesses, style, key=witnesses["transcript"]))

    def result(self) -> RawAnnotation:
        """Everything that was read.

        Raises:
            InputError: There is no exon.
        """
        self.ledger.expect("line", self.lines)
        self.ledger.keep("line", "", self.lines - self.malformed)
        exons = _joined(self.exons, EXON_SCHEMA)
        if self.dialect is None or exons.num_rows == 0:
            raise InputError(
                f"{self.path}: no exon that belongs to a transcript ({self.lines} lines, {self.malformed} of them"
                " malformed); an annotation has nine columns separated by tabs, and lines of feature 'exon'"
            )
        cds, nodes = _joined(self.cds, CDS_SCHEMA), _joined(self.nodes, NODE_SCHEMA)
        return RawAnnotation(self.path, self.dialect, exons, cds, nodes, self.header, self.regions, self.lines)


def _with_parents(lines: pa.Table, style: Style) -> pa.Table:
    """Add `transcript`: GTF names it, GFF3 may name several parents, each of which gives a row of its own."""
    texts = lines["attributes"]
    if style is Style.GTF:
        return lines.append_column("transcript", attribute(texts, ["transcript_id", "gene_id"], style))
    parents = pc.coalesce(attribute(texts, ["Parent"], style), attribute(texts, ["transcript_id", "gene_id"], style))
    if not pc.any(pc.match_substring(parents, ",")).as_py():
        return lines.append_column("transcript", parents)
    # A list without elements would lose the line, so a line without parents keeps an empty name for the moment.
    lists = pc.split_pattern(pc.coalesce(parents, b""), ",")
    each = pc.list_flatten(lists)
    rows = np.repeat(np.arange(len(lines)), pc.list_value_length(lists).to_numpy())
    exploded = lines.take(rows).append_column("transcript", pc.if_else(pc.equal(each, b""), None, each))
    # `Parent=A,` ends in an empty name beside a good one.
    stray = pc.and_(pc.is_null(exploded["transcript"]), pa.array(np.isin(rows, rows[np.diff(rows, prepend=-1) == 0])))
    return exploded.filter(pc.invert(stray)).combine_chunks()


def _nodes(lines: pa.Table, style: Style, *, key: pa.ChunkedArray | None = None) -> pa.Table:
    """What lines say of genes and transcripts, by the many names that sources have for it.

    Args:
        lines: Lines of genes and transcripts, or exons.
        style: How attributes are written.
        key: For exons, the transcript that the line speaks of.
    """
    texts = lines["attributes"]
    gene, transcript = (attribute(texts, [name], style) for name in ("gene_id", "transcript_id"))
    if key is not None:
        parent = pa.nulls(len(lines), _BINARY)
    elif style is Style.GTF:
        is_gene = pc.equal(lines["feature"], b"gene")
        key, parent = pc.if_else(is_gene, gene, transcript), pc.if_else(is_gene, None, gene)
    else:
        key, parent = (attribute(texts, [name], style) for name in ("ID", "Parent"))
    values = {
        **{"key": key, "parent": parent, "gene": gene},
        **{name: lines[name] for name in ("line", "feature", "contig", "start", "end", "strand")},
        "name": attribute(texts, dialects.GENE_NAMES, style),
        "other_name": attribute(texts, ["Name"], style),
        "gene_type": attribute(texts, dialects.GENE_TYPES, style),
        "biotype": attribute(texts, ["biotype"], style),
        "transcript_type": attribute(texts, dialects.TRANSCRIPT_TYPES, style),
        "note": attribute(texts, ["Note"], style),
        "version": attribute(texts, ["gene_version", "version"], style),
        "tags": pa.array([dialects.tags_of(text, style).encode() for text in texts.to_pylist()], _BINARY),
    }
    nodes = pa.table([values[name] for name in NODE_SCHEMA.names], schema=NODE_SCHEMA)
    return nodes.filter(pc.is_valid(nodes["key"]))


def is_witness(nodes: pa.Table) -> NDArray[np.bool_]:
    """Which nodes are exon lines that only bear witness for their transcript."""
    found: NDArray[np.bool_] = pc.is_in(nodes["feature"], pa.array(dialects.EXON_FEATURES).cast(_BINARY)).to_numpy()
    return found


def _codes(values: pa.ChunkedArray) -> NDArray[np.int32]:
    codes: NDArray[np.int32] = values.combine_chunks().dictionary_encode().indices.to_numpy()
    return codes


def _joined(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """One table with one chunk and one dictionary per column."""
    return pa.concat_tables([schema.empty_table(), *tables]).unify_dictionaries().combine_chunks()


def _compression(path: Path) -> str | None:
    with path.open("rb") as handle:
        return "gzip" if handle.read(2) == b"\x1f\x8b" else None


def _utf8(block: bytes) -> bytes:
    """Text as UTF-8: in free text, some sources write other encodings, at which Arrow would stumble."""
    try:
        block.decode("utf-8")
    except UnicodeDecodeError:
        return block.decode("utf-8", "replace").encode("utf-8")
    return block


def _shown(text: bytes) -> str:
    return " ".join(text[:80].decode("utf-8", "replace").split())
