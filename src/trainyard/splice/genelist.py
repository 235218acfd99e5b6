"""Gene files: which genes a person asks for, by id or symbol, and what each entry turned out to be.

No entry is lost: each line of the file ends as a gene, as a repetition of one, or with a reason. A symbol that several
genes carry is never guessed at.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from trainyard.splice import dialects
from trainyard.splice.plan import REQUESTED
from trainyard.splice.reasons import Reason
from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named

TAKEN = "taken"
"""Status of an entry whose gene is in the pool."""

_DELIMITERS = {".csv": ",", ".tsv": "\t"}


@dataclass(frozen=True)
class Entry:
    """One gene as a file names it; `line` is 1-based, `text` is empty where a row of a table has no value."""

    line: int
    text: str


@dataclass(frozen=True)
class GeneNames:
    """What the annotation calls its genes."""

    ids: frozenset[str]
    """Ids of the reference tables, without version suffix."""
    by_name: Mapping[str, Sequence[str]]
    """Ids by symbol, sorted."""
    rejected: Mapping[str, Reason]
    """Ids that the annotation has but the reference tables left out, with the reason."""

    @classmethod
    def of(cls, genes: pa.Table, rejected: Mapping[str, Reason] | None = None) -> GeneNames:
        """Collect the names of a gene table (columns gene_id, gene_name)."""
        by_name: dict[str, list[str]] = defaultdict(list)
        ids = genes["gene_id"].to_pylist()
        for gene_id, name in zip(ids, genes["gene_name"].to_pylist(), strict=True):
            if name:
                by_name[name].append(gene_id)
        return cls(frozenset(ids), {name: sorted(found) for name, found in by_name.items()}, dict(rejected or {}))


def read_gene_file(path: Path, *, gene_col: str) -> list[Entry]:
    """Read the genes that a file names, in its order, blank ones left out.

    Files ending in `.csv` or `.tsv` are tables with a header; any other file holds one gene per line, where lines that
    begin with `#` are comments.

    Args:
        path: The file, UTF-8.
        gene_col: Column of a table that holds ids or symbols.

    Raises:
        InputError: No such file, not text, no such column, several words on a line of a list, or no gene at all.
    """
    delimiter = _DELIMITERS.get(path.suffix.lower())
    text = _read_text(path)
    entries = _list_entries(path, text) if delimiter is None else _table_entries(path, text, delimiter, gene_col)
    if not any(entry.text for entry in entries):
        raise InputError(f"{path}: names no gene; put one id or symbol on each line, or give another file")
    return entries


def places(entries: Sequence[Entry]) -> dict[str, int]:
    """Place of each gene that a file asks for, by its text: the order of the file, empty and repeated entries left out.

    Known from the file alone, so that it says which batches a longer file touches before the genes are looked up.
    """
    return {text: place for place, text in enumerate(dict.fromkeys(entry.text for entry in entries if entry.text))}


def resolve(entries: Sequence[Entry], names: GeneNames, *, source: str) -> pa.Table:
    """Say for each entry which gene it is.

    An id wins over a symbol of the same text. Ids are taken with or without their version.

    Args:
        entries: What a person asked for.
        names: What the annotation has.
        source: Where the entries come from, for messages.

    Returns:
        Contract REQUESTED, one row per entry in the order of the entries.

    Raises:
        InputError: Symbols that several genes carry; the message names the ids.
    """
    rows, seen, ambiguous = [], set[str](), []
    for entry in entries:
        candidates, matched_by = _match(entry.text, names)
        if len(candidates) > 1:
            ambiguous.append(f"line {entry.line}: {entry.text} is {', '.join(candidates)}")
            continue
        gene_id = candidates[0] if candidates else None
        rows.append(
            {
                "line": entry.line,
                "entry": entry.text,
                "gene_id": gene_id,
                "matched_by": matched_by,
                "status": _status(gene_id, names, seen) if entry.text else Reason.MALFORMED_LINE,
            }
        )
        seen.update(candidates)
    if ambiguous:
        raise InputError(
            f"{source}: {len(ambiguous)} symbols are carried by several genes; put the id of the one you mean instead"
            f" ({_first(ambiguous, separator='; ')})"
        )
    return REQUESTED.table(rows)


def check_failed(requested: pa.Table, limit: float, *, source: str) -> None:
    """Refuse a gene file of which too many genes cannot be had; repeated and empty lines ask for none.

    Args:
        requested: Contract REQUESTED.
        limit: Largest share of failed genes, `max_failed_genes`.
        source: Where the entries come from, for messages.

    Raises:
        InputError: More than the limit allows; the message names the first ones and their reasons.
    """
    rows = [row for row in requested.to_pylist() if row["status"] not in (Reason.REPEATED_GENE, Reason.MALFORMED_LINE)]
    failed = [f"{row['entry']} ({row['status']})" for row in rows if row["status"] != TAKEN]
    if len(failed) > limit * len(rows):
        raise InputError(
            f"{source}: {len(failed)} of {len(rows)} genes cannot be taken, more than selection.max_failed_genes ="
            f" {limit:g} allows: {_first(failed)}; correct these lines, or raise the limit"
        )


def spellings(text: str) -> list[str]:
    """Ids that an entry may stand for: as it stands, less a prefix such as `gene:`, less a version; in this order.

    Digits after the last dot of any id may be a version: `MSTRG.1` is one only if the annotation has no gene `MSTRG.1`.
    """
    plain = dialects.without_prefix(text)
    stem, par, _ = plain.partition(dialects.PAR_Y)
    head, _, version = stem.rpartition(".")
    cut = head + par if head and version.isdecimal() else plain
    return list(dict.fromkeys([text, plain, dialects.split_version(plain)[0], cut]))


def _match(text: str, names: GeneNames) -> tuple[list[str], str]:
    for candidate in spellings(text):
        if candidate in names.ids or candidate in names.rejected:
            return [candidate], "gene_id" if candidate == text else "gene_id_version"
    found = list(names.by_name.get(text, ()))
    return found, "gene_name" if found else ""


def _status(gene_id: str | None, names: GeneNames, seen: set[str]) -> str:
    if gene_id is None:
        return Reason.NOT_IN_ANNOTATION
    if gene_id in seen:
        return Reason.REPEATED_GENE
    return TAKEN if gene_id in names.ids else names.rejected[gene_id]


def _read_text(path: Path) -> str:
    try:
        with faults_named(path):
            # Spreadsheets put a byte-order mark in front, which would become part of the first name.
            return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such gene file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text ({error}); save the gene file as plain text or CSV") from error


def _list_entries(path: Path, text: str) -> list[Entry]:
    entries = []
    for number, line in enumerate(text.splitlines(), start=1):
        word = line.strip()
        if not word or word.startswith("#"):
            continue
        if len(word.replace(",", " ").replace(";", " ").split()) > 1:
            raise InputError(
                f"{path}: line {number} holds more than one word ({word[:60]!r}); a list has one id or symbol per line,"
                " a table must end in .csv or .tsv"
            )
        entries.append(Entry(number, word))
    return entries


def _table_entries(path: Path, text: str, delimiter: str, gene_col: str) -> list[Entry]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    header = [name.strip() for name in next(reader, [])]
    if header.count(gene_col) != 1:
        raise InputError(
            f"{path}: the header has {header.count(gene_col)} columns {gene_col!r}, of {', '.join(header) or 'none'};"
            f" set selection.gene_col to the column that holds the genes (a {path.suffix} file has"
            f" {'tabs' if delimiter != ',' else 'commas'} between its columns)"
        )
    column = header.index(gene_col)
    entries = []
    for row in reader:
        if any(cell.strip() for cell in row):
            entries.append(Entry(reader.line_num, row[column].strip() if column < len(row) else ""))
    return entries


def _first(items: Sequence[str], *, separator: str = ", ", limit: int = 10) -> str:
    shown = separator.join(items[:limit])
    return shown if len(items) <= limit else f"{shown}{separator}and {len(items) - limit} more"
