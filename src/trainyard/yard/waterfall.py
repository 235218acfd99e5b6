"""The figure of what became of every item: expected, taken away by each reason, kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json
from trainyard.yard.plotting import GREEN, GREY, ORANGE, figure, note

_REASONS_SHOWN = 12


def rejections(ledgers: Sequence[Path], out: Path) -> None:
    """Draw, per kind of item, how many were expected, what each reason took away, and what was kept.

    Args:
        ledgers: Ledger JSON files; their counts are added up.
        out: PNG.

    Raises:
        InputError: A file is missing or is no ledger.
    """
    steps = {kind: waterfall(counts) for kind, counts in sum_ledgers(ledgers).items()}
    rows = [len(found) for found in steps.values()] or [2]
    with figure(out, width=10, height=0.6 + sum(0.55 + 0.26 * n for n in rows)) as drawing:
        if not steps:
            note(drawing.subplots(), "the ledgers are empty")
            return
        grid = drawing.subplots(len(steps), 1, squeeze=False, height_ratios=[n + 1.5 for n in rows])[:, 0]
        for axes, (kind, found) in zip(grid, steps.items(), strict=True):
            draw_steps(axes, kind, found)


def waterfall(counts: dict[str, Counter[str]]) -> list[tuple[str, int, int]]:
    """Return steps as (name, left end, right end), from what was expected to what was kept.

    Args:
        counts: `totals`, with `expected` and `kept`, and `rejected`, by reason.
    """
    reasons = sorted(counts["rejected"].items(), key=lambda item: (-item[1], item[0]))
    shown, rest = reasons[:_REASONS_SHOWN], reasons[_REASONS_SHOWN:]
    if rest:
        shown.append((f"{len(rest)} other reasons", sum(n for _, n in rest)))
    left = counts["totals"]["expected"]
    steps = [("expected", 0, left)]
    for reason, n in shown:
        steps.append((reason.replace("_", " "), left - n, left))
        left -= n
    return [*steps, ("kept", 0, counts["totals"]["kept"])]


def sum_ledgers(ledgers: Sequence[Path]) -> dict[str, dict[str, Counter[str]]]:
    """Add up the counts of ledgers, by kind of item, as `waterfall` takes them.

    Raises:
        InputError: A file is missing or is no ledger.
    """
    kinds: dict[str, dict[str, Counter[str]]] = {}
    for path in ledgers:
        try:
            for kind, counts in read_json(path)["kinds"].items():
                total = kinds.setdefault(kind, {"totals": Counter(), "rejected": Counter()})
                total["totals"].update({name: int(counts[name]) for name in ("expected", "kept")})
                total["rejected"].update({reason: int(n) for reason, n in counts["rejected"].items()})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path}: not a ledger ({error!r}); build what it belongs to again") from error
    return dict(sorted(kinds.items()))


def draw_steps(axes: Any, kind: str, steps: Sequence[tuple[str, int, int]]) -> None:
    """Draw what `waterfall` gave, as bars under the name of a kind."""
    expected = max(1, steps[0][2])
    for place, (name, left, right) in enumerate(steps):
        colour = {"expected": GREY, "kept": GREEN}.get(name, ORANGE)
        axes.barh(place, right - left, 0.75, left=left, color=colour)
        share = f" ({(right - left) / expected:.1%})" if place else ""
        axes.text(right, place, f" {right - left:,}{share}", va="center", fontsize=8)
    axes.set_title(kind.replace("_", " "))
    axes.set_yticks(range(len(steps)), [name for name, _, _ in steps])
    axes.set_xlim(0, 1.18 * expected)
    axes.invert_yaxis()
    axes.grid(True, axis="x")
