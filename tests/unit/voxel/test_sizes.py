from __future__ import annotations

import io
import shutil
from collections import namedtuple

import pytest

from trainyard.voxel.settings import VoxelExportSettings
from trainyard.voxel.sizes import check_disk, output_bytes, pt_bytes, safetensors_bytes
from trainyard.yard.errors import EnvironmentFault

PUBLISHED = {"train": 3_343_690, "val": 190_110, "test": 154_715}


def batch(samples, dtype, grid):
    torch = pytest.importorskip("torch")
    return {
        "voxels": torch.zeros((samples, *grid), dtype=getattr(torch, dtype)),
        "scaled_temps": torch.zeros((samples, 1)),
        "targets": torch.zeros(samples),
    }


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool"])
@pytest.mark.parametrize("samples", [1, 2, 9, 74, 255, 256, 257, 70_000])
def test_size_of_a_torch_file_is_exact(samples, dtype):
    torch = pytest.importorskip("torch")
    grid = (2, 3, 3, 3) if samples > 1000 else (5, 7, 7, 7)
    file = io.BytesIO()
    torch.save(batch(samples, dtype, grid), file)
    assert pt_bytes(samples, dtype=dtype, grid=grid, archive="archive") == file.tell()


@pytest.mark.parametrize(("samples", "size"), [(256, 47_420_558), (248, 45_938_638), (9, 1_669_134)])
def test_published_sizes_are_met(samples, size):
    assert pt_bytes(samples) == size


@pytest.mark.parametrize("name", ["batch_000000", "batch_1234567", "b"])
def test_the_name_of_a_torch_file_counts(tmp_path, name):
    torch = pytest.importorskip("torch")
    torch.save(batch(9, "float32", (5, 21, 21, 21)), tmp_path / f"{name}.pt")
    assert pt_bytes(9, archive=name) == (tmp_path / f"{name}.pt").stat().st_size


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool"])
@pytest.mark.parametrize("metadata", [None, {"split": "train", "unit": "nm"}])
@pytest.mark.parametrize("samples", [1, 74, 256])
def test_size_of_a_safetensors_file_is_exact(samples, metadata, dtype):
    save = pytest.importorskip("safetensors.torch").save
    grid = (5, 7, 7, 7)
    expected = len(save(batch(samples, dtype, grid), metadata=metadata))
    assert safetensors_bytes(samples, dtype=dtype, grid=grid, metadata=metadata) == expected


def test_published_counts_give_the_published_bytes():
    export = VoxelExportSettings(formats=["store", "pt"])
    sizes = output_bytes(PUBLISHED, 737_703, export, batch_size=256).batches["pt"]
    # 13,061, 742 and 604 whole files and one short file each.
    short = {"train": 74, "val": 158, "test": 91}
    whole = {split: PUBLISHED[split] // 256 for split in PUBLISHED}
    assert sizes == {split: whole[split] * 47_420_558 + pt_bytes(n) for split, n in short.items()}
    # The published total takes 2,100 bytes of overhead for the three short files; they have 2,070, 2,022 and 2,058.
    overhead = {split: pt_bytes(n) - n * (46_305 * 4 + 8) for split, n in short.items()}
    assert overhead == {"train": 2070, "val": 2022, "test": 2058}
    assert sum(sizes.values()) == 683_247_813_900
    assert sum(sizes.values()) + sum(2100 - n for n in overhead.values()) == 683_247_814_050


def test_lists_of_batch_files_are_counted_to_the_byte():
    export = VoxelExportSettings(formats=["store", "pt", "safetensors"])
    lists = output_bytes({"train": 2_000_005, "val": 0, "test": 1}, 1, export, batch_size=2, grid=(1, 1, 1, 1)).lists
    train = "".join(f"train/batch_{i:06d}.pt\n" for i in range(1_000_003))
    assert lists["pt"] == {"train": len(train), "val": 0, "test": len("test/batch_000000.pt\n")}
    assert lists["safetensors"]["test"] == len("test/batch_000000.safetensors\n")


def test_file_names_of_seven_digits_are_longer():
    export = VoxelExportSettings(formats=["pt"])
    sizes = output_bytes({"train": 1_000_002}, 1, export, batch_size=1, grid=(1, 3, 3, 3)).batches["pt"]
    short, long = (pt_bytes(1, grid=(1, 3, 3, 3), archive=name) for name in ("batch_000000", "batch_1000000"))
    assert sizes["train"] == 1_000_000 * short + 2 * long


def test_a_store_alone_has_no_batch_files():
    sizes = output_bytes(PUBLISHED, 737_703, VoxelExportSettings(), batch_size=256)
    assert (sizes.batches, sizes.exports) == ({}, 0)
    assert 80e6 < sizes.store_typical < 200e6
    assert sizes.total == sizes.store_most < 5e9


def test_a_full_disk_is_refused_with_the_numbers(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**12, 0, 10**9))
    check_disk(tmp_path / "not" / "yet", 9 * 10**8)
    with pytest.raises(
        EnvironmentFault, match=r"take 683,247,813,900 bytes \(683\.2 GB\).* 1,000,000,000 free"
    ) as caught:
        check_disk(tmp_path / "not" / "yet", 683_247_813_900)
    assert caught.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []
