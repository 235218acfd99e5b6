from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from trainyard.voxel.domains import part_of
from trainyard.voxel.plan import drop_residues, make_plan
from trainyard.voxel.planfiles import read_plan, write_plan
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import DOMAINS, INVENTORY, RESIDUES, RMSF, SAMPLES
from trainyard.voxel.settings import VoxelPlanSettings
from trainyard.yard.errors import InputError, IntegrityError, LeakageError

KELVINS = (320.0, 348.0, 379.0, 413.0, 450.0)
LISTS = {"train": ["1bbbA00", "1aaaA00"], "val": ["1cccA00"], "test": ["1dddA00"]}
NAMES = ("ALA", "GLY", "LEU", "SER", "VAL", "LYS")


def grid(domain, resid, *, chain="A", icode="", residue=None, label=None, temperature=None):
    return {
        "domain": domain,
        "chain": chain,
        "residue": residue or f"{resid}{icode}",
        "resid": resid,
        "icode": icode,
        "label": label or NAMES[(resid or 0) % len(NAMES)],
        "temperature": temperature,
    }


def value(domain, resid, kelvin, *, icode="", resname=None, target=None, **strata):
    return {
        "domain_id": domain,
        "resid": resid,
        "icode": icode,
        "resname": resname or NAMES[resid % len(NAMES)],
        "temperature": kelvin,
        "target_rmsf": kelvin / 1000 + resid if target is None else target,
        **strata,
    }


class Inputs:
    """Domains of ten residues at five temperatures, to be changed by a test."""

    def __init__(self, lists=LISTS, residues=10):
        self.lists = lists
        domains = [domain for names in lists.values() for domain in names]
        self.grids = [grid(domain, i) for domain in domains for i in range(residues)]
        self.values = [value(domain, i, k) for domain in domains for i in range(residues) for k in KELVINS]

    def plan(self, *, suffixes=(), table=None, **settings):
        plan = make_plan(
            INVENTORY.table(self.grids),
            RMSF.table(self.values),
            self.lists,
            VoxelPlanSettings(**settings),
            suffixes=suffixes,
            table=table,
        )
        plan.ledger.check()
        for contract, found in ((DOMAINS, plan.domains), (RESIDUES, plan.residues), (SAMPLES, plan.samples)):
            contract.check(found)
        return plan


def rejected(plan, kind):
    found = {reason.value: plan.ledger.rejected(kind, reason) for reason in Reason}
    return {reason: n for reason, n in found.items() if n}


def listed(plan, split):
    """(domain, residue, temperature) of the samples of a split, in order."""
    names = plan.residues.select(["domain", "residue"]).to_pylist()
    rows = [row for row in plan.samples.to_pylist() if row["split"] == split]
    return [(*names[row["residue_uid"]].values(), row["temperature"]) for row in rows]


def same(one, two):
    return all(getattr(one, name).equals(getattr(two, name)) for name in ("domains", "residues", "samples"))


def test_every_residue_has_one_sample_per_temperature_with_its_own_rmsf():
    plan = Inputs().plan()
    assert plan.samples.num_rows == 4 * 10 * 5
    residues = plan.residues.to_pylist()
    for row in plan.samples.to_pylist():
        residue = residues[row["residue_uid"]]
        assert row["target"] == np.float32(row["temperature"] / 1000 + residue["resid"])
        assert row["split"] == residue["split"]
    assert plan.counts["train"] == {"domains": 2, "residues": 20, "samples": 100, "batches": 1}
    assert plan.ledger.summary() == ("4 of 4 domains kept, 40 of 40 residues kept, 200 of 200 samples kept")
    assert plan.failed_domains == []


