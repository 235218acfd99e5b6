"""Members of shards, kept beside Snakemake under their digest."""

from __future__ import annotations

import pytest
from synthetic_stars import make_file, make_star, make_tce

from trainyard.transit.members import is_kept, keep_plan, read_assignment, read_members
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
    shards, splits = keep_plan(plan_of(*STARS), tmp_path)
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
    before, _ = keep_plan(plan_of(STARS[0]), tmp_path)
    after, _ = keep_plan(plan_of(moved), tmp_path)
    assert before == after
    assert read_members(tmp_path, after[1])[0].files[0].path == "/new/1.fits"


def test_what_is_not_kept_is_told(tmp_path):
    shards, _ = keep_plan(plan_of(*STARS), tmp_path)
    assert not is_kept(tmp_path, [*shards, "0123456789abcdef"])
    assert not is_kept(tmp_path / "nowhere", shards)
    with pytest.raises(IntegrityError, match=r"0123456789abcdef.*run snakemake again"):
        read_members(tmp_path, "0123456789abcdef")


@pytest.mark.parametrize("spoil", [lambda text: text[:-5], lambda text: text.replace("7-1", "7-2"), lambda text: "[]"])
def test_members_that_have_changed_are_refused(tmp_path, spoil):
    star = make_star([make_tce("7-1-S1")], [make_file(7)])
    shards, splits = keep_plan(plan_of(star, num_shards=1), tmp_path)
    for digest, read in ((shards[0], read_members), (splits[0], read_assignment)):
        path = tmp_path / f"{digest}.json"
        path.write_text(spoil(path.read_text()).replace("train", "test"))
        with pytest.raises(IntegrityError, match="members of this shard are lost"):
            read(tmp_path, digest)
