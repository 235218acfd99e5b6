"""Members of shards, kept beside Snakemake under their digest."""

from __future__ import annotations

import pytest
from synthetic_stars import make_file, make_star, make_tce

from trainyard.transit.members import (
    assignment_digest,
    is_kept,
    keep_plan,
    kept_plan,
    members_digest,
    read_assignment,
    read_members,
)
from trainyard.transit.plan import Plan, PlannedStar
from trainyard.transit.reasons import Reason
from trainyard.yard.errors import IntegrityError
from trainyard.yard.ledger import Ledger


def plan_of(*stars, num_shards=3):
    planned = [PlannedStar(star, star.target_id % num_shards, "train", star.target_id, "KP") for star in stars]
    return Plan(num_shards, tuple(planned), Ledger("transit", Reason))


STARS = (
    make_star([make_tce("1-1-S1", sectors=None), make_tce("1-2-S1", errors=(1e-5, 0.1 + 0.2))], [make_file(1)], 1),
    make_star([], [make_file(2), make_file(2, kind="tp", mag=float("nan"))], 2),
)


def test_members_come_back_as_they_were(tmp_path):
    _, shards, splits = keep_plan(plan_of(*STARS), tmp_path)
    # repr, because NaN is not equal to itself
    assert [repr(read_members(tmp_path, digest)) for digest in shards] == [
        repr(stars) for stars in ((), (STARS[0],), (STARS[1],))
    ]
    assert [read_assignment(tmp_path, digest) for digest in splits] == [{}, {1: "train"}, {2: "train"}]
    assert is_kept(tmp_path, [*shards, *splits])


def test_keeping_the_same_plan_again_writes_nothing(tmp_path):
    keep_plan(plan_of(*STARS), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    keep_plan(plan_of(*STARS), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == before


def test_files_that_have_moved_are_found_at_their_new_place_under_the_same_digest(tmp_path):
    moved = make_star(STARS[0].tces, [make_file(1, path="/new/1.fits")], 1)
    plan, before, _ = keep_plan(plan_of(STARS[0]), tmp_path)
    moved_plan, after, _ = keep_plan(plan_of(moved), tmp_path)
    assert before == after
    assert read_members(tmp_path, after[1])[0].files[0].path == "/new/1.fits"
    assert kept_plan(tmp_path) == moved_plan
    assert keep_plan(plan_of(STARS[0]), tmp_path).plan == kept_plan(tmp_path) == plan
    assert repr(read_members(tmp_path, before[1])) == repr((STARS[0],))


def test_members_of_an_earlier_plan_stay_for_the_jobs_that_wait_for_them(tmp_path):
    _, shards, splits = keep_plan(plan_of(STARS[0], num_shards=1), tmp_path)
    keep_plan(plan_of(STARS[1], num_shards=1), tmp_path)
    assert is_kept(tmp_path, [*shards, *splits])
    assert repr(read_members(tmp_path, shards[0])) == repr((STARS[0],))
    assert read_assignment(tmp_path, splits[0]) == {1: "train"}


def test_digests_of_what_is_kept_are_those_of_plan_members_and_splits(tmp_path):
    plan = plan_of(*STARS)
    kept = keep_plan(plan, tmp_path)
    assert kept.plan == plan.digest
    assert kept.shards == tuple(members_digest(plan.members(shard)) for shard in range(3))
    assert kept.splits == tuple(assignment_digest(plan.assignment(shard)) for shard in range(3))


def test_many_shards_make_few_files(tmp_path):
    stars = [make_star([], [make_file(target)], target) for target in range(1, 5001)]
    _, shards, splits = keep_plan(plan_of(*stars, num_shards=500), tmp_path)
    assert len(list(tmp_path.iterdir())) == 5 + 5 + 1
    assert sum(len(read_members(tmp_path, digest)) for digest in shards[::50]) == 100
    assert is_kept(tmp_path, [*shards, *splits])


def test_a_lost_pack_is_missed(tmp_path):
    _, shards, splits = keep_plan(plan_of(*STARS), tmp_path)
    for pack in tmp_path.glob("*.msgpack"):
        pack.unlink()
    assert not is_kept(tmp_path, shards[:1])
    assert not is_kept(tmp_path, splits[:1])
    with pytest.raises(IntegrityError, match="members of this shard are lost"):
        read_members(tmp_path, shards[0])


@pytest.mark.parametrize("index", [b"", b"[]", b"{}", b"\xff", b'{"plan": "1", "packs": 3}'])
def test_a_broken_index_keeps_nothing_and_is_written_again(tmp_path, index):
    _, shards, _ = keep_plan(plan_of(*STARS), tmp_path)
    (tmp_path / "index.json").write_bytes(index)
    assert kept_plan(tmp_path) is None
    assert not is_kept(tmp_path, shards)
    keep_plan(plan_of(*STARS), tmp_path)
    assert is_kept(tmp_path, shards)


def test_what_is_not_kept_is_told(tmp_path):
    _, shards, _ = keep_plan(plan_of(*STARS), tmp_path)
    assert not is_kept(tmp_path, [*shards, "0123456789abcdef"])
    assert not is_kept(tmp_path / "nowhere", shards)
    with pytest.raises(IntegrityError, match=r"0123456789abcdef.*run snakemake again"):
        read_members(tmp_path, "0123456789abcdef")


@pytest.mark.parametrize("spoil", [lambda x: x[:-5], lambda x: x.replace(b"7-1", b"7-2"), lambda _: b"[]"])
def test_members_that_have_changed_are_refused(tmp_path, spoil):
    star = make_star([make_tce("7-1-S1")], [make_file(7)])
    _, shards, splits = keep_plan(plan_of(star, num_shards=1), tmp_path)
    for pack in tmp_path.glob("*.msgpack"):
        pack.write_bytes(spoil(pack.read_bytes()).replace(b"train", b"tests"))
    for digest, read in ((shards[0], read_members), (splits[0], read_assignment)):
        with pytest.raises(IntegrityError, match="members of this shard are lost"):
            read(tmp_path, digest)
    keep_plan(plan_of(star, num_shards=1), tmp_path)
    assert repr(read_members(tmp_path, shards[0])) == repr((star,))
