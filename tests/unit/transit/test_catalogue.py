"""Where a plan comes from, and when it is worked out again."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from light_curve_files import TESS, write_curve

from trainyard.transit import catalogue
from trainyard.transit.catalogue import MEMBERS, load_plan, plan_summary
from trainyard.transit.members import is_kept, read_members
from trainyard.transit.settings import DemoSettings, PlanSettings, TransitSettings
from trainyard.yard.errors import InputError

DEMO = TransitSettings(demo=DemoSettings(stars=12, sectors=1, days=6), plan=PlanSettings(num_shards=3))
HEADER = "uid,target_id,tce_period,tce_time0bk,tce_duration,label,sector_run"


class Archive:
    """A table and light curves of a few stars."""

    def __init__(self, folder):
        self.folder = folder
        self.cache = folder / "cache"
        self.table = folder / "tces.csv"
        (folder / "lc").mkdir()
        self.write_table("1-1-S1,1,3,1501,2,KP,1", "2-1-S1,2,4,1501,2,EB,1")
        for star in (1, 2):
            self.add(star)

    def write_table(self, *rows):
        self.table.write_text("\n".join([HEADER, *rows]) + "\n")

    def add(self, star, sector=1):
        write_curve(self.folder / "lc" / f"{star}-{sector}.fits", primary=TESS | {"TICID": star, "SECTOR": sector})

    @property
    def settings(self):
        inputs = {"source": "archive", "tce_table": self.table, "light_curves": [self.folder / "lc"]}
        return TransitSettings(inputs=inputs, plan={"num_shards": 2})

    def summary(self, **options):
        arguments = {"cache": self.cache, "code": "code"} | options
        return plan_summary(self.settings, self.folder / "demo", **arguments)


@pytest.fixture
def archive(tmp_path):
    return Archive(tmp_path)


@pytest.fixture
def forbid(monkeypatch):
    """Make functions of the module fail when they are called."""

    def forbid_all(*names):
        for name in names:

            def fail(*args, called=name, **kwargs):
                raise AssertionError(f"{called} was called")

            monkeypatch.setattr(catalogue, name, fail)

    return forbid_all


def test_the_demo_is_planned_before_any_of_its_files_is_there(tmp_path):
    summary = plan_summary(DEMO, tmp_path / "demo", cache=tmp_path / "cache", code="code")
    assert not (tmp_path / "demo").exists()
    assert sum(summary.targets) == 12
    assert load_plan(DEMO, tmp_path / "demo", cache=None).digest == summary.plan
    stars = [star for digest in summary.shards for star in read_members(tmp_path / "cache" / MEMBERS, digest)]
    assert sum(file.bytes for star in stars for file in star.files) == sum(summary.bytes)


def test_a_summary_tells_of_the_plan(archive):
    summary = archive.summary()
    plan = load_plan(archive.settings, archive.folder / "demo", cache=archive.cache)
    assert summary.plan == plan.digest
    assert summary.targets == tuple(len(shard) for shard in plan.shards)
    assert sum(summary.bytes) == sum(path.stat().st_size for path in (archive.folder / "lc").iterdir())
    assert is_kept(archive.cache / MEMBERS, [*summary.shards, *summary.splits])


def test_nothing_is_read_again_while_nothing_has_changed(archive, forbid):
    first = archive.summary()
    forbid("read_tces", "index_files", "make_plan")
    assert archive.summary() == first


def test_the_processes_of_single_jobs_do_not_even_look_at_the_archive(archive, forbid):
    first = archive.summary()
    forbid("read_tces", "list_files", "index_files", "make_plan")
    assert archive.summary(trust_cache=True) == first


def test_without_a_summary_even_a_job_plans(archive):
    assert archive.summary(trust_cache=True) == archive.summary()


def test_a_new_file_changes_the_shard_of_its_star(archive):
    first = archive.summary()
    archive.add(1, sector=2)
    second = archive.summary()
    assert sum(a != b for a, b in zip(first.shards, second.shards, strict=True)) == 1
    assert second.splits == first.splits
    assert second.plan != first.plan


def test_an_archive_that_moved_away_and_back_is_found_where_it_is(archive, tmp_path):
    first = archive.summary()
    (tmp_path / "elsewhere").mkdir()
    archive.folder = (archive.folder / "lc").rename(tmp_path / "elsewhere" / "lc").parent
    moved = archive.summary()
    assert moved.shards == first.shards
    archive.folder = (archive.folder / "lc").rename(tmp_path / "lc").parent
    assert archive.summary() == first
    stars = [star for digest in first.shards for star in read_members(archive.cache / MEMBERS, digest)]
    assert {file.path for star in stars for file in star.files} == {str(path) for path in (tmp_path / "lc").iterdir()}


def test_a_changed_table_is_read_again(archive):
    first = archive.summary()
    archive.write_table("1-1-S1,1,3,1501,2,KP,1", "2-1-S1,2,4.5,1501,2,EB,1")
    assert archive.summary().plan != first.plan


def test_planning_leaves_the_collection_of_garbage_as_it_was(archive):
    archive.summary()
    assert gc.isenabled()
    archive.table.unlink()
    with pytest.raises(InputError):
        archive.summary(code="other")
    assert gc.isenabled()


def test_changed_planning_code_plans_again(archive, forbid):
    archive.summary()
    forbid("make_plan")
    with pytest.raises(AssertionError, match="make_plan"):
        archive.summary(code="other")


@pytest.mark.parametrize("lose", [f"{MEMBERS}/*.msgpack", f"{MEMBERS}/index.json", "*.json"])
@pytest.mark.parametrize("how", ["gone", "emptied"])
def test_what_is_lost_of_the_cache_is_made_again(archive, lose, how):
    first = archive.summary()
    for path in [*archive.cache.glob(lose)]:
        path.unlink() if how == "gone" or path.suffix == ".msgpack" else path.write_text("{}")
    assert archive.summary() == first
    assert is_kept(archive.cache / MEMBERS, [*first.shards, *first.splits])


def test_members_are_those_of_the_last_plan_when_two_archives_hold_the_same_files(tmp_path):
    archives = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        archives.append(Archive(tmp_path / name))
        archives[-1].cache = tmp_path / "cache"
    for archive in (*archives, *archives):
        digest = archive.summary().shards[0]
        stars = read_members(tmp_path / "cache" / MEMBERS, digest)
        assert stars
        assert all(Path(file.path).is_relative_to(archive.folder) for star in stars for file in star.files)


def test_a_missing_table_or_folder_is_named(archive):
    archive.table.unlink()
    with pytest.raises(InputError, match=r"tces\.csv: the TCE table is not there"):
        archive.summary()
    (archive.folder / "lc").rename(archive.folder / "gone")
    with pytest.raises(InputError, match="lc: this archive folder is not there"):
        archive.summary()
