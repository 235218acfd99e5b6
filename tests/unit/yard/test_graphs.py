"""Planning takes time that grows with the number of jobs, and plans what Snakemake plans by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.iocontainers import InputFiles

from trainyard.yard.graphs import contains, marking_once

Graph = dict[int, dict[int, None]]


def search(
    direction: Graph, *jobs: int, stop: Callable[[int], bool] = lambda job: False, seen: list[int] | None = None
) -> Iterator[int]:
    """Breadth-first search as Snakemake does it."""
    queue = deque(jobs)
    visited = set(queue)
    while queue:
        job = queue.popleft()
        if seen is not None:
            seen.append(job)
        if stop(job):
            continue
        yield job
        for following in direction.get(job, {}):
            if following not in visited:
                queue.append(following)
                visited.add(following)


def marked(find: Callable[..., Iterator[int]], graph: Graph, jobs: list[int]) -> set[int]:
    """What Snakemake marks: everything behind the jobs that are not marked themselves."""
    masked: set[int] = set()
    for job in jobs:
        if job not in masked:
            masked.update(find(graph, job))
    return masked


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=80), st.lists(st.integers(0, 30)))
def test_the_same_jobs_are_marked(edges: list[tuple[int, int]], jobs: list[int]) -> None:
    graph: Graph = {}
    for a, b in edges:
        if a < b:
            graph.setdefault(a, {})[b] = None
    assert marked(marking_once(search, graph), graph, jobs) == marked(search, graph, jobs)


def test_shards_that_meet_and_part_again_are_visited_once() -> None:
    n = 300
    graph: Graph = {shard: {n: None} for shard in range(n)}
    graph[n] = {n + 1 + shard: None for shard in range(n)}
    visits: list[int] = []

    def counted(*args: Any, **kwargs: Any) -> Iterator[int]:
        return search(*args, seen=visits, **kwargs)

    assert marked(marking_once(counted, graph), graph, list(range(n))) == set(range(2 * n + 1))
    assert len(visits) <= 3 * n + 1


def test_a_search_in_another_direction_or_with_a_stop_of_its_own_is_left_alone() -> None:
    down: Graph = {0: {1: None}, 1: {2: None}}
    up: Graph = {2: {1: None}, 1: {0: None}}
    find = marking_once(search, down)
    assert list(find(down, 0)) == [0, 1, 2]
    assert list(find(down, 0)) == []
    assert list(find(up, 2)) == list(find(up, 2)) == [2, 1, 0]
    assert list(find(down, 0, stop=lambda job: job == 2)) == [0, 1]


@pytest.mark.parametrize("n", [0, 5, 99, 100, 5000])
def test_a_file_is_found_in_a_list_of_any_length(n: int) -> None:
    files = InputFiles([f"f{i}" for i in range(n)])
    for name, there in (("f0", n > 0), (f"f{n - 1}", n > 0), (f"f{n}", False), (None, False)):
        assert contains(files, name) is there
    files.append("late")
    assert contains(files, "late")


def test_files_of_snakemake_equal_their_names() -> None:
    from snakemake.io import IOFile

    names = [f"f{i}" for i in range(200)]
    files = InputFiles([IOFile(name) for name in names])
    assert contains(files, "f7") and contains(files, IOFile("f7")) and not contains(files, IOFile("g"))
