"""Batch files hold what the loader gives, byte for byte the same after any kill, and nothing stale beside them."""

from __future__ import annotations

import json
import shutil
from importlib.metadata import version
from itertools import chain

import pytest
import torch

from trainyard.voxel import export
from trainyard.voxel.export import ExportPart, export_part
from trainyard.voxel.legacy import LegacyBatchDataset
from trainyard.voxel.loader import make_loader
from trainyard.voxel.metafiles import write_meta
from trainyard.voxel.schema import SPLITS
from trainyard.voxel.settings import VoxelExportSettings
from trainyard.voxel.sizes import output_bytes
from trainyard.yard.errors import ConfigError, EnvironmentFault, IntegrityError
from trainyard.yard.files import sha256_file
from workflow_scripts import voxel_export_part, voxel_write_meta

NAMES = ["voxels", "scaled_temps", "targets"]


def settings(*formats, **changes):
    return VoxelExportSettings(**{"formats": ["store", *(formats or ["pt"])], "num_parts": 3, **changes})


def parts(of):
    return [ExportPart(split, number, of.num_parts) for split in SPLITS for number in range(of.num_parts)]


def exported(store, out, of):
    """All parts and the lists."""
    for part in parts(of):
        export_part(store, part, out, settings=of)
    write_meta(store, domains(store), [part.manifest(out) for part in parts(of)], out)
    return out


def domains(store):
    return store.folder.parent / "plan" / "domains.parquet"