def test_residues_are_numbered_by_domain_chain_number_and_insertion_code():
    inputs = Inputs()
    inputs.grids = [grid("1aaaA00", i, icode=c) for i, c in ((10, "B"), (10, ""), (-3, ""), (0, ""), (10, "A"))]
    inputs.grids += [grid("1bbbA00", 9), grid("1cccA00", 1)]
    inputs.values = [value(row["domain"], row["resid"], k, icode=row["icode"]) for row in inputs.grids for k in KELVINS]
    plan = inputs.plan()
    assert plan.residues.column("residue").to_pylist() == ["-3", "0", "10", "10A", "10B", "9", "1"]
    assert plan.residues.column("residue_uid").to_pylist() == list(range(7))


def test_rows_count_the_residues_of_a_part():
    plan = Inputs().plan(num_parts=2)
    for part in (0, 1):
        rows = [row["row"] for row in plan.residues.to_pylist() if row["part"] == part]
        assert rows == list(range(len(rows)))


def test_the_order_of_the_inputs_does_not_matter():
    inputs, shuffled = Inputs(), Inputs()
    rng = np.random.default_rng(1)
    shuffled.grids = [shuffled.grids[i] for i in rng.permutation(len(inputs.grids))]
    shuffled.values = [shuffled.values[i] for i in rng.permutation(len(inputs.values))]
    for order in ("shuffled", "domain"):
        assert same(inputs.plan(order=order), shuffled.plan(order=order))


def test_domain_order_is_by_list_then_number_then_temperature():
    inputs = Inputs(residues=11)
    inputs.grids.reverse()
    expected = [(domain, str(i), kelvin) for domain in LISTS["train"] for i in range(11) for kelvin in KELVINS]
    assert listed(inputs.plan(order="domain"), "train") == expected


def test_legacy_order_has_residues_by_name_and_temperatures_as_in_the_table():
    inputs = Inputs(residues=11)
    inputs.values.reverse()
    names = sorted(map(str, range(11)))
    assert names[2] == "10"
    expected = [(domain, name, kelvin) for domain in LISTS["train"] for name in names for kelvin in KELVINS[::-1]]
    assert listed(inputs.plan(order="legacy"), "train") == expected


def test_shuffled_order_follows_the_seed_alone():
    inputs = Inputs()
    first, again, other = inputs.plan(seed=1), inputs.plan(seed=1), inputs.plan(seed=2)
    assert same(first, again)
    assert listed(first, "train") != listed(other, "train")
    assert sorted(listed(first, "train")) == sorted(listed(other, "train"))
    assert listed(first, "train") != sorted(listed(first, "train"))


def test_samples_and_batches_count_from_zero_in_every_split():
    plan = Inputs().plan(batch_size=32)
    rows = [row for row in plan.samples.to_pylist() if row["split"] == "train"]
    assert [row["sample_id"] for row in rows] == list(range(100))
    assert [divmod(row["sample_id"], 32) for row in rows] == [(r["batch_index"], r["row_in_batch"]) for r in rows]
    assert [split["batches"] for split in plan.counts.values()] == [4, 2, 2]


