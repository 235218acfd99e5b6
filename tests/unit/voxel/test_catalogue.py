"""What the Snakefile knows of a plan changes when, and only when, something that shapes it does."""

from __future__ import annotations

import os
from types import SimpleNamespace

import numpy as np
import pytest
from pydantic import ValidationError

from trainyard.voxel import catalogue, sizes
from trainyard.voxel.catalogue import (
    input_files,
    member_path,
    placed,
    plan_summary,
    refuse_changed,
    refuse_missing,
    write_checked_plan,
)
from trainyard.voxel.domains import part_of
from trainyard.voxel.planfiles import read_plan
from trainyard.voxel.schema import MEMBERS
from trainyard.voxel.settings import VoxelSettings
from trainyard.yard.errors import EnvironmentFault, InputError, IntegrityError

PARTS = 3
SAMPLES = {"train": 2 * 2 * 3, "val": 2 * 3, "test": 2 * 3}


class Inputs:
    """Voxel file, RMSF table and lists of a few domains of two residues at three temperatures."""

    def __init__(self, voxels, folder):
        self.voxels, self.folder = voxels, folder
        self.proteins = {name: voxels.protein(name, ["1", "2"]) for name in ("a", "b", "c", "d")}
        self.write()

    def write(self):
        path = self.voxels.write(self.proteins)
        rows = [
            f"{domain},{residue},ALA,{kelvin},{kelvin / 1000}"
            for domain in self.proteins
            for residue in (1, 2)
            for kelvin in (320, 348, 450)
        ]
        self.rmsf = self.folder / "rmsf.csv"
        self.rmsf.write_text("\n".join(["domain_id,resid,resname,temperature_feature,target_rmsf", *rows, ""]))
        *train, val, test = sorted(self.proteins)
        for split, domains in (("train", train), ("val", [val]), ("test", [test])):
            (self.folder / f"{split}.txt").write_text("\n".join(domains))
        return path

    def settings(self, **sections):
        inputs = {"source": "files", "voxel_file": self.folder / "voxels.hdf5", "aggregated_rmsf_file": [self.rmsf]}
        inputs |= {f"{split}_split_file": self.folder / f"{split}.txt" for split in ("train", "val", "test")}
        values = {"inputs": inputs, "plan": {"num_parts": PARTS}, "export": {}}
        return VoxelSettings.model_validate(
            {name: {**values.get(name, {}), **sections.get(name, {})} for name in values}
        )

    def summary(self, **options):
        return plan_summary(options.pop("settings", self.settings()), cache=self.folder / "cache", code="c", **options)


@pytest.fixture
def inputs(voxels, tmp_path):
    return Inputs(voxels, tmp_path)


@pytest.fixture
def no_planning(monkeypatch):
    """From when it is called, planning anew is an error."""

    def forbid():
        monkeypatch.setattr(catalogue, "_summary", lambda *_: pytest.fail("planned anew"))

    return forbid


def test_the_summary_tells_counts_sizes_and_who_is_in_which_part(inputs):
    found = inputs.summary()
    assert {split: n["samples"] for split, n in found.counts.items()} == SAMPLES
    assert "12 train, 6 val, 6 test" in found.sentence
    assert "pt files" not in found.sentence
    for number, digest in enumerate(found.parts):
        members = MEMBERS.read(member_path(inputs.folder / "cache", digest))
        assert set(members["domain"].to_pylist()) == {d for d in "abcd" if part_of(d, PARTS) == number}
        assert members.num_rows == found.residues[number]
    assert sum(found.residues) == 8


def test_batch_files_are_announced_to_the_byte(inputs):
    found = inputs.summary(settings=inputs.settings(export={"formats": ["store", "pt"]}))
    whole = sum(sizes.pt_bytes(n, archive="batch_000000") for n in SAMPLES.values())
    assert f"pt files exactly {whole:,} bytes" in found.sentence


def test_nothing_is_planned_anew_while_nothing_changes(inputs, no_planning):
    first = inputs.summary()
    no_planning()
    assert inputs.summary() == first