def tree(folder):
    """All files, hidden ones too, with what is in them."""
    return {str(path.relative_to(folder)): sha256_file(path) for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def out(small_store, tmp_path_factory):
    """A finished export to .pt in three parts; not to be written to."""
    return exported(small_store, tmp_path_factory.mktemp("export"), settings())


@pytest.mark.parametrize("split", SPLITS)
def test_files_and_loader_give_identical_tensors_in_the_same_order(small_store, out, split):
    files = LegacyBatchDataset(out / f"{split}_batches.meta")
    loader = make_loader(small_store, split, 8, order="stored")
    assert len(files) == len(loader)
    for found, wanted in zip(files, loader, strict=True):
        assert list(found) == list(wanted) == NAMES
        for name in NAMES:
            assert found[name].dtype == wanted[name].dtype
            assert torch.equal(found[name], wanted[name])
            assert found[name].is_contiguous()


def test_an_export_has_the_published_files_and_the_predicted_bytes(small_store, out):
    names = {split: [f"batch_{i:06d}.pt" for i in range(n)] for split, n in (("train", 8), ("val", 4), ("test", 4))}
    manifests = {f"{split}/part_000{i}-0003.json" for split in SPLITS for i in (1, 2, 3)}
    lists = {f"{split}_batches.meta" for split in SPLITS}
    others = {"temp_scaling_params.json", "failed_preprocess_domains.txt", "failed_preprocess_domains.csv"}
    batches = {f"{split}/{name}" for split in SPLITS for name in names[split]}
    assert set(tree(out)) == batches | manifests | lists | others
    counts = {split: n["samples"] for split, n in small_store.manifest["counts"]["splits"].items()}
    predicted = output_bytes(counts, 1, settings(), batch_size=8)
    for split in SPLITS:
        assert sum(path.stat().st_size for path in (out / split).glob("*.pt")) == predicted.batches["pt"][split]
        assert (out / f"{split}_batches.meta").stat().st_size == predicted.lists["pt"][split]
        assert (out / f"{split}_batches.meta").read_text() == "".join(f"{split}/{name}\n" for name in names[split])


def test_manifests_vouch_for_a_contiguous_stretch_each(out):
    told = [json.loads((out / "train" / f"part_000{i}-0003.json").read_text()) for i in (1, 2, 3)]
    files = [[entry["file"] for entry in part["files"]] for part in told]
    assert [len(names) for names in files] == [2, 3, 3]
    assert list(chain(*files)) == [f"batch_{i:06d}.pt" for i in range(8)]
    for entry in chain(*(part["files"] for part in told)):
        path = out / "train" / entry["file"]
        assert (entry["bytes"], entry["sha256"]) == (path.stat().st_size, sha256_file(path))
    assert [entry["records"] for entry in told[2]["files"]] == [8, 8, 7]
    assert told[0]["formats"] == {"pt": version("torch")}


def test_the_scaling_and_the_failed_domains_are_always_there(out):
    scaling = json.loads((out / "temp_scaling_params.json").read_text())
    assert (scaling["temp_min"], scaling["temp_max"]) == (320.0, 450.0)
    assert (out / "failed_preprocess_domains.txt").read_text() == "absent\n"
    rows = (out / "failed_preprocess_domains.csv").read_text().splitlines()
    assert rows == ["domain,split,reason,detail", "absent,test,not_in_voxel_file,in test"]


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool"])
def test_types_and_formats_hold_the_same_values(small_store, tmp_path, dtype):
    of = settings("pt", "safetensors", dtype=dtype, num_parts=1)
    exported(small_store, tmp_path, of)
    lists = [LegacyBatchDataset(tmp_path / f"val_batches.{kind}") for kind in ("meta", "safetensors.meta")]
    for pt, safetensors, wanted in zip(*lists, make_loader(small_store, "val", 8), strict=True):
        assert pt["voxels"].dtype == safetensors["voxels"].dtype == getattr(torch, dtype)
        assert torch.equal(pt["voxels"].float(), wanted["voxels"])
        assert all(torch.equal(pt[name], safetensors[name]) for name in NAMES)
        assert torch.equal(pt["targets"], wanted["targets"])


def test_other_values_than_ones_are_exact_or_refused(gaussian_store, tmp_path):
    exported(gaussian_store, tmp_path, settings(dtype="float16"))
    (found,) = LegacyBatchDataset(tmp_path / "train_batches.meta")
    (wanted,) = make_loader(gaussian_store, "train", 8)
    assert torch.equal(found["voxels"].float(), wanted["voxels"])
    assert 0 < wanted["voxels"].max() < 1
    with pytest.raises(ConfigError, match=r"export.dtype: bool does not hold"):
        export_part(gaussian_store, ExportPart("train", 2, 3), tmp_path, settings=settings(dtype="bool"))


def test_any_number_of_parts_gives_the_same_batch_files(small_store, out, tmp_path):
    exported(small_store, tmp_path, settings(num_parts=9))
    batches = {name: digest for name, digest in tree(out).items() if name.endswith((".pt", ".meta"))}
    assert {name: digest for name, digest in tree(tmp_path).items() if name.endswith((".pt", ".meta"))} == batches


class Killed(BaseException):
    """What a killed process leaves is what it leaves when nothing more of it runs."""


def killed_at(monkeypatch, files):
    """Let `export` die while it writes the file after so many."""
    written = []

    def save(batch, path):
        if len(written) == files:
            path.write_bytes(b"half a file")
            raise Killed
        written.append(path.name)
        torch.save({name: torch.from_numpy(array) for name, array in batch.items()}, path)

    monkeypatch.setattr(export, "_save_pt", save)
    return written


def test_a_killed_part_goes_on_and_ends_with_the_same_bytes(small_store, out, tmp_path, monkeypatch):
    part, of = ExportPart("train", 1, 3), settings()
    killed_at(monkeypatch, 2)
    with pytest.raises(Killed):
        export_part(small_store, part, tmp_path, settings=of)
    assert not part.manifest(tmp_path).exists()
    left = [path.name for path in (tmp_path / "train").glob("*.pt")]
    assert sorted(left) == ["batch_000002.pt", "batch_000003.pt"]
    (tmp_path / "train" / "batch_000002.pt").write_bytes(b"damaged meanwhile")
    (tmp_path / "train" / f".{part.name}-of-a-killed-process").mkdir()

    written = killed_at(monkeypatch, 100)
    export_part(small_store, part, tmp_path, settings=of)
    assert written == ["batch_000002.pt", "batch_000004.pt"]
    mine = {name: digest for name, digest in tree(out).items() if name in tree(tmp_path)}
    assert tree(tmp_path) == mine
    assert len(mine) == 4
    assert not [path for path in (tmp_path / "train").iterdir() if path.is_dir()]


def test_no_manifest_vouches_for_files_that_are_being_rewritten(small_store, out, tmp_path, monkeypatch):
    shutil.copytree(out, tmp_path, dirs_exist_ok=True)
    part = ExportPart("train", 0, 3)
    killed_at(monkeypatch, 1)
    with pytest.raises(Killed):
        export_part(small_store, part, tmp_path, settings=settings(dtype="bool"))
    assert not part.manifest(tmp_path).exists()


def test_files_of_other_settings_are_written_again(small_store, tmp_path, monkeypatch):
    part = ExportPart("train", 0, 3)
    killed_at(monkeypatch, 1)
    with pytest.raises(Killed):
        export_part(small_store, part, tmp_path, settings=settings())
    written = killed_at(monkeypatch, 100)
    export_part(small_store, part, tmp_path, settings=settings(dtype="float16"))
    assert written == ["batch_000000.pt", "batch_000001.pt"]


def test_what_an_earlier_plan_left_is_removed_and_nothing_else(small_store, tmp_path):
    exported(small_store, tmp_path, settings("pt", "safetensors", num_parts=4))
    kept = [
        "train/notes.txt",
        "train/my_batch_000000.pt",
        "train/batch_00000.pt",
        "batch_000000.pt",
        "other/batch_000000.pt",
    ]
    stale = ["train/batch_000008.pt", "test/batch_1000000.pt", "train/.part_0001-0009.journal"]
    for name in (*kept, *stale):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    exported(small_store, tmp_path, settings())
    found = set(tree(tmp_path))
    assert found >= set(kept)
    assert not found & set(stale)
    assert not [name for name in found if "safetensors" in name or "-0004" in name]
    assert {path.name for path in (tmp_path / "train").glob("part_*")} == {f"part_000{i}-0003.json" for i in (1, 2, 3)}


def test_lists_are_refused_while_parts_are_missing_or_do_not_go_together(small_store, gaussian_store, out, tmp_path):
    shutil.copytree(out, tmp_path, dirs_exist_ok=True)
    manifests = [part.manifest(tmp_path) for part in parts(settings())]

    def finish(some=manifests, store=small_store):
        write_meta(store, domains(store), some, tmp_path)

    finish()
    with pytest.raises(IntegrityError, match=r"1 parts are missing, first val/part_0002-0003"):
        finish([path for path in manifests if path != ExportPart("val", 1, 3).manifest(tmp_path)])
    with pytest.raises(IntegrityError, match="is not the store that the parts were made from"):
        finish(store=gaussian_store)
    with (tmp_path / "test" / "batch_000001.pt").open("ab") as file:
        file.write(b"x")
    with pytest.raises(IntegrityError, match=r"test/batch_000001.pt: missing, or not the \d+ bytes"):
        finish()
    export_part(small_store, ExportPart("test", 0, 3), tmp_path, settings=settings(dtype="bool"))
    with pytest.raises(IntegrityError, match="differ in store, settings or software"):
        finish()
    manifests[0].write_text("{}")
    with pytest.raises(IntegrityError, match="no manifest of exported batches"):
        finish()


def test_an_empty_part_has_a_manifest_too(small_store, tmp_path):
    assert export_part(small_store, ExportPart("val", 0, 9), tmp_path, settings=settings(num_parts=9))["files"] == []
    assert ExportPart("val", 0, 9).manifest(tmp_path).is_file()


def test_a_full_disk_is_foreseen(small_store, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10**9, 10**9, 10**6))
    with pytest.raises(EnvironmentFault, match=r"take 2,967,836 bytes"):
        export_part(small_store, ExportPart("train", 0, 3), tmp_path, settings=settings())