def test_shuffled_batches_have_the_spread_of_random_ones():
    """Two flexible domains among eight: in domain order the batch means would spread far wider."""
    lists = {"train": [f"1a{c}aA00" for c in "abcdefgh"], "val": ["1cccA00"], "test": []}
    inputs = Inputs(lists, residues=400)
    rng = np.random.default_rng(0)
    for row in inputs.values:
        row["target_rmsf"] = rng.gamma(2, 0.1) + (1 if row["domain_id"] in ("1aaaA00", "1abaA00") else 0)

    def spread(order):
        plan = inputs.plan(order=order, batch_size=256)
        targets = plan.samples.column("target").to_numpy()[: plan.counts["train"]["samples"]]
        means = targets[: targets.size // 256 * 256].reshape(-1, 256).mean(axis=1)
        return means.std(ddof=1) / (targets.std() / 16)

    assert spread("shuffled") == pytest.approx(1, abs=0.2)
    assert spread("domain") > 3


def test_a_new_domain_leaves_the_parts_of_the_others():
    before = Inputs().plan(num_parts=7)
    after = Inputs({**LISTS, "train": ["1aabA00", *LISTS["train"]]}).plan(num_parts=7)
    parts = [
        dict(zip(p.domains["domain"].to_pylist(), p.domains["part"].to_pylist(), strict=True)) for p in (before, after)
    ]
    assert {domain: parts[1][domain] for domain in parts[0]} == parts[0]
    assert parts[0]["1aaaA00"] == part_of("1aaaA00", 7)


def test_every_domain_ends_used_or_with_a_reason():
    lists = {**LISTS, "val": ["1cccA00", "9noRmsf", "9noVoxels", "9noJoin"]}
    inputs = Inputs({**lists, "more": ["9unlisted"]})
    inputs.lists = lists
    inputs.grids = [row for row in inputs.grids if row["domain"] != "9noVoxels"]
    inputs.values = [row for row in inputs.values if row["domain_id"] != "9noRmsf"]
    for row in inputs.values:
        row["resid"] += 100 * (row["domain_id"] == "9noJoin")
    plan = inputs.plan(max_reject_fraction=0.5)
    assert rejected(plan, "domain") == {
        "not_in_voxel_file": 1,
        "not_in_rmsf_table": 1,
        "in_no_split_list": 1,
        "no_residue_group": 1,
    }
    assert rejected(plan, "residue") == {"in_no_split_list": 10, "not_in_rmsf_table": 10, "residue_without_rmsf": 10}
    assert plan.failed_domains == ["9noJoin", "9noRmsf", "9noVoxels"]
    rows = {row["domain"]: row for row in plan.domains.to_pylist()}
    assert (rows["9unlisted"]["split"], rows["9unlisted"]["residues"], rows["9unlisted"]["part"]) == ("", 0, None)
    assert rows["9noVoxels"]["evidence"] == "not in the voxel file"
    assert rows["1aaaA00"]["evidence"] == "same name; 10 residues joined, 0 names differ"
    details = {row["item"]: row["detail"] for row in plan.ledger.rejections if row["kind"] == "domain"}
    assert details["9noRmsf"].startswith("in val: no RMSF domain of this name")


def test_suffixes_map_domains_and_keep_their_own_names():
    inputs = Inputs()
    for row in inputs.grids:
        row["domain"] += "_pdb"
    inputs.lists = {split: [f"{domain}_pdb" for domain in domains] for split, domains in LISTS.items()}
    plan = inputs.plan(suffixes=["_pdb"])
    row = plan.residues.to_pylist()[0]
    assert (row["domain"], row["rmsf_domain"]) == ("1aaaA00_pdb", "1aaaA00")
    assert plan.domains.column("pdb_chain").to_pylist()[0] == "1aaaA"
    with pytest.raises(InputError, match=r"40 of 40 residues .*\(40 not_in_rmsf_table\).* no RMSF domain of this name"):
        inputs.plan()
    with pytest.raises(InputError, match=r"no sample is in train; .* \(1aaaA00_pdb: not_in_rmsf_table, 1bbbA00_pdb: "):
        inputs.plan(max_reject_fraction=1)


def test_case_of_a_chain_matters():
    inputs = Inputs({"train": ["5gaeN01", "5gaen01"], "val": ["5gaea00"], "test": []})
    for row in inputs.values:
        row["target_rmsf"] = {"5gaeN01": 1.0, "5gaen01": 2.0, "5gaea00": 3.0}[row["domain_id"]]
    plan = inputs.plan()
    names = plan.residues.column("domain").to_pylist()
    found = {(names[row["residue_uid"]], row["target"]) for row in plan.samples.to_pylist()}
    assert found == {("5gaeN01", 1.0), ("5gaen01", 2.0), ("5gaea00", 3.0)}


def test_max_domains_counts_usable_ones_in_the_order_of_the_list():
    inputs = Inputs({**LISTS, "train": ["9noVoxels", "1bbbA00", "1aaaA00"]})
    inputs.grids = [row for row in inputs.grids if row["domain"] != "9noVoxels"]
    plan = inputs.plan(max_domains=1)
    assert set(plan.residues.column("domain").to_pylist()) == {"1bbbA00", "1cccA00", "1dddA00"}
    assert rejected(plan, "domain") == {"not_in_voxel_file": 1, "over_max_domains": 1}
    assert rejected(plan, "residue") == {"over_max_domains": 10}


def test_names_that_differ_only_in_protonation_agree():
    inputs = Inputs()
    for row in inputs.grids:
        row["label"] = "HIS" if row["resid"] % 2 else "MET"
    for row in inputs.values:
        row["resname"] = ("HSD", "HSE", "HSP")[row["resid"] % 3] if row["resid"] % 2 else "MSE"
    assert inputs.plan().ledger.rejected("residue") == 0


def test_a_residue_of_another_name_is_rejected_with_both_names():
    inputs = Inputs()
    inputs.grids[0]["label"] = "TRP"
    plan = inputs.plan()
    assert rejected(plan, "residue") == {"residue_name_mismatch": 1}
    (row,) = plan.ledger.rejections
    assert (row["item"], row["detail"]) == ("1bbbA00 A 0", "TRP in the voxel file, ALA in the RMSF table")
    assert plan.samples.num_rows == 195
    assert plan.domains.column("evidence").to_pylist()[1] == "same name; 10 residues joined, 1 names differ"


def test_other_names_can_be_an_error_or_a_warning(caplog):
    inputs = Inputs()
    inputs.grids[0]["label"] = "TRP"
    with pytest.raises(InputError, match=r"1 residues have another name .*1bbbA00 A 0: TRP in the voxel file"):
        inputs.plan(resname_mismatch="error")
    plan = inputs.plan(resname_mismatch="warn")
    assert plan.samples.num_rows == 200
    assert "1 residues have another name" in plan.warnings[0]
    assert plan.warnings[0] in caplog.text


def test_a_domain_numbered_otherwise_loses_the_residues_that_agree_by_chance_too():
    """Labels shifted by one residue: a name that agrees says nothing."""
    inputs = Inputs()
    for row in inputs.values:
        if row["domain_id"] == "1bbbA00":
            row["resname"] = "ALA" if row["resid"] == 6 else NAMES[(row["resid"] + 1) % len(NAMES)]
    plan = inputs.plan(max_reject_fraction=0.3)
    assert rejected(plan, "residue") == {"residue_name_mismatch": 10}
    assert "1bbbA00" in plan.failed_domains
    evidence = {row["domain"]: row["evidence"] for row in plan.domains.to_pylist()}
    assert evidence["1bbbA00"] == "same name; 10 residues joined, 9 names differ"
    details = [row["detail"] for row in plan.ledger.rejections if row["item"] == "1bbbA00 A 6"]
    assert details == ["most other names of its domain differ: the residues are numbered differently"]


def test_residues_without_label_cannot_be_checked_and_stay():
    inputs = Inputs()
    for row in inputs.grids:
        row["label"] = None
    assert inputs.plan().samples.num_rows == 200


def test_missing_temperatures_are_counted_by_default():
    inputs = Inputs()
    inputs.values = inputs.values[2:]
    plan = inputs.plan()
    assert plan.samples.num_rows == 198
    assert rejected(plan, "sample") == {"missing_temperatures": 2}
    (row,) = plan.ledger.rejections
    assert (row["item"], row["detail"]) == ("1bbbA00 A 0", "no RMSF at 320, 348 K")
    assert "1 residues lack temperatures" in plan.warnings[0]


def test_missing_temperatures_can_reject_the_residue_or_stop_the_build():
    inputs = Inputs()
    inputs.values = inputs.values[2:]
    plan = inputs.plan(missing_temperatures="reject")
    assert plan.samples.num_rows == 195
    assert rejected(plan, "residue") == {"missing_temperatures": 1}
    with pytest.raises(InputError, match=r"1 residues lack temperatures \(1bbbA00 A 0: no RMSF at 320, 348 K\)"):
        inputs.plan(missing_temperatures="error")


def test_several_chains_are_used_where_numbers_tell_residues_apart():
    inputs = Inputs()
    for row in inputs.grids:
        row["chain"] = "A" if row["resid"] < 5 else "B"
    assert inputs.plan().samples.num_rows == 200
    plan = inputs.plan(chains="first")
    assert set(plan.residues.column("chain").to_pylist()) == {"A"}
    assert rejected(plan, "residue") == {"chain_not_used": 20}


def test_a_number_in_two_chains_is_no_guess():
    inputs = Inputs()
    inputs.grids += [grid("1bbbA00", 3, chain="B")]
    plan = inputs.plan()
    assert rejected(plan, "residue") == {"repeated_residue_number": 2}
    assert {row["item"] for row in plan.ledger.rejections} == {"1bbbA00 A 3", "1bbbA00 B 3"}
    assert inputs.plan(chains="first").samples.num_rows == 200


def test_the_first_chain_is_the_first_with_numbered_residues():
    inputs = Inputs()
    inputs.grids += [grid("1bbbA00", None, chain="0", residue="HOH")]
    plan = inputs.plan(chains="first")
    assert rejected(plan, "residue") == {"chain_not_used": 1}
    assert rejected(inputs.plan(), "residue") == {"not_a_residue": 1}


def test_two_spellings_of_one_number_are_both_rejected():
    inputs = Inputs()
    inputs.grids += [grid("1bbbA00", 3, residue="03")]
    assert rejected(inputs.plan(), "residue") == {"repeated_residue_number": 2}


def test_grids_of_one_temperature_serve_it_alone():
    inputs = Inputs()
    inputs.grids = [
        {**row, "temperature": kelvin, "residue": f"{row['residue']}/{kelvin:g}"}
        for row in inputs.grids
        for kelvin in (320.0, 450.0)
    ]
    plan = inputs.plan()
    assert plan.samples.num_rows == plan.residues.num_rows == 80
    for row in plan.samples.to_pylist():
        assert plan.residues.column("residue")[row["residue_uid"]].as_py().endswith(f"/{row['temperature']:g}")


def test_strata_stand_with_the_residue():
    inputs = Inputs()
    for row in inputs.values[:5]:
        row.update(relative_accessibility=0.5, dssp="H" if row["temperature"] > 320 else None, secondary_structure=0)
    first = inputs.plan().residues.to_pylist()[10]
    assert (first["domain"], first["resid"]) == ("1bbbA00", 0)
    assert (first["relative_accessibility"], first["dssp"], first["secondary_structure"]) == (0.5, "H", 0)
    assert inputs.plan().residues.column("dssp").null_count == 39


def test_scaling_is_fitted_on_train_alone(caplog):
    inputs = Inputs()
    inputs.values = [r for r in inputs.values if r["domain_id"] not in LISTS["train"] or r["temperature"] < 450]
    plan = inputs.plan()
    assert (plan.scaler["temp_max"], plan.scaler["n_train"]) == (413.0, 80)
    scaled = {(row["split"], row["temperature"]): row["scaled_temp"] for row in plan.samples.to_pylist()}
    assert scaled["val", 450] == pytest.approx(1.398, abs=5e-4)
    assert scaled["train", 413] == 1
    assert any("450 K to 1.398" in message for message in plan.warnings)
    clamped = inputs.plan(clamp_temperature=True)
    assert max(clamped.samples.column("scaled_temp").to_pylist()) == 1
    assert "the clamp makes them equal to the edge" in caplog.text


def test_one_temperature_is_scaled_to_a_half():
    inputs = Inputs()
    inputs.values = [row for row in inputs.values if row["temperature"] == 348]
    assert set(inputs.plan().samples.column("scaled_temp").to_pylist()) == {0.5}


def test_sharing_an_entry_with_train_is_reported_or_refused():
    inputs = Inputs({"train": ["12asA00"], "val": ["12asB00"], "test": []})
    assert inputs.plan().leakage["val"]["same_pdb"] == 1
    with pytest.raises(LeakageError, match="12asB00"):
        inputs.plan(leakage="error")
    inputs.lists = {"train": ["12asA00"], "val": ["12asA00"]}
    with pytest.raises(LeakageError, match="two split lists"):
        inputs.plan()


def test_train_and_val_must_have_samples_and_test_may_be_empty(caplog):
    caplog.set_level(logging.WARNING)
    plan = Inputs({**LISTS, "test": []}).plan()
    assert plan.warnings == ("the test split has no samples",)
    assert caplog.messages == ["the test split has no samples"]
    for split in ("train", "val"):
        with pytest.raises(InputError, match=f"no sample is in {split}; of its 0 listed domains"):
            Inputs({**LISTS, split: []}).plan()
    inputs = Inputs()
    inputs.grids = [grid("9unlisted", 1)]
    with pytest.raises(InputError, match=r"no sample is in train.* \(1aaaA00: not_in_voxel_file, 1bbbA00: "):
        inputs.plan()


def test_an_empty_voxel_file_is_refused_like_an_empty_split():
    inputs = Inputs()
    inputs.grids = []
    with pytest.raises(InputError, match="no sample is in train"):
        inputs.plan()


def test_too_many_rejects_stop_the_build_with_the_first_of_them():
    inputs = Inputs()
    inputs.values = [row for row in inputs.values if row["resid"] > 2]
    with pytest.raises(InputError, match=r"12 of 40 residues cannot be used \(12 residue_without_rmsf\).*1aaaA00 A 0"):
        inputs.plan()
    assert inputs.plan(max_reject_fraction=0.3).samples.num_rows == 140


def test_rmsf_rows_that_are_not_clean_are_refused():
    inputs = Inputs()
    inputs.values.append(inputs.values[0])
    with pytest.raises(InputError, match=r"1 residues twice at one temperature, such as 1bbbA00 0 at 320 K"):
        inputs.plan()
    with pytest.raises(IntegrityError, match="missing fingerprint"):
        make_plan(INVENTORY.table([]).drop(["fingerprint"]), RMSF.table([]), LISTS, VoxelPlanSettings())


def test_a_plan_is_read_back_as_written_with_the_same_bytes(tmp_path):
    plan = Inputs().plan()
    write_plan(plan, tmp_path / "a")
    write_plan(Inputs().plan(), tmp_path / "b")
    for path in sorted((tmp_path / "a").iterdir()):
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()
    again = read_plan(tmp_path / "a")
    assert same(plan, again)
    assert (again.scaler, again.leakage, again.warnings) == (plan.scaler, plan.leakage, plan.warnings)
    assert again.ledger.to_dict() == plan.ledger.to_dict()
    (tmp_path / "a" / "plan.json").write_text("[]")
    with pytest.raises(IntegrityError, match="not a plan"):
        read_plan(tmp_path / "a")


def test_dropped_residues_leave_no_gap_and_the_order_of_the_others():
    settings = VoxelPlanSettings(batch_size=32, num_parts=2, max_reject_fraction=0.5)
    plan = Inputs().plan(batch_size=32, num_parts=2, max_reject_fraction=0.5)
    uids = [0, *range(30, 40)]
    gone = {tuple(plan.residues.select(["domain", "residue"]).to_pylist()[uid].values()) for uid in uids}
    after = drop_residues(plan, dict.fromkeys(uids, (Reason.EMPTY_GRID, "0 voxels")), settings)
    for split in LISTS:
        assert listed(after, split) == [row for row in listed(plan, split) if row[:2] not in gone]
    assert after.counts["test"] == {"domains": 0, "residues": 0, "samples": 0, "batches": 0}
    assert after.counts["train"]["samples"] == 95
    assert after.samples.column("sample_id").to_pylist()[:95] == list(range(95))
    assert after.residues.column("residue_uid").to_pylist() == list(range(29))
    assert after.failed_domains == ["1dddA00"]
    assert rejected(after, "residue") == {"empty_grid": 11}
    assert rejected(after, "sample") == {"grid_rejected": 55}
    assert rejected(after, "domain") == {"no_residue_group": 1}
    assert after.warnings == ("the test split has no samples",)
    for part in (0, 1):
        rows = [row["row"] for row in after.residues.to_pylist() if row["part"] == part]
        assert rows == list(range(len(rows)))
    after.ledger.check()
    assert plan.ledger.rejected("residue") == 0


def test_dropping_nothing_or_too_much():
    settings = VoxelPlanSettings()
    plan = Inputs().plan()
    assert drop_residues(plan, {}, settings) is plan
    with pytest.raises(InputError, match=r"9 of 40 residues cannot be used \(9 unreadable\)"):
        drop_residues(plan, dict.fromkeys(range(9), (Reason.UNREADABLE, "")), settings)


def test_planning_needs_neither_torch_nor_h5py():
    code = "import sys, trainyard.voxel.planfiles, trainyard.voxel.sizes, trainyard.voxel.rmsf;"
    code += "sys.exit(any(name in sys.modules for name in ('torch', 'h5py', 'pandas')))"
    assert (
        subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": ":".join(sys.path)}).returncode
        == 0
    )


def test_bytes_do_not_depend_on_the_hash_seed_of_python(tmp_path):
    for seed in ("1", "2"):
        env = {"PYTHONPATH": ":".join(sys.path), "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, __file__, str(tmp_path / seed)], check=True, env=env)
    for path in sorted((tmp_path / "1").iterdir()):
        assert path.read_bytes() == (tmp_path / "2" / path.name).read_bytes()


def test_published_counts_are_reached():
    """As many domains, residues and temperatures as published, in a few seconds; the names are simulated."""
    sizes = {"train": (4911, 668_738), "val": (245, 38_022), "test": (222, 30_943)}
    lists, per_domain = {}, []
    for split, (domains, residues) in sizes.items():
        lists[split] = [f"{split}{i:04d}" for i in range(domains)]
        per_domain += np.diff(np.linspace(0, residues, domains + 1).astype(int)).tolist()
    names = pa.array([name for names in lists.values() for name in names])
    n = sum(per_domain)
    domain = names.take(pa.array(np.repeat(np.arange(len(names)), per_domain)))
    resid = pa.array(np.concatenate([np.arange(k, dtype=np.int32) for k in per_domain]))
    label = pa.array(["ALA", "GLY"]).take(pa.array(np.asarray(resid) % 2))
    inventory = {"domain": domain, "chain": pa.repeat("A", n), "residue": resid.cast(pa.string()), "resid": resid}
    inventory |= {"icode": pa.repeat("", n), "label": label}
    every = pa.array(np.repeat(np.arange(n), 5))
    rmsf = {"domain_id": domain.take(every), "resid": resid.take(every), "icode": pa.repeat("", 5 * n)}
    rmsf |= {"resname": label.take(every), "temperature": pa.array(np.tile(np.float32(KELVINS), n))}
    rmsf |= {"target_rmsf": pa.array(np.ones(5 * n, np.float32))}

    def table(contract, columns):
        length = len(next(iter(columns.values())))
        arrays = [columns.get(c.name, pa.nulls(length, c.type)) for c in contract.columns]
        return pa.table(arrays, schema=contract.schema)

    plan = make_plan(table(INVENTORY, inventory), table(RMSF, rmsf), lists, VoxelPlanSettings())
    expected = zip((3_343_690, 190_110, 154_715), (13_062, 743, 605), (74, 158, 91), strict=True)
    for split, (samples, batches, last) in zip(sizes, expected, strict=True):
        counts = plan.counts[split]
        assert (counts["domains"], counts["residues"]) == sizes[split]
        assert (counts["samples"], counts["batches"]) == (samples, batches)
        assert samples - 256 * (batches - 1) == last


if __name__ == "__main__":
    write_plan(Inputs().plan(), Path(sys.argv[1]))
