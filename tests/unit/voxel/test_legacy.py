"""Existing batch files are read as they are, and what is wrong with one is said of it by name."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from trainyard.voxel.legacy import LegacyBatchDataset, LegacySampleDataset
from trainyard.yard.errors import InputError, IntegrityError

COUNTS = [3, 2, 4]


def batch(n, seed=0, dtype=torch.float32, **changes):
    torch.manual_seed(seed)
    voxels = (torch.rand((n, 5, 7, 7, 7)) < 0.1).to(dtype)
    return {"voxels": voxels, "scaled_temps": torch.rand((n, 1)), "targets": torch.rand(n), **changes}


@pytest.fixture
def meta(tmp_path):
    """A set as published, with a batch that is short in the middle, as the reference makes it."""
    (tmp_path / "train").mkdir()
    for i, n in enumerate(COUNTS):
        torch.save(batch(n, i), tmp_path / "train" / f"batch_{i:06d}.pt")
    path = tmp_path / "train_batches.meta"
    path.write_text("".join(f"train/batch_{i:06d}.pt\n" for i in range(len(COUNTS))))
    return path


def same(found, wanted):
    return list(found) == list(wanted) and all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_an_item_is_a_whole_file(meta):
    dataset = LegacyBatchDataset(meta)
    assert len(dataset) == 3
    assert all(same(dataset[i], batch(n, i)) for i, n in enumerate(COUNTS))
    assert same(dataset[-1], batch(4, 2))
    assert len(list(dataset)) == 3


@pytest.mark.parametrize("workers", [0, 2])
def test_stock_loaders_shuffle_files(meta, workers):
    loader = DataLoader(LegacyBatchDataset(str(meta)), batch_size=None, shuffle=True, num_workers=workers)
    assert sorted(len(found["targets"]) for found in loader) == sorted(COUNTS)


def test_samples_are_reached_one_by_one_though_files_differ_in_length(meta):
    samples = LegacySampleDataset(LegacyBatchDataset(meta))
    assert len(samples) == 9
    rows = [
        {name: tensor[row] for name, tensor in batch(n, i).items()} for i, n in enumerate(COUNTS) for row in range(n)
    ]
    assert all(same(samples[i], row) for i, row in enumerate(rows))
    assert same(samples[-9], rows[0])
    assert samples[0]["voxels"].shape == (5, 7, 7, 7)
    for index in (9, -10):
        with pytest.raises(IndexError, match="has 9 samples"):
            samples[index]
    (whole,) = DataLoader(samples, batch_size=9)
    assert torch.equal(whole["targets"], torch.cat([batch(n, i)["targets"] for i, n in enumerate(COUNTS)]))


def test_paths_start_from_another_folder_if_it_is_given(meta, tmp_path):
    (tmp_path / "lists").mkdir()
    moved = meta.rename(tmp_path / "lists" / meta.name)
    assert len(LegacyBatchDataset(moved, tmp_path)) == 3
    with pytest.raises(InputError, match="3 of the 3 batch files that it lists are missing"):
        LegacyBatchDataset(moved)


def test_blank_lines_windows_line_ends_and_empty_lists_are_fine(meta):
    meta.write_bytes(b"train/batch_000002.pt\r\n\r\n train/batch_000000.pt\n")
    assert [len(found["targets"]) for found in LegacyBatchDataset(meta)] == [4, 3]
    meta.write_text("")
    assert len(LegacyBatchDataset(meta)) == 0
    assert len(LegacySampleDataset(LegacyBatchDataset(meta))) == 0


def test_missing_files_are_counted_when_the_set_is_opened(meta):
    (meta.parent / "train" / "batch_000001.pt").unlink()
    with pytest.raises(InputError, match=r"1 of the 3 batch files that it lists are missing, first .*batch_000001.pt"):
        LegacyBatchDataset(meta)
    with pytest.raises(InputError, match="no such file"):
        LegacyBatchDataset(meta.parent / "val_batches.meta")


def test_a_file_that_vanishes_later_is_named(meta):
    dataset = LegacyBatchDataset(meta)
    (meta.parent / "train" / "batch_000001.pt").unlink()
    with pytest.raises(InputError, match=r"batch_000001.pt: no such file"):
        dataset[1]


@pytest.mark.parametrize("line", ["/etc/passwd", "../secret.pt", "train/../../secret.pt"])
def test_a_list_cannot_lead_out_of_its_folder(meta, line):
    meta.write_text(f"{line}\n")
    with pytest.raises(InputError, match="lies outside its folder"):
        LegacyBatchDataset(meta)


@pytest.mark.parametrize("kept", [0, 10, 0.5, -1], ids=["empty", "head", "half", "all_but_one_byte"])
@pytest.mark.parametrize("mapped", [False, True], ids=["batches", "samples"])
def test_truncated_files_are_named(meta, kept, mapped):
    path = meta.parent / "train" / "batch_000001.pt"
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole)) if isinstance(kept, float) else kept])
    dataset = LegacyBatchDataset(meta)
    with pytest.raises(IntegrityError, match=r"batch_000001.pt: truncated, or not a batch file"):
        LegacySampleDataset(dataset) if mapped else dataset[1]


class Evil:
    def __reduce__(self):
        return print, ("this must not run",)


def test_a_pickle_that_runs_code_is_refused(meta, capsys):
    path = meta.parent / "train" / "batch_000001.pt"
    torch.save({**batch(2), "targets": Evil()}, path)
    with pytest.raises(IntegrityError, match=r"batch_000001.pt: truncated, or not a batch file"):
        LegacyBatchDataset(meta)[1]
    path.write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(IntegrityError, match=r"batch_000001.pt: truncated, or not a batch file"):
        LegacyBatchDataset(meta)[1]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ([1, 2], "holds a list, expected"),
        ({}, "holds nothing, expected"),
        ({"voxels": torch.zeros(2, 5, 7, 7, 7)}, r"holds voxels \[2, 5, 7, 7, 7\], expected"),
        (batch(2, extra=torch.zeros(2)), "extra"),
        (batch(2, targets=torch.zeros(3)), r"of different batches, .*targets \[3\]"),
        (batch(2, scaled_temps=torch.zeros(2, 2)), r"of different batches, .*scaled_temps \[2, 2\]"),
        (batch(2, targets=torch.zeros(2, 1)), r"targets \[2, 1\], expected"),
        (batch(2, targets=[0.0, 0.0]), r"targets list, expected"),
    ],
)
def test_what_is_no_batch_is_told(meta, found, told):
    torch.save(found, meta.parent / "train" / "batch_000001.pt")
    with pytest.raises(IntegrityError, match=f"batch_000001.pt: .*{told}"):
        LegacyBatchDataset(meta)[1]


@pytest.mark.parametrize("dtype", [torch.bool, torch.float16])
def test_other_types_of_voxels_stay_what_they_are(meta, dtype):
    torch.save(batch(2, dtype=dtype), meta.parent / "train" / "batch_000001.pt")
    assert LegacyBatchDataset(meta)[1]["voxels"].dtype == dtype


def test_safetensors_are_read_too(meta):
    from safetensors.torch import save_file

    path = meta.parent / "train" / "batch_000000.safetensors"
    save_file(batch(3), path)
    meta.write_text("train/batch_000000.safetensors\n")
    found = LegacyBatchDataset(meta)[0]
    assert {name: tensor.tolist() for name, tensor in found.items()} == {n: t.tolist() for n, t in batch(3).items()}
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match="truncated, or not a batch file"):
        LegacyBatchDataset(meta)[0]
