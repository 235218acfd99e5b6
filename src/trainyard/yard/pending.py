"""What a dry run ends with: per line and stage what is done and what is pending, why, and whether the disk has room.

A dry run of Snakemake lists every job; of thousands of jobs nobody reads a list.
"""

from __future__ import annotations

import os
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from trainyard.yard.resources import line_of

STAGES = MappingProxyType({
    "index": (
        "demo_transit", "demo_voxel", "demo_splice", "voxel_voxelize", "voxel_extract_rmsf", "splice_reference",
    ),
    "plan": ("transit_plan", "voxel_plan", "splice_pool", "splice_pool_errors", "splice_rank"),
    "build": (
        "transit_build_shards", "transit_split_shards", "voxel_encode_part", "splice_score_batch", "splice_offset_gate",
        "splice_positions_batch", "splice_features_batch",
    ),
    "fit": ("transit_sample_shards", "transit_fit_statistics"),
    "finish": (
        "transit_normalize_shards", "transit_select", "transit_materialize_shards", "voxel_merge_store",
        "voxel_export_part", "voxel_write_meta", "splice_split", "splice_assemble", "splice_export_scores",
    ),
    "check": ("transit_check", "voxel_check", "splice_check", "demo_transit_recovery"),
    "train": (
        "transit_train", "transit_evaluate", "voxel_train", "voxel_evaluate", "splice_prune", "splice_train",
        "splice_evaluate", "splice_probe",
    ),
    "report": (
        "transit_plot_data", "transit_plot_scores", "voxel_plot_data", "voxel_plot_scores", "splice_plot_data",
        "splice_plot_scores",
    ),
})  # fmt: skip
"""Rules by stage, in the order of the stages."""
_STAGE_OF = {rule: stage for stage, rules in STAGES.items() for rule in rules}
_ORDER = {stage: place for place, stage in enumerate([*STAGES, "other"])}

INPUT_PARAMS = frozenset({"members", "digest", "assignment", "structures", "contents", "genes"})
"""Parameters of rules that stand for the contents of inputs."""
CODE_PARAMS = frozenset({"code", "stages"})

NEW, FILE, CODE, PARAMETER, INPUT, FOLLOWS, FORCED = (
    "not yet built", "missing file", "changed code", "changed parameter", "new input", "input is rebuilt", "forced",
)  # fmt: skip
REASONS = (NEW, FILE, CODE, PARAMETER, INPUT, FOLLOWS, FORCED)


class State(NamedTuple):
    """A job as a dry run sees it; `why` is None for a job that is done."""

    rule: str
    why: str | None
    written: float


def pending_summary(dag: Any, code: Mapping[str, str], written: Callable[[str, Any], float], results: Path) -> str:
    """The summary of a dry run.

    Args:
        dag: Snakemake's graph of jobs.
        code: Digest of the code of each rule.
        written: Bytes that a job will write, by rule and wildcards.
        results: Folder of the run's outputs; need not be there.
    """
    states = []
    for job in dag.jobs:
        if job.rule.norun:
            continue
        why = why_pending(job, dag, code) if dag.needrun(job) else None
        states.append(State(job.rule.name, why, written(job.rule.name, job.wildcards) if why else 0))
    return format_summary(states, results=results, free=free_bytes(results))


def why_pending(job: Any, dag: Any, code: Mapping[str, str]) -> str:
    """Why a job has to run, in one of `REASONS`; where there are several, the first that a person could act on."""
    reason = dag.reason(job)
    if reason.forced:
        return FORCED
    if reason.missing_output:
        # A job that has run leaves a log; then what is missing was taken away.
        was_run = any(map(os.path.exists, job.log)) and _is_recorded(job, dag)
        return FILE if was_run else NEW
    changed = reason.params_changed
    if changed:
        return why_changed(set(getattr(changed, "only_new", ())), dict(job.params.items()), code)
    if reason.code_changed or reason.software_stack_changed:
        return CODE
    if reason.updated_input or reason.input_changed:
        return INPUT
    return FOLLOWS if reason.updated_input_run else NEW


def why_changed(new: Collection[Any], params: Mapping[str, Any], code: Mapping[str, str]) -> str:
    """Which kind of parameter has changed.

    Args:
        new: Recorded forms of the parameters that no earlier run had.
        params: Parameters by name.
        code: Digest of the code of each rule.
    """
    recorded = {str(value) for value in new}

    def has_changed(name: str, value: Any) -> bool:
        return any(text in recorded for text in (str(value), repr(value)))

    names = {name for name, value in params.items() if has_changed(name, value)}
    others = names - CODE_PARAMS - INPUT_PARAMS
    if others:
        return PARAMETER
    if names & INPUT_PARAMS:
        return INPUT
    digests = set(code.values())
    return CODE if names or any(text.strip("'\"") in digests for text in recorded) else PARAMETER


def _is_recorded(job: Any, dag: Any) -> bool:
    return any(dag.workflow.persistence.metadata(path) is not None for path in job.output)


def format_summary(states: Iterable[State], *, results: Path, free: int) -> str:
    """The table of a summary, and the disk that it needs.

    Args:
        states: All jobs of the graph.
        results: Folder that the outputs go to.
        free: Free bytes of its disk.
    """
    done: Counter[tuple[str, str]] = Counter()
    why: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    total = 0.0
    for state in states:
        key = (line_of(state.rule), _STAGE_OF.get(state.rule, "other"))
        done[key] += state.why is None
        if state.why is not None:
            why[key][state.why] += 1
            total += state.written
    rows = [("line", "stage", "done", "pending", "why")]
    for key in sorted(done, key=lambda key: (key[0], _ORDER[key[1]])):
        counts = why[key]
        reasons = ", ".join(f"{counts[reason]:,} {reason}" for reason in REASONS if counts[reason])
        rows.append((*key, f"{done[key]:,}", f"{sum(counts.values()):,}", reasons))
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    lines = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:>{widths[3]}}  {e}".rstrip()
        for a, b, c, d, e in rows
    ]
    pending = sum(sum(counts.values()) for counts in why.values())
    if not pending:
        return "\n".join(["", *lines, f"nothing to do: all {sum(done.values()):,} jobs are done"])
    room = f"{pending:,} jobs to do, which write about {size(total)} below {results}; {size(free)} are free there"
    if total > free:
        room += ": NOT ENOUGH, free some or set folders.results to another disk"
    return "\n".join(["", *lines, room])


def free_bytes(folder: Path) -> int:
    """Free bytes of the disk that a folder is, or will be, on."""
    folder = folder.absolute()
    return shutil.disk_usage(next(path for path in [folder, *folder.parents] if path.exists())).free


def size(n: float) -> str:
    """Bytes for people, in powers of 1,000: `950 B`, `1.2 GB`."""
    for unit in ("B", "kB", "MB", "GB"):
        if n < 999.5:
            return f"{n:.3g} {unit}"
        n /= 1000
    return f"{n:,.3g} TB"
