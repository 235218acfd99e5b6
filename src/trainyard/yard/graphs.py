"""Snakemake's graph of jobs in time that grows with its size, where Snakemake 9 takes the square of it.

Two steps of its planning are quadratic for a line of N shards that meet in one job and part again, as all of ours do:
every job that has to run marks all jobs behind it, though the job before it has marked them already; and every job
behind the meeting point looks for its file among the N inputs of the job there. With 8,600 shards they cost minutes of
every start, also of a dry run. Both are put right here without changing what comes out; a Snakemake that is built
differently is left as it is.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Collection, Iterator
from typing import Any

_LONG = 100
"""Inputs from which on a set pays."""


def make_planning_linear(graph: Any, files: Any) -> None:
    """Replace the two steps, and have Python look for cyclic garbage less often, of which planning makes none.

    Args:
        graph: Snakemake's class of graphs (`DAG`).
        files: Its class of lists of input files (`InputFiles`).
    """
    gc.set_threshold(200_000, 20, 100)
    if not hasattr(graph, "bfs") or not hasattr(graph, "update_needrun") or "__contains__" in vars(files):
        return
    files.__contains__ = contains
    update_needrun = graph.update_needrun

    async def update(dag: Any, *args: Any, **kwargs: Any) -> Any:
        # One call is one pass over the graph; the next one marks anew.
        dag.bfs = marking_once(dag.bfs, dag.depending)
        try:
            return await update_needrun(dag, *args, **kwargs)
        finally:
            del dag.bfs

    graph.update_needrun = update


def marking_once(search: Callable[..., Iterator[Any]], downstream: Any) -> Callable[..., Iterator[Any]]:
    """A breadth-first search that does not go on from where an earlier one has been.

    Args:
        search: Yields the jobs that are reached from some, without those where `stop` holds.
        downstream: The direction in which jobs are marked; searches in others stay as they are.
    """
    marked: set[Any] = set()

    def once(direction: Any, *jobs: Any, **kwargs: Any) -> Iterator[Any]:
        if direction is not downstream or kwargs:
            yield from search(direction, *jobs, **kwargs)
            return
        for job in search(direction, *jobs, stop=marked.__contains__):
            marked.add(job)
            yield job

    return once


def contains(files: Any, file: object) -> bool:
    """Whether a file is in a list of files; looks a long list up in a set that is kept with it.

    Args:
        files: List of files, which compare equal to their names and have their hashes.
        file: A file, a name, or None.
    """
    if len(files) < _LONG:
        return list.__contains__(files, file)
    known: tuple[int, Collection[Any]] | None = files.__dict__.get("_members")
    # Lists of files are only ever appended to.
    if known is None or known[0] != len(files):
        known = (len(files), frozenset(files))
        files.__dict__["_members"] = known
    return file in known[1]
