"""What the build of one shard reads and needs, measured on the function that the rule runs."""

from __future__ import annotations

import json
import re
import shlex
import tracemalloc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest

from trainyard.demo.transit import write_inputs
from trainyard.transit.build import build_shard
from trainyard.transit.catalogue import load_plan
from trainyard.transit.members import Star
from trainyard.transit.settings import BuildSettings, DemoSettings, InputSettings, PlanSettings, TransitSettings

if TYPE_CHECKING:
    from conftest import Outcome, Workspace

ONE = {"shard": 1, "num_shards": 1}


@pytest.fixture(scope="module")
def stars(tmp_path_factory: pytest.TempPathFactory) -> tuple[Star, ...]:
    folder = tmp_path_factory.mktemp("stars")
    write_inputs(DemoSettings(stars=12, sectors=1, days=6.0, stamp=5), folder)
    inputs = InputSettings(
        source="archive",
        tce_table=folder / "tces.csv",
        light_curves=[folder / "lc"],
        target_pixels=[folder / "tp"],
    )
    settings = TransitSettings(inputs=inputs, plan=PlanSettings(num_shards=1))
    return load_plan(settings, folder, cache=None).members(0)


def _peak(members: tuple[Star, ...], folder: Path) -> tuple[int, int]:
    """Largest memory of a build beyond that before it, bytes: of Python and numpy, and of Arrow."""
    arrow = pa.default_memory_pool()
    tracemalloc.start()
    before = arrow.max_memory()
    build_shard(members, folder, **ONE, plan=PlanSettings(), settings=BuildSettings())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak, arrow.max_memory() - before


def test_memory_does_not_grow_with_the_number_of_stars(stars: tuple[Star, ...], tmp_path: Path) -> None:
    assert len(stars) == 12
    build_shard(stars[:1], tmp_path / "warm", **ONE, plan=PlanSettings(), settings=BuildSettings())
    few, _ = _peak(stars[:2], tmp_path / "few")
    many, arrow = _peak(stars, tmp_path / "many")
    largest_file = max(file.bytes for star in stars for file in star.files)
    assert few > largest_file / 2, "a build that holds no file at a time is not measured right"
    assert many < few + largest_file
    assert arrow < largest_file


class _Noting:
    """Settings that note which of them are read."""

    def __init__(self, settings: PlanSettings) -> None:
        self._settings = settings
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        self.read.add(name)
        return getattr(self._settings, name)


def test_the_rule_hands_over_exactly_those_settings_of_the_plan_that_a_build_reads(
    stars: tuple[Star, ...], tmp_path: Path, finished: tuple[Workspace, Outcome, Outcome]
) -> None:
    plan = _Noting(PlanSettings())
    build_shard(stars, tmp_path, **ONE, plan=plan, settings=BuildSettings())  # type: ignore[arg-type]
    command = next(job.command for job in finished[1].jobs if job.rule == "transit_build_shards")
    words = shlex.split(re.sub(r"\$\(.*?\)", "", command))
    handed_over = json.loads(words[words.index("--plan-settings") + 1])
    assert set(handed_over) == plan.read
