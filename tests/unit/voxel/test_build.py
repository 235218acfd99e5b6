"""A store part is built from the plan's residues, or from the members that the Snakefile keeps: the same bytes."""

from __future__ import annotations

import shutil

import pyarrow.compute as pc
import pytest

from trainyard.voxel.build import build_part
from trainyard.voxel.parts import GRID, ledger_path, open_part, part_name, table_path
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import MEMBERS, PARTS, RESIDUES
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import read_json
from trainyard.yard.ledger import Ledger

LABELS = ("0001-0002", "0002-0002")


def built(voxels, residues, out, label, *, bad_grid="reject"):
    return build_part(voxels, residues, out, label=label, channels=("C", "N", "O", "CA", "CB"), bad_grid=bad_grid)


def names(table):
    return [tuple(row.values()) for row in table.select(["domain", "chain", "residue"]).to_pylist()]


@pytest.fixture
def voxel_file(small_store):
    return small_store.folder.parent / "voxels.hdf5"


@pytest.fixture
def residues(small_store):
    return small_store.folder.parent / "plan" / "residues.parquet"


@pytest.mark.parametrize("label", LABELS)
def test_a_part_holds_its_residues_of_the_plan_and_its_ledger_counts_them(voxel_file, residues, tmp_path, label):
    ledger = built(voxel_file, residues, tmp_path, label)
    number = LABELS.index(label)
    path = tmp_path / part_name(number, 2)
    planned = RESIDUES.read(residues)
    mine = planned.filter(pc.equal(planned["part"], number))
    assert 0 < mine.num_rows < planned.num_rows
    assert names(PARTS.read(table_path(path))) == names(mine)
    assert open_part(path).grids == ledger.kept(GRID) == ledger.expected(GRID) == mine.num_rows
    assert ledger_path(path).name == f"ledger_{label}.json"
    assert read_json(ledger_path(path)) == ledger.to_dict()


def test_members_alone_give_the_same_bytes_whatever_the_number_of_the_part(voxel_file, residues, tmp_path):
    built(voxel_file, residues, tmp_path / "plan", "0002-0002")
    planned = RESIDUES.read(residues)
    members = tmp_path / "members.parquet"
    MEMBERS.write(members, planned.filter(pc.equal(planned["part"], 1)).select(MEMBERS.names))
    for label in ("0002-0002", "0003-0005"):
        built(voxel_file, members, tmp_path / "members", label)
    one, same, other = (
        (folder / f"part_{label}.safetensors").read_bytes()
        for folder, label in [
            (tmp_path / "plan", "0002-0002"),
            (tmp_path / "members", "0002-0002"),
            (tmp_path / "members", "0003-0005"),
        ]
    )
    assert one == same == other


def test_a_rejected_grid_stands_in_the_ledger_of_its_part_by_name(voxels, residues, tmp_path):
    proteins = {f"d{i}": voxels.protein(f"d{i}", [str(n) for n in range(-1, 5 + i)]) for i in range(6)}
    domain = names(RESIDUES.read(residues, filters=pc.equal(pc.field("part"), 0)))[0][0]
    proteins[domain]["A"]["2"][:] = False
    path = voxels.write(proteins)
    built(path, residues, tmp_path / "out", "0001-0002")
    ledger = Ledger.from_dict(read_json(tmp_path / "out" / "ledger_0001-0002.json"), Reason)
    ledger.check()
    assert ledger.rejected(GRID, Reason.EMPTY_GRID) == ledger.rejected(GRID) == 1
    assert [row["item"] for row in ledger.rejections] == [f"{domain}/A/2"]
    with pytest.raises(InputError, match=rf"voxels.hdf5: {domain}/A/2: .*plan\.bad_grid"):
        built(path, residues, tmp_path / "strict", "0001-0002", bad_grid="error")
    assert not list((tmp_path / "strict").glob("part_*"))


def test_what_is_no_label_or_no_table_of_residues_is_refused(voxel_file, residues, tmp_path):
    with pytest.raises(ValueError, match="is not a shard label"):
        built(voxel_file, residues, tmp_path, "0003-0002")
    domains = shutil.copy(residues.with_name("domains.parquet"), tmp_path / "members.parquet")
    with pytest.raises((InputError, IntegrityError), match=r"members\.parquet"):
        built(voxel_file, domains, tmp_path, "0001-0002")
