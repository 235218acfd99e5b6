"""The ledger: every input item ends kept or rejected with a reason, and the sums say so."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from trainyard.yard.errors import IntegrityError
from trainyard.yard.files import write_text

_FIELDS = ("kind", "item", "reason", "detail")


class Ledger:
    """Counts what was expected, kept and rejected, per kind of item (star, TCE, file, window).

    Counts are exact. Which items were rejected, and why in words, is stored for the first `limit`
    items of each kind and reason, so that a ledger stays small.
    """

    def __init__(self, line: str, reasons: type[StrEnum], *, limit: int = 1000) -> None:
        """Start an empty ledger.

        Args:
            line: Name of the line.
            reasons: The closed list of reasons.
            limit: Rejected items stored per kind and reason.
        """
        self.line = line
        self.reasons = reasons
        self.limit = limit
        self._expected: Counter[str] = Counter()
        self._kept: Counter[str] = Counter()
        self._rejected: Counter[tuple[str, StrEnum]] = Counter()
        self._items: dict[tuple[str, StrEnum], list[tuple[str, str]]] = {}

    def expect(self, kind: str, n: int = 1) -> None:
        """Count `n` items of a kind that must end kept or rejected."""
        self._expected[kind] += n

    def keep(self, kind: str, item: str | int, n: int = 1) -> None:
        """Count an item, or `n` things that came of it, as kept.

        Args:
            kind: Kind of the things counted.
            item: Which item; for the reader of the call, it is not stored.
            n: How many.
        """
        self._kept[kind] += n

    def reject(self, kind: str, item: str | int, reason: StrEnum, detail: str = "", n: int = 1) -> None:
        """Count an item, or `n` things that were to come of it, as rejected; with `n` 0 nothing happens.

        Raises:
            ValueError: The reason is not in the closed list.
        """
        key = (kind, self.reasons(reason))
        if n == 0:
            return
        self._rejected[key] += n
        self._store(key, str(item), detail)

    def expected(self, kind: str) -> int:
        """Return how many items of a kind were expected."""
        return self._expected[kind]

    def kept(self, kind: str) -> int:
        """Return how many items of a kind were kept."""
        return self._kept[kind]

    def rejected(self, kind: str, reason: StrEnum | None = None) -> int:
        """Return how many items of a kind were rejected, for one reason or for all."""
        return sum(n for (k, r), n in self._rejected.items() if k == kind and reason in (None, r))

    @property
    def kinds(self) -> list[str]:
        """All kinds that were counted, sorted."""
        return sorted({*self._expected, *self._kept, *(kind for kind, _ in self._rejected)})

    def summary(self) -> str:
        """Return one line for people: what was kept of what was expected, per kind."""
        return ", ".join(f"{self.kept(kind)} of {self.expected(kind)} {kind}s kept" for kind in self.kinds)

    @property
    def rejections(self) -> list[dict[str, str]]:
        """The stored rejected items, sorted, with keys kind, item, reason and detail."""
        rows = sorted((k, item, r.value, detail) for (k, r), found in self._items.items() for item, detail in found)
        return [dict(zip(_FIELDS, row, strict=True)) for row in rows]

    def check(self) -> None:
        """Compare the sums.

        Raises:
            IntegrityError: For some kind, expected is not kept plus rejected; the message has the numbers.
        """
        problems = [
            f"{kind}: expected {self.expected(kind)}, kept {self.kept(kind)}, rejected {self.rejected(kind)}"
            for kind in self.kinds
            if self.expected(kind) != self.kept(kind) + self.rejected(kind)
        ]
        if problems:
            raise IntegrityError(f"ledger of {self.line}: items were lost or counted twice ({'; '.join(problems)})")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; ledgers with the same content give the same."""
        kinds = {
            kind: {
                "expected": self.expected(kind),
                "kept": self.kept(kind),
                "rejected": {r.value: n for (k, r), n in sorted(self._rejected.items()) if k == kind},
            }
            for kind in self.kinds
        }
        return {"line": self.line, "limit": self.limit, "kinds": kinds, "rejections": self.rejections}

    def write_csv(self, path: Path) -> None:
        """Write the rejected items as a table for people."""
        text = io.StringIO()
        writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rejections)
        write_text(path, text.getvalue())

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], reasons: type[StrEnum]) -> Ledger:
        """Make a ledger of what `to_dict` gave.

        Raises:
            IntegrityError: The data is no ledger, or has a reason that is not in the closed list.
        """
        try:
            ledger = cls(data["line"], reasons, limit=data["limit"])
            for kind, counts in data["kinds"].items():
                ledger._expected[kind] = int(counts["expected"])
                ledger._kept[kind] = int(counts["kept"])
                for reason, n in counts["rejected"].items():
                    ledger._rejected[kind, reasons(reason)] = int(n)
            for row in data["rejections"]:
                ledger._store((row["kind"], reasons(row["reason"])), row["item"], row["detail"])
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise IntegrityError(
                f"not a ledger that this version can read: {error!r}; build its shard again"
            ) from error
        return ledger

    def add(self, other: Ledger) -> None:
        """Add the counts and the stored items of another ledger to this one."""
        self._expected.update(other._expected)
        self._kept.update(other._kept)
        self._rejected.update(other._rejected)
        for key, found in other._items.items():
            for item, detail in found:
                self._store(key, item, detail)

    @classmethod
    def merge(cls, ledgers: Iterable[Ledger]) -> Ledger:
        """Add up the ledgers of several shards; their order matters only where a limit cuts the stored items.

        Raises:
            ValueError: No ledgers, or ledgers of different lines.
        """
        parts = list(ledgers)
        if len({(part.line, part.reasons) for part in parts}) != 1:
            raise ValueError(f"cannot merge ledgers of lines {sorted({part.line for part in parts})}")
        total = cls(parts[0].line, parts[0].reasons, limit=max(part.limit for part in parts))
        for part in parts:
            total.add(part)
        return total

    def _store(self, key: tuple[str, StrEnum], item: str, detail: str) -> None:
        found = self._items.setdefault(key, [])
        if len(found) < self.limit:
            found.append((item, detail))