def test_a_touched_input_gives_the_same_summary(inputs):
    first = inputs.summary()
    for path in input_files(inputs.settings()):
        os.utime(path, ns=(1, 1))
    assert inputs.summary() == first


def test_jobs_trust_the_cache_without_a_look_at_the_inputs(inputs, no_planning):
    first = inputs.summary()
    no_planning()
    for path in input_files(inputs.settings()):
        path.unlink()
    assert inputs.summary(trust_cache=True) == first


@pytest.mark.parametrize("spoil", ["summary", "members", "inventory"])
def test_a_damaged_or_missing_cache_only_costs_time(inputs, spoil):
    first = inputs.summary()
    cache = inputs.folder / "cache"
    damaged = {
        "summary": cache.glob("voxel-plan-*.json"),
        "members": (cache / "voxel-members").iterdir(),
        "inventory": [*cache.glob("voxel-inventory-*.parquet"), *cache.glob("voxel-plan-*.json")],
    }[spoil]
    for path in list(damaged):
        path.unlink() if spoil == "members" else path.write_text("{")
    assert inputs.summary() == first
    assert all(member_path(cache, digest).is_file() for digest in first.parts)


def test_a_new_domain_changes_its_own_part_alone(inputs):
    first = inputs.summary()
    inputs.proteins["aa"] = inputs.voxels.protein("aa", ["1", "2"])
    inputs.write()
    second = inputs.summary()
    assert second.plan != first.plan
    changed = {i for i in range(PARTS) if second.parts[i] != first.parts[i]}
    assert changed == {part_of("aa", PARTS)}


def test_a_changed_grid_changes_the_plan_and_its_part(inputs):
    first = inputs.summary()
    grid = inputs.proteins["b"]["A"]["2"]
    grid[np.nonzero(~grid)[0][0], 0, 0, 0] ^= True
    inputs.write()
    second = inputs.summary()
    assert second.plan != first.plan
    assert {i for i in range(PARTS) if second.parts[i] != first.parts[i]} == {part_of("b", PARTS)}


def test_changed_rmsf_or_lists_change_the_plan_but_no_part(inputs):
    first = inputs.summary()
    inputs.rmsf.write_text(inputs.rmsf.read_text().replace("0.348", "0.349"))
    second = inputs.summary()
    (inputs.folder / "train.txt").write_text("b\na\n# remark\n")
    third = inputs.summary()
    assert len({first.plan, second.plan, third.plan}) == 3
    assert first.parts == second.parts == third.parts


def test_where_the_inputs_lie_is_no_matter(inputs, voxels, tmp_path_factory):
    other = tmp_path_factory.mktemp("other")
    voxels.folder = other
    assert Inputs(voxels, other).summary().parts == inputs.summary().parts
    assert Inputs(voxels, other).summary().plan == inputs.summary().plan


def test_the_plan_is_written_and_its_counts_are_told(inputs):
    sentence = write_checked_plan(inputs.settings(), inputs.folder / "out" / "plan", cache=None)
    assert sentence == inputs.summary().sentence
    plan = read_plan(inputs.folder / "out" / "plan")
    assert {split: n["samples"] for split, n in plan.counts.items()} == SAMPLES
    assert plan.residues.num_rows == 8
    plan.ledger.check()


