"""What jobs ask for grows with their input and with the attempt, and every rule asks by the one table."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainyard.yard.pending import STAGES
from trainyard.yard.resources import NEEDS, SNAKEMAKE_MB, Limits, Need, gpus, line_of

RULES = Path(__file__).resolve().parents[3] / "rules"
SIZES = st.floats(0, 1e15, allow_nan=False)


def test_an_example() -> None:
    need = Need(1000, 10, "residues", mem_mb_per_million=2000, minutes_per_million=33)
    assert need.memory(500_000) == 1000 + 1000 + SNAKEMAKE_MB
    assert need.memory(500_000, shards=10_000) == need.memory(500_000) + 600
    assert need.runtime(500_000) == 27
    assert need.memory(500_000, attempt=2) == 2 * need.memory(500_000)
    assert need.runtime(1_000_000, attempt=3) == 4 * 43


@pytest.mark.parametrize("rule", sorted(NEEDS))
@settings(max_examples=15)
@given(size=SIZES, more=SIZES, attempt=st.integers(1, 4))
def test_more_input_or_a_later_attempt_never_asks_for_less(rule: str, size: float, more: float, attempt: int) -> None:
    need = NEEDS[rule]
    for ask in (need.memory, need.runtime):
        assert ask(size + more, attempt) >= ask(size, attempt) > 0
        assert ask(size, attempt + 1) > ask(size, attempt)
        assert isinstance(ask(size, attempt), int)
    assert need.output(size + more) >= need.output(size)


def test_a_later_attempt_asks_for_no_more_than_there_is_but_the_first_is_never_cut() -> None:
    need = Need(1500, 100)
    limits = Limits(mem_mb=3000, minutes=150)
    assert [need.memory(attempt=n, limits=limits) for n in (1, 2, 3)] == [2000, 3000, 3000]
    assert [need.runtime(attempt=n, limits=limits) for n in (1, 2, 3)] == [100, 150, 150]
    assert need.memory(limits=Limits(mem_mb=1000)) == 2000


def test_there_is_no_attempt_before_the_first() -> None:
    with pytest.raises(ValueError, match="the first is 1"):
        Need(1, 1).memory(attempt=0)


def test_a_unit_is_named_where_and_only_where_input_counts() -> None:
    for rule, need in NEEDS.items():
        counts = need.mem_mb_per_million or need.minutes_per_million or need.output_per_unit
        assert bool(need.unit) == bool(counts), rule


def test_every_rule_that_runs_something_asks_by_the_table_under_its_own_name() -> None:
    asked = {}
    for file in RULES.glob("*.smk"):
        for block in re.split(r"^rule ", file.read_text(), flags=re.MULTILINE)[1:]:
            rule = block.partition(":")[0]
            if "\n    shell:" in block:
                asked[rule] = re.findall(r"^        (mem_mb|runtime)=(\w+)\(\"(\w+)\"\),$", block, re.MULTILINE)
    assert len(asked) > 20
    assert asked == {rule: [("mem_mb", "memory", rule), ("runtime", "minutes", rule)] for rule in asked}
    assert asked.keys() <= NEEDS.keys()
    assert asked.keys() <= {rule for rules in STAGES.values() for rule in rules}


@pytest.mark.parametrize(
    ("rule", "line"),
    [("transit_build_shards", "transit"), ("demo_voxel", "voxel"), ("demo_transit_recovery", "transit")],
)
def test_line_of_a_rule(rule: str, line: str) -> None:
    assert line_of(rule) == line


def test_a_gpu_is_asked_for_when_the_configuration_names_one() -> None:
    assert [gpus(device) for device in ("cuda", "cpu", "auto")] == [1, 0, 0]