def test_what_torch_cannot_write_names_the_file(small_store, tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("[enforce fail at inline_container.cc:664] unexpected pos 64 vs 0")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(EnvironmentFault, match=r"batch_000000.pt: torch cannot write it; is the disk full\?"):
        export_part(small_store, ExportPart("train", 0, 3), tmp_path, settings=settings())
    assert not list((tmp_path / "train").glob("*.pt"))


def test_a_size_other_than_predicted_is_an_error(small_store, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "pt_bytes", lambda *_, **__: 12345)
    with pytest.raises(IntegrityError, match=r"batch_000000.pt: has \d+ bytes, predicted were 12345"):
        export_part(small_store, ExportPart("train", 0, 3), tmp_path, settings=settings())


def test_another_torch_may_write_other_sizes(small_store, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(export, "pt_bytes", lambda *_, **__: 12345)
    monkeypatch.setattr(export, "_SIZES_OF", "1.0.")
    exported(small_store, tmp_path, settings(num_parts=1))
    assert "may differ" in caplog.text
    assert len(LegacyBatchDataset(tmp_path / "train_batches.meta")[0]["targets"]) == 8


@pytest.mark.parametrize("label", ["0000-0004", "0005-0004", "4", "a-b", "0001-0004-0002", "-1-4"])
def test_labels_of_parts_that_do_not_exist_are_refused(label):
    with pytest.raises(ConfigError, match="is no label of a part"):
        ExportPart.parse("train", label)


def test_the_commands_do_the_same(small_store, out, tmp_path, capsys):
    of = settings().model_dump_json()
    for split in SPLITS:
        for label in ("0001-0003", "0002-0003", "0003-0003"):
            arguments = ["--store", str(small_store.folder), "--split", split, "--part", label]
            voxel_export_part.main([*arguments, "--settings", of, "--out", str(tmp_path)])
    arguments = ["--store", str(small_store.folder), "--domains", str(domains(small_store))]
    voxel_write_meta.main([*arguments, "--settings", of, "--out", str(tmp_path)])
    assert tree(tmp_path) == tree(out)
    told = capsys.readouterr().out.splitlines()
    assert told[0].endswith("part_0001-0003.json: 2 batch files, 2,967,836 bytes")
    assert told[-1] == f"{tmp_path}: 8 batches of train, 4 batches of val, 4 batches of test"
