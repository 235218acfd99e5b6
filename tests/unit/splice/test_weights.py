from __future__ import annotations

import json
import pickle
from dataclasses import replace

import h5py
import numpy as np
import pytest
import torch
from random_networks import KerasFile, random_member, write_pt

from trainyard.splice.kerasweights import read_spliceai
from trainyard.splice.layers import GROUP
from trainyard.splice.weights import read_ensemble, read_openspliceai
from trainyard.yard.errors import InputError, IntegrityError
from trainyard.yard.files import sha256_file

KERAS = {"epsilon": 1e-3, "slope": 0.0}


def same(one, other) -> None:
    """Two members hold the same numbers."""
    assert (one.epsilon, one.slope, one.context) == (other.epsilon, other.slope, other.context)
    assert [unit.dilation for unit in one.units] == [unit.dilation for unit in other.units]
    for a, b in zip(one.convolutions, other.convolutions, strict=True):
        np.testing.assert_array_equal(a.weight, b.weight)
        np.testing.assert_array_equal(a.bias, b.bias)
    for a, b in zip(one.units, other.units, strict=True):
        for norm in ("norm1", "norm2"):
            for name, array in vars(getattr(a, norm)).items():
                np.testing.assert_array_equal(array, getattr(getattr(b, norm), name))


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_an_openspliceai_file_gives_back_what_is_in_it(tmp_path, groups):
    member = random_member(groups, groups=groups)
    same(read_openspliceai(write_pt(tmp_path / "model.pt", member)), member)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_spliceai_file_is_read_along_its_graph_not_by_the_numbers_of_its_layers(tmp_path, groups, seed):
    member = random_member(groups, groups=groups, **KERAS)
    same(read_spliceai(KerasFile(member, seed=seed).write(tmp_path / "model.h5")), member)


def test_a_spliceai_file_may_have_leaky_activations(tmp_path):
    file = KerasFile(random_member(**KERAS))
    for layer in file.layers:
        if layer["class_name"] == "Activation":
            layer.update(class_name="LeakyReLU", config={"alpha": 0.2})
    assert read_spliceai(file.write(tmp_path / "model.h5")).slope == 0.2


def files(folder, backend, n=2, groups=1):
    """Weight files of `n` members."""
    if backend == "openspliceai-pt":
        return [write_pt(folder / f"{i}.pt", random_member(i, groups=groups)) for i in range(n)]
    return [KerasFile(random_member(i, groups=groups, **KERAS)).write(folder / f"{i}.h5") for i in range(n)]


@pytest.mark.parametrize("backend", ["openspliceai-pt", "spliceai-h5"])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_file_is_one_clear_error(tmp_path, backend, share):
    (path,) = files(tmp_path, backend, n=1)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(InputError, match=r"cannot be read as weights of (Open)?SpliceAI.*truncated or of another kind"):
        read_ensemble([path], backend)


@pytest.mark.parametrize("backend", ["openspliceai-pt", "spliceai-h5"])
@pytest.mark.parametrize("data", [b"PK\x03\x04 no zip", b"\x89HDF\r\n\x1a\n no hdf", b"text", pickle.dumps({"a": 1})])
def test_a_file_of_another_kind_is_one_clear_error(tmp_path, backend, data):
    (tmp_path / "weights").write_bytes(data)
    with pytest.raises(InputError, match=r"weights: (cannot be read|holds no plain dict)"):
        read_ensemble([tmp_path / "weights"], backend)


def test_weights_of_the_other_backend_are_told_apart(tmp_path):
    (pt,), (h5,) = files(tmp_path, "openspliceai-pt", 1), files(tmp_path, "spliceai-h5", 1)
    with pytest.raises(InputError, match=r"check model\.backend"):
        read_ensemble([h5], "openspliceai-pt")
    with pytest.raises(InputError, match=r"check model\.backend"):
        read_ensemble([pt], "spliceai-h5")


class Danger:
    """What a pickle could run."""

    def __reduce__(self):
        return (print, ("ran",))


def test_nothing_in_a_weight_file_is_run(tmp_path, capsys):
    torch.save({"initial_conv.weight": Danger()}, tmp_path / "bad.pt")
    with pytest.raises(InputError, match=r"bad\.pt: cannot be read"):
        read_ensemble([tmp_path / "bad.pt"], "openspliceai-pt")
    assert capsys.readouterr().out == ""


def test_members_come_in_the_order_of_their_checksums(tmp_path):
    paths = files(tmp_path, "openspliceai-pt", 4)
    forth, back = (read_ensemble(order, "openspliceai-pt") for order in (paths, paths[::-1]))
    assert [file.sha256 for file in forth] == sorted(map(sha256_file, paths)) == [file.sha256 for file in back]


@pytest.mark.parametrize("backend", ["openspliceai-pt", "spliceai-h5"])
def test_a_member_given_twice_is_refused(tmp_path, backend):
    first, second = files(tmp_path, backend)
    second.write_bytes(first.read_bytes())
    with pytest.raises(InputError, match=rf"{second.name}: the same bytes as .*{first.name}, so the mean would count"):
        read_ensemble([first, second], backend)


