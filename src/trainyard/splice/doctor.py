"""The doctor: which files of a run are damaged or of another make, and where they go so that they are made again.

- **corrupted**: missing or other than its receipt (or, for scores, its index) says; unreadable; another number of rows.
- **wrong schema**: whole, but its columns are not those that this version, or this dataset, has.
- **no receipt**: a file that should have one, since the job that wrote it did not finish.

Nothing is deleted. Only what a receipt or an index vouches for as a file of this workflow is moved, to a trash folder
in the folder of the run, and only when told to; everything else is left where it is and only listed.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from trainyard.splice import naming
from trainyard.splice.analysis import ENHANCED, ERRORS
from trainyard.splice.dataset_schema import PERFORMANCE, POSITIONS
from trainyard.splice.master import contract_of
from trainyard.splice.plan import POOL, RANKING, REQUESTED
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import CONTRACTS
from trainyard.splice.scorestore import SCORE_INDEX, Entry, ScoreStore, read_index
from trainyard.splice.selection import POOL_ERRORS
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import faults_named, read_json, sha256_file, write_json
from trainyard.yard.logs import progress
from trainyard.yard.receipts import read_receipt, receipt_path, verify

TRASH = "trash"
DATASET = "splice_dataset"
NO_RECEIPT = "no_receipt"
CURABLE = (Reason.CORRUPTED.value, Reason.WRONG_SCHEMA.value)
"""Kinds of ailments that can be put in the trash."""
_RECEIPT = ".receipt.json"
_TEMPORARY = re.compile(r"batch_\d{5,}_raw\.parquet")
_KNOWN = {
    contract.name: contract.digest
    for contract in (
        *CONTRACTS.values(),
        *(POOL, RANKING, REQUESTED, POOL_ERRORS, SCORE_INDEX, POSITIONS, PERFORMANCE, ENHANCED, ERRORS),
    )
}
"""Digest of each contract of this version, by name; that of the dataset depends on its settings."""
_WITH_RECEIPT = re.compile(r"(part-\d{5,}|batch_\d{5,}_trim|performance_\d{5,})\.parquet")


@dataclass(frozen=True)
class Ailment:
    """One file that is not as it should be."""

    path: Path
    kind: str
    """corrupted, wrong_schema or no_receipt."""
    why: str
    moves: tuple[Path, ...]
    """What goes to the trash with it; empty if nothing vouches for the file as one of this workflow."""

    def line(self, base: Path) -> str:
        """One line for people."""
        left = "" if self.moves else " (nothing vouches for it: left alone)"
        return f"{self.kind:<12} {self.path.relative_to(base)}: {self.why}{left}"


def examine(base: Path) -> list[Ailment]:
    """Look at every file below the folder of a run.

    Args:
        base: Folder of the line, such as `results/demo/splice`.

    Returns:
        What ails, sorted by path.

    Raises:
        InputError: No such folder, or none of a run.
    """
    if not base.is_dir():
        raise InputError(f"{base}: no such folder")
    files = [path for path in sorted(base.rglob("*")) if path.is_file() and _is_in_question(path.relative_to(base))]
    if not any(path.name.endswith(_RECEIPT) or path.suffix == ".parquet" for path in files):
        raise InputError(f"{base}: holds no files of a run; give the folder of the line, such as results/demo/splice")
    vouched = {path.with_name(path.name.removesuffix(_RECEIPT)) for path in files if path.name.endswith(_RECEIPT)}
    dataset = _dataset_digest(base)
    found: list[Ailment] = []
    for path in progress(sorted({*files, *vouched}), total=len(files), what="files"):
        if not path.name.endswith(_RECEIPT):
            found += _examine_file(path, path in vouched, dataset)
    return sorted([*found, *_examine_scores(base / "scores")], key=lambda ailment: ailment.path)


def clean(base: Path, ailments: Sequence[Ailment], *, kinds: Collection[str] = CURABLE) -> tuple[Path | None, int]:
    """Move what ails to `trash/NNN`, with a list of what was moved and why; the same command makes it again.

    Args:
        base: Folder of the line.
        ailments: What `examine` found.
        kinds: Kinds to move.

    Returns:
        The folder in the trash, None if nothing was moved, and the number of files moved.
    """
    moves: dict[Path, Ailment] = {}
    for ailment in ailments:
        if ailment.kind in kinds:
            moves |= {path: ailment for path in ailment.moves if path.exists()}
    if not moves:
        return None, 0
    taken = [int(path.name) for path in (base / TRASH).glob("[0-9]*")] if (base / TRASH).is_dir() else []
    trash = base / TRASH / f"{max(taken, default=0) + 1:03d}"
    told = [
        {"path": path.relative_to(base).as_posix(), "kind": ailment.kind, "why": _without(base, ailment.why)}
        for path, ailment in sorted(moves.items())
    ]
    with faults_named(trash):
        # The list comes first: what was moved must never be without its reason.
        write_json(trash / "moved.json", told)
        for path in sorted(moves):
            target = trash / path.relative_to(base)
            target.parent.mkdir(parents=True, exist_ok=True)
            path.replace(target)
    return trash, len(moves)


def report(base: Path, ailments: Sequence[Ailment]) -> dict[str, Any]:
    """Plain values of what was found."""
    rows = [
        {
            "path": ailment.path.relative_to(base).as_posix(),
            "kind": ailment.kind,
            "why": _without(base, ailment.why),
            "vouched": bool(ailment.moves),
        }
        for ailment in ailments
    ]
    return {"counts": dict(sorted(Counter(ailment.kind for ailment in ailments).items())), "files": rows}


def _is_in_question(path: Path) -> bool:
    return not any(part.startswith(".") for part in path.parts) and path.parts[0] != TRASH


def _dataset_digest(base: Path) -> str | None:
    """Schema of the dataset: that of the manifest, else that of most parts."""
    try:
        return str(read_json(base / "master" / naming.MANIFEST)["schema"]["digest"])
    except (InputError, KeyError, TypeError):
        digests: Counter[str] = Counter()
        for path in sorted((base / "master").glob("part-*.parquet")):
            try:
                digests[contract_of(path).digest] += 1
            except IntegrityError:
                continue
        return digests.most_common(1)[0][0] if digests else None


def _examine_file(path: Path, vouched: bool, dataset: str | None) -> Iterator[Ailment]:
    if vouched and _TEMPORARY.fullmatch(path.name) and not path.exists():
        return
    moves: tuple[Path, ...] = ()
    try:
        if vouched:
            read_receipt(path)
            moves = (path, receipt_path(path))
        receipt = verify(path) if vouched else None
        if path.suffix == ".json":
            read_json(path)
        if path.suffix == ".parquet":
            rows = pq.read_metadata(path).num_rows
            if receipt is not None and rows != receipt.records:
                raise IntegrityError(f"holds {rows} rows, its receipt says {receipt.records}")
    except (InputError, IntegrityError, OSError, ValueError) as error:
        yield Ailment(path, Reason.CORRUPTED, _without(path.parent, str(error)), moves)
        return
    if path.suffix == ".parquet":
        yield from _examine_schema(path, moves, None if receipt is None else receipt.schema, dataset)
    if not vouched and _WITH_RECEIPT.fullmatch(path.name):
        yield Ailment(path, NO_RECEIPT, "the job that wrote it did not finish; run the same command again", ())


def _examine_schema(path: Path, moves: tuple[Path, ...], stated: str | None, dataset: str | None) -> Iterator[Ailment]:
    try:
        contract = contract_of(path)
    except IntegrityError as error:
        if moves:
            yield Ailment(path, Reason.WRONG_SCHEMA, _without(path.parent, str(error)), moves)
        return
    wanted = dataset if contract.name == DATASET else _KNOWN.get(contract.name)
    if stated not in (None, contract.digest):
        yield Ailment(path, Reason.WRONG_SCHEMA, "has another schema than its receipt says", moves)
    elif wanted not in (None, contract.digest):
        whose = "the other parts have" if contract.name == DATASET else f"this version writes as {contract.name}"
        yield Ailment(path, Reason.WRONG_SCHEMA, f"has other columns than {whose}", moves)


def _examine_scores(folder: Path) -> Iterator[Ailment]:
    """Score files that are not what an index says; the index goes with them, so that its batch is scored again."""
    store = ScoreStore(folder)
    for index in sorted(folder.glob("index_*.parquet")) if folder.is_dir() else []:
        try:
            entries = read_index(index)
        except (InputError, IntegrityError):
            continue  # Said of the file itself already.
        for entry in entries:
            if entry.key is not None and (why := _fault_of(store, entry)):
                path = store.path(entry.key)
                moves = (path, index) if path.exists() else (index,)
                yield Ailment(path, Reason.CORRUPTED, f"{why}; {index.name} vouches for it as {entry.gene_id}", moves)


def _fault_of(store: ScoreStore, entry: Entry) -> str:
    path = store.path(entry.key or "")
    if not path.is_file():
        return "is missing"
    return "" if sha256_file(path) == entry.sha256 else "is not what the index says"


def _without(folder: Path, text: str) -> str:
    """A message without the path that it begins with, which stands before it anyway."""
    return re.sub(rf"^{re.escape(str(folder))}/[^:]*: ", "", text)


def summary_line(base: Path, found: Mapping[str, int]) -> str:
    """One line for people: how many files of each kind."""
    counts = ", ".join(f"{n} {kind}" for kind, n in sorted(found.items())) or "nothing amiss"
    return f"{base}: {counts}"
