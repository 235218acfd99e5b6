"""Which domain of the RMSF table a domain of the voxel file is: by name, listed suffix or table, never by a guess.

The published rule, "the text before the first underscore", makes one domain of AF_P1_F1 and AF_P2_F1.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from trainyard.yard.errors import InputError
from trainyard.yard.files import faults_named

_SHOWN = 5


@dataclass(frozen=True)
class Match:
    """What a domain of the voxel file is called in the RMSF table."""

    domain: str
    rmsf_domain: str | None
    method: str
    """`exact`, `suffix`, `table` or `none`"""
    evidence: str


def map_domains(
    voxel_domains: Iterable[str],
    rmsf_domains: Iterable[str],
    *,
    suffixes: Sequence[str] = (),
    table: Mapping[str, str] | None = None,
) -> list[Match]:
    """Find the RMSF domain of every voxel domain.

    The first rule that applies: the table says so; the names are equal; the names are equal once a listed suffix is
    taken off one of them or off both. Upper and lower case differ (`5gaeN01` is not `5gaen01`).

    Args:
        voxel_domains: Names in the voxel file.
        rmsf_domains: Names in the RMSF table.
        suffixes: Endings that a name may carry, such as `_pdb_clean`.
        table: RMSF name by voxel name; an empty RMSF name says that the voxel domain is not used.

    Returns:
        One match per voxel domain, sorted by name.

    Raises:
        InputError: Several RMSF domains fit one voxel domain, or several voxel domains fit one RMSF domain.
    """
    known = set(rmsf_domains)
    by_base: dict[str, set[str]] = defaultdict(set)
    for name in known:
        for base in _bases(name, suffixes):
            by_base[base].add(name)
    matches = [_match(domain, known, by_base, suffixes, table or {}) for domain in sorted(set(voxel_domains))]
    _refuse_shared(matches)
    return matches


def read_domain_table(path: Path) -> dict[str, str]:
    """Read a mapping table: a CSV file with the columns `voxel_domain` and `rmsf_domain`.

    Raises:
        InputError: The file is missing, not UTF-8 or lacks a column, or a voxel domain has two RMSF domains.
    """
    table: dict[str, str] = {}
    for voxel, rmsf in read_pairs(path, "voxel_domain", "rmsf_domain"):
        if table.setdefault(voxel, rmsf) != rmsf:
            raise InputError(f"{path}: voxel domain {voxel} is given both {table[voxel]!r} and {rmsf!r}; keep one")
    return table


def read_pairs(path: Path, first: str, second: str) -> list[tuple[str, str]]:
    """Read two columns of a CSV file, with blanks around the values taken off; lines without a first value are skipped.

    Raises:
        InputError: The file is missing, is not UTF-8, or lacks a column.
    """
    try:
        with faults_named(path), path.open(encoding="utf-8-sig", newline="") as handle:
            rows = [{(k or "").strip(): v for k, v in row.items()} for row in csv.DictReader(handle)]
            names = set(rows[0]) if rows else set()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV in UTF-8 ({error})") from error
    missing = sorted({first, second} - names)
    if missing:
        raise InputError(f"{path}: has no column {' and '.join(missing)}, or no rows; expected {first},{second}")
    pairs = [((row[first] or "").strip(), (row[second] or "").strip()) for row in rows]
    return [pair for pair in pairs if pair[0]]


def _match(
    domain: str,
    known: set[str],
    by_base: Mapping[str, set[str]],
    suffixes: Sequence[str],
    table: Mapping[str, str],
) -> Match:
    if domain in table:
        named = table[domain]
        if not named:
            return Match(domain, None, "none", "the table says that it is not used")
        if named not in known:
            return Match(domain, None, "none", f"the table says {named}, which has no RMSF")
        return Match(domain, named, "table", f"the table says {named}")
    if domain in known:
        return Match(domain, domain, "exact", "same name")
    # The name itself comes first among its bases, and a longer ending before a shorter one.
    found = {name: base for base in reversed(_bases(domain, suffixes)) for name in by_base.get(base, ())}
    if len(found) > 1:
        raise InputError(
            f"domain {domain} of the voxel file could be any of {', '.join(sorted(found))} of the RMSF table; say which"
            " one in inputs.domain_table"
        )
    for name, base in found.items():
        endings = " and ".join(ending for ending in (domain[len(base) :], name[len(base) :]) if ending)
        return Match(domain, name, "suffix", f"same name without {endings}")
    return Match(domain, None, "none", "no RMSF domain of this name, with or without a listed suffix")


def _bases(name: str, suffixes: Sequence[str]) -> list[str]:
    """The name, and what is left of it without each listed suffix that it ends in."""
    endings = sorted({s for s in suffixes if s and name.endswith(s) and len(name) > len(s)}, key=len, reverse=True)
    return [name, *(name[: -len(ending)] for ending in endings)]


def _refuse_shared(matches: Sequence[Match]) -> None:
    users: dict[str, list[str]] = defaultdict(list)
    for match in matches:
        if match.rmsf_domain is not None:
            users[match.rmsf_domain].append(match.domain)
    shared = [f"{', '.join(domains)} on {name}" for name, domains in sorted(users.items()) if len(domains) > 1]
    if shared:
        raise InputError(
            f"{len(shared)} RMSF domains fit several domains of the voxel file: {'; '.join(shared[:_SHOWN])}. Their"
            " samples would be there twice: name one of them in inputs.domain_table and give the others an empty"
            " rmsf_domain"
        )
