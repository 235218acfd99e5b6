"""The summary of a dataset as one HTML page that needs nothing from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from trainyard.splice.calls import CLASSES
from trainyard.splice.master import master_folder
from trainyard.splice.summary import FOREIGN, summarize
from trainyard.yard.errors import InputError
from trainyard.yard.files import write_json, write_text

_COLOURS = {"neither": "#8a8f98", "donor": "#1f6fb2", "acceptor": "#c2571a"}
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem;color:#1b1f24}"
    "table{border-collapse:collapse;margin:.5rem 0 1.5rem}th,td{padding:.15rem .7rem;text-align:right;"
    "border-bottom:1px solid #e3e6ea}th:first-child,td:first-child{text-align:left}th{font-weight:600}"
    ".wide{overflow-x:auto}.bad{color:#b3261e;font-weight:600}figure{display:inline-block;margin:0 1.5rem 1rem 0}"
    "figcaption{font-size:.9rem}svg{display:block}"
)


def write_summary(folder: Path, out: Path | None, *, allow_partial: bool = False) -> tuple[dict[str, Any], Path]:
    """Write `summary.json` and `summary.html` of a dataset.

    Args:
        folder: The dataset.
        out: Folder for both; None for `summary` beside the folder `master` of a dataset of ours.
        allow_partial: Take what is finished of an incomplete one.

    Returns:
        The summary, and the folder.

    Raises:
        InputError: No folder is given for a dataset of another program; see `summarize` for more.
    """
    told = summarize(folder, allow_partial=allow_partial)
    if out is None and told["status"] == FOREIGN:
        raise InputError(f"{folder}: is a dataset of another program; say where its summary goes (--out)")
    target = out or master_folder(folder).parent / "summary"
    write_json(target / "summary.json", told)
    write_text(target / "summary.html", page(told, title=str(folder)))
    return told, target


def page(told: Mapping[str, Any], *, title: str) -> str:
    """HTML page of what `summarize` returns.

    Args:
        told: The summary.
        title: Name of the dataset.
    """
    counts = [
        ("status", told["status"]),
        ("rows", told["rows"]),
        ("genes", told["genes"]),
        ("rows before trimming", told["rows_before_trimming"]),
        ("columns", len(told["columns"])),
        ("bytes on disk", told["bytes"]),
        ("bytes in memory", told["memory_bytes"]),
        ("licence of the base model", told["licence"] or "not stated"),
    ]
    balance = [
        (what, name, n, f"{n / max(told['rows'], 1):.2%}")
        for what, key in (("label", "labels"), ("outcome", "pred_types"), ("stratum", "strata"))
        for name, n in told[key].items()
    ]
    sections = [
        _table(("", ""), counts),
        _section("Balance", _table(("of", "value", "rows", "share"), balance)),
        _section("Scores of the base model by label", "".join(_figures(told["score_histograms"]))),
        _section("Motifs by label", _table(("motif", *CLASSES), _motif_rows(told["motif_share_by_label"]))),
        _section("Rows per gene", _table(("quantile", "rows"), list(told["rows_per_gene"].items()))),
        _section("Parts", _table(("file", "rows", "bytes"), [tuple(part.values()) for part in told["parts"]])),
        _section("Made of", _table(("", ""), _made_of(told["manifest"]))),
        _section("Columns", _columns(told)),
    ]
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{_STYLE}</style>"
    return f"{head}<h1>{escape(title)}</h1>{''.join(sections)}</html>\n"


def _section(title: str, body: str) -> str:
    return f"<h2>{escape(title)}</h2>{body}" if body else ""


def _table(header: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join(f"<tr>{''.join(f'<td>{_shown(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"<div class=wide><table>{f'<tr>{head}</tr>' if any(header) else ''}{body}</table></div>"


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return escape(str(value))


def _motif_rows(motifs: Mapping[str, Mapping[str, float | None]]) -> list[tuple[Any, ...]]:
    return [
        (name, *(None if shares[label] is None else f"{shares[label]:.1%}" for label in CLASSES))
        for name, shares in motifs.items()
    ]


def _made_of(manifest: Mapping[str, Any]) -> list[tuple[str, Any]]:
    reference, model = manifest.get("reference") or {}, manifest.get("model") or {}
    rows = [("dataset", manifest.get("dataset_id")), ("settings", manifest.get("params_hash"))]
    rows += [(f"reference: {name}", reference.get(name)) for name in ("reference_id", "build", "release")]
    rows += [(f"base model: {name}", value) for name, value in model.items() if isinstance(value, str | int)]
    rows += [(f"genes {name}", n) for name, n in (manifest.get("genes") or {}).items()]
    return [(name, value) for name, value in rows if value not in (None, "")]


def _columns(told: Mapping[str, Any]) -> str:
    roles = told.get("roles", {})
    header = ("column", "role", "type", "null", "NaN", "infinite", "min", "5 %", "median", "95 %", "max")
    rows = []
    for name, column in told["columns"].items():
        quantiles = column.get("quantiles", {})
        faults = [column["nulls"], column.get("nans"), column.get("infinite")]
        spread = [column.get("min"), *(quantiles.get(q) for q in ("0.05", "0.5", "0.95")), column.get("max")]
        rows.append((name, roles.get(name, ""), column["type"], *faults, *spread))
    sizes = sorted({column["sample"] for column in told["columns"].values() if "sample" in column})
    note = f"<p>Quantiles are those of a sample of up to {sizes[-1]:,} rows.</p>" if sizes else ""
    return note + _table(header, rows)


def _figures(histograms: Mapping[str, Mapping[str, Sequence[int]]]) -> list[str]:
    return [
        f"<figure><figcaption>{escape(name)}, {label}: {sum(counts):,} rows</figcaption>{_bars(counts, label)}</figure>"
        for name, by_label in histograms.items()
        for label, counts in by_label.items()
    ]


def _bars(counts: Sequence[int], label: str, *, width: int = 300, height: int = 90) -> str:
    """Histogram as an inline drawing; heights are relative to the highest bar."""
    top = max(*counts, 1)
    step = width / len(counts)
    bars = ""
    for i, n in enumerate(counts):
        place = f'x="{i * step:.1f}" y="{height * (1 - n / top):.1f}"'
        size = f'width="{step - 1:.1f}" height="{height * n / top:.1f}"'
        told = f"{i / len(counts):.2f} to {(i + 1) / len(counts):.2f}: {n:,}"
        bars += f"<rect {place} {size}><title>{told}</title></rect>"
    text = f'<text x="0" y="{height + 14}" font-size="11">0</text>'
    text += f'<text x="{width}" y="{height + 14}" font-size="11" text-anchor="end">1</text>'
    return (
        f'<svg width="{width}" height="{height + 18}" role="img" aria-label="histogram of {escape(label)}"'
        f' fill="{_COLOURS[label]}">{bars}{text}</svg>'
    )