def test_no_plan_is_written_where_the_disk_lacks_room(inputs, monkeypatch):
    settings, out = inputs.settings(export={"formats": ["store", "pt"]}), inputs.folder / "out" / "plan"
    needed = inputs.summary(settings=settings).sizes.total
    free = SimpleNamespace(free=needed // 2)
    monkeypatch.setattr(sizes.shutil, "disk_usage", lambda _: free)
    with pytest.raises(EnvironmentFault, match=f"the outputs take {needed:,} bytes"):
        write_checked_plan(settings, out, cache=None)
    assert not out.exists()
    other = out.parent / "train" / "model.bin"
    other.parent.mkdir(parents=True)
    other.write_bytes(bytes(needed))  # what is no part of store or export makes no room
    with pytest.raises(EnvironmentFault):
        write_checked_plan(settings, out, cache=None)
    earlier = out.parent / "store" / "grids" / "part.safetensors"
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(bytes(needed * 2 // 3))  # what an earlier build left does
    write_checked_plan(settings, out, cache=None)
    assert (out / "plan.json").is_file()


def structures(folder, *names, rmsf=True, **changes):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_text("ATOM")
    table = folder / "rmsf.csv"
    lists = {f"{split}_split_file": folder / f"{split}.txt" for split in ("train", "val")}
    for path in (table, *lists.values()):
        path.write_text("")
    inputs = {"source": "structures", "structures": [folder], **lists}
    return VoxelSettings.model_validate({"inputs": {**inputs, "aggregated_rmsf_file": [table] * rmsf, **changes}})


def test_structures_with_all_that_goes_with_them_are_accepted(tmp_path):
    refuse_missing(structures(tmp_path, "a.pdb"))
    refuse_missing(structures(tmp_path / "md", "mdcath_dataset_1abcA00.h5", rmsf=False))


def test_structures_without_their_tables_and_lists_are_refused_by_name(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such"):
        refuse_missing(structures(tmp_path, "a.pdb", structures=[tmp_path / "nowhere"]))
    with pytest.raises(InputError, match=r"absent\.txt: no such file"):
        refuse_missing(structures(tmp_path, "a.pdb", val_split_file=tmp_path / "absent.txt"))
    with pytest.raises(InputError, match=r"a\.pdb: has no RMSF.*voxel\.inputs\.aggregated_rmsf_file"):
        refuse_missing(structures(tmp_path, "a.pdb", "mdcath_dataset_1abcA00.h5", rmsf=False))


def test_more_structures_than_a_command_can_be_given_are_to_be_named_by_their_folder(tmp_path):
    with pytest.raises(ValidationError, match=r"inputs\.structures has 5000 paths.*name the folder"):
        structures(tmp_path, structures=[f"/data/structures/{i:05d}.pdb" for i in range(5000)])


def test_inputs_that_change_during_a_build_are_noticed(inputs):
    settings, cache = inputs.settings(), inputs.folder / "cache"
    digest = inputs.summary().plan
    for path in input_files(settings):
        os.utime(path, ns=(1, 1))
    refuse_changed(settings, digest, cache=cache)
    inputs.rmsf.write_text(inputs.rmsf.read_text().replace("0.348", "0.349"))
    with pytest.raises(IntegrityError, match=r"voxels\.hdf5, or the tables and lists with it, changed while"):
        refuse_changed(settings, digest, cache=cache)
    refuse_changed(VoxelSettings(), "of the demo", cache=cache)


def test_made_inputs_are_looked_for_where_rules_make_them(inputs, tmp_path):
    demo, voxelized = tmp_path / "demo", tmp_path / "voxel" / "voxelized.hdf5"
    own = inputs.settings()
    assert placed(own, demo=demo, voxelized=voxelized) == own
    assert {path.parent for path in input_files(placed(VoxelSettings(), demo=demo, voxelized=voxelized))} == {demo}
    front = structures(tmp_path / "md", "mdcath_dataset_1abcA00.h5", rmsf=False)
    made = placed(front, demo=demo, voxelized=voxelized).inputs
    assert (made.voxel_file, made.aggregated_rmsf_file) == (voxelized, [tmp_path / "voxel" / "rmsf.csv"])
    given = structures(tmp_path / "pdb", "a.pdb")
    assert placed(given, demo=demo, voxelized=voxelized).inputs.aggregated_rmsf_file == [tmp_path / "pdb" / "rmsf.csv"]


def test_members_do_not_say_which_part_they_are(inputs):
    """With another number of parts, a part of the same residues is the same part."""
    one = inputs.summary(settings=inputs.settings(plan={"num_parts": 1}))
    table = MEMBERS.read(member_path(inputs.folder / "cache", one.parts[0]))
    assert "part" not in table.column_names
    assert table.num_rows == 8