def test_a_wrong_checksum_is_refused_before_anything_is_read(tmp_path):
    (tmp_path / "a.pt").write_bytes(b"not weights")
    with pytest.raises(IntegrityError, match=r"a\.pt: sha256 is .* model\.sha256 says 0000"):
        read_ensemble([tmp_path / "a.pt"], "openspliceai-pt", sha256=["0" * 64])


def test_the_right_checksums_pass_in_either_case(tmp_path):
    paths = files(tmp_path, "openspliceai-pt")
    digests = [sha256_file(path).upper() for path in paths]
    assert len(read_ensemble(paths, "openspliceai-pt", sha256=digests)) == 2


def test_the_context_comes_from_the_weights_and_must_be_the_one_asked_for(tmp_path):
    paths = files(tmp_path, "openspliceai-pt", groups=2)
    assert read_ensemble(paths, "openspliceai-pt", context=144)[0].member.context == 144
    with pytest.raises(InputError, match=r"have a context of 144 nt, model\.context says 10000"):
        read_ensemble(paths, "openspliceai-pt", context=10000)


def test_members_of_different_contexts_are_no_ensemble(tmp_path):
    paths = [write_pt(tmp_path / f"{n}.pt", random_member(n, groups=n)) for n in (1, 2)]
    with pytest.raises(InputError, match=r"one context, found 1\.pt 16, 2\.pt 144"):
        read_ensemble(paths, "openspliceai-pt")


@pytest.mark.parametrize("paths", [[], ["absent.pt"], ["."]])
def test_no_file_is_an_error_that_names_the_key(tmp_path, paths):
    with pytest.raises(InputError, match=r"model\.weights"):
        read_ensemble([tmp_path / path for path in paths], "openspliceai-pt")


def test_a_file_with_an_array_too_few_or_of_another_shape_is_refused(tmp_path):
    path = write_pt(tmp_path / "a.pt", random_member())
    state = torch.load(path, weights_only=True)
    torch.save({k: v for k, v in state.items() if k != "final_conv.bias"}, path)
    with pytest.raises(InputError, match=r"has no array 'final_conv\.bias'"):
        read_openspliceai(path)
    torch.save(state | {"final_conv.bias": torch.zeros(4)}, path)
    with pytest.raises(InputError, match=r"not a network of the published plan: last convolution"):
        read_openspliceai(path)


def test_more_units_than_any_published_network_are_refused(tmp_path):
    member = random_member(groups=4)
    longer = replace(member, units=member.units + member.units[:GROUP], skips=member.skips + member.skips[:1])
    with pytest.raises(InputError, match="has 20 residual units"):
        read_openspliceai(write_pt(tmp_path / "a.pt", longer))


def edited(file: KerasFile, kind: str, **config) -> KerasFile:
    """Change the configuration of the last layer of a kind."""
    layer = [layer for layer in file.layers if layer["class_name"] == kind][-1]
    layer["config"] = layer["config"] | config
    return file


@pytest.mark.parametrize(
    ("kind", "config", "problem"),
    [
        ("Cropping1D", {"cropping": [5000, 5000]}, r"it crops \[5000, 5000\], but its kernels reach 8 bases"),
        ("Conv1D", {"activation": "linear"}, "connected in another way"),
        ("Activation", {"activation": "tanh"}, "is 'tanh', expected ReLU"),
        ("BatchNormalization", {"epsilon": 0.5}, "too many values to unpack"),
    ],
)
def test_a_graph_of_another_plan_is_refused(tmp_path, kind, config, problem):
    file = edited(KerasFile(random_member(**KERAS)), kind, **config)
    with pytest.raises(InputError, match=problem):
        read_spliceai(file.write(tmp_path / "a.h5"))


def test_what_lies_outside_of_the_file_is_not_read(tmp_path):
    path = KerasFile(random_member(**KERAS)).write(tmp_path / "a.h5")
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["bias"] = np.zeros(3, np.float32)
    with h5py.File(path, "r+") as file:
        last = json.loads(file.attrs["model_config"])["config"]["layers"][-1]["name"]
        group = file[f"model_weights/{last}/{last}"]
        del group["bias:0"]
        group["bias:0"] = h5py.ExternalLink("other.h5", "bias")
    with pytest.raises(InputError, match="is a link to elsewhere"):
        read_spliceai(path)


def test_an_absurd_shape_is_refused_before_memory_is_asked_for(tmp_path):
    path = KerasFile(random_member(**KERAS)).write(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        last = json.loads(file.attrs["model_config"])["config"]["layers"][-1]["name"]
        group = file[f"model_weights/{last}/{last}"]
        del group["bias:0"]
        group.create_dataset("bias:0", shape=(10**12,), dtype="f4", chunks=(1000,))
    with pytest.raises(InputError, match=r"has the shape \(1000000000000,\)"):
        read_spliceai(path)
