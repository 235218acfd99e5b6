from __future__ import annotations

import pytest
import torch
from torch import nn

from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.voxel.train.models import build_model
from trainyard.yard.errors import ConfigError

PUBLISHED = {"densenet3d_regression": 464_625, "dilated_resnet3d": 940_073, "multipath_rmsf_net": 3_129_779}
ARCHITECTURES = ("small_cnn", *PUBLISHED)


def network(architecture, shape=(5, 15, 15, 15), **settings):
    made = build_model(VoxelTrainSettings(architecture=architecture, **settings), shape)
    made.initialise(mean=0.5, generator=torch.Generator().manual_seed(1))
    return made


def inputs(n, shape=(5, 15, 15, 15)):
    draw = torch.Generator().manual_seed(2)
    return (torch.rand((n, *shape), generator=draw) > 0.95).float(), torch.rand((n, 1), generator=draw)


@pytest.mark.parametrize("architecture", PUBLISHED)
def test_published_networks_have_the_published_number_of_parameters(architecture):
    made = build_model(VoxelTrainSettings(architecture=architecture), (5, 21, 21, 21))
    assert made.parameter_count == PUBLISHED[architecture]


def test_the_small_network_is_small():
    assert build_model(VoxelTrainSettings(), (5, 21, 21, 21)).parameter_count == 48_081


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_batch_gives_one_number_per_sample_and_every_parameter_learns(architecture):
    made = network(architecture)
    found = made(*inputs(4))
    assert found.shape == (4,)
    (found**2).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in made.parameters())


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_channels_and_sides_are_those_of_the_grids(architecture):
    shape = (3, 13, 15, 17)
    made = network(architecture, shape).eval()
    assert made(*inputs(2, shape)).shape == (2,)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_voxels_and_temperature_both_count(architecture):
    made = network(architecture).eval()
    voxels, temps = inputs(4)
    found = made(voxels, temps)
    assert not torch.allclose(found, made(voxels.flip(0), temps))
    assert not torch.allclose(found, made(voxels, temps + 0.5))


def test_a_grid_that_is_encoded_serves_all_temperatures():
    made = network("small_cnn").eval()
    voxels, temps = inputs(4)
    features = made.encode(voxels)
    assert features.shape == (4, made.features)
    assert torch.equal(made.judge(features, temps), made(voxels, temps))


def test_dropout_acts_in_training_only():
    made = network("small_cnn", dropout_rate=0.5)
    batch = inputs(4)
    torch.manual_seed(0)
    assert not torch.equal(made(*batch), made(*batch))
    made.eval()
    assert torch.equal(made(*batch), made(*batch))


def test_a_new_network_predicts_about_the_mean():
    made = network("small_cnn").eval()
    made.head[-1].weight.data.zero_()
    assert torch.allclose(made(*inputs(3)), torch.full((3,), 0.5))


def test_initial_weights_depend_on_the_generator_alone():
    torch.manual_seed(7)
    first = network("densenet3d_regression")
    torch.manual_seed(8)
    second = network("densenet3d_regression")
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_settled_network_is_judged_as_it_is_trained(architecture):
    """With the usual statistics, 0 and 1, it would be off by a multiple for a hundred steps, since grids are sparse."""
    made = network(architecture, dropout_rate=0.0)
    voxels, _ = inputs(16)
    trained = made.train().encode(voxels).detach()
    fresh = network(architecture, dropout_rate=0.0).eval().encode(voxels).detach()
    made.settle(voxels)
    assert made.training
    assert all(m.momentum == 0.1 for m in made.modules() if isinstance(m, nn.BatchNorm3d))
    settled = made.eval().encode(voxels).detach()
    assert (settled - trained).norm() < 0.2 * trained.norm()
    assert (fresh - trained).norm() > 0.5 * trained.norm()


def test_dilations_come_in_turns():
    made = build_model(VoxelTrainSettings(architecture="dilated_resnet3d", num_residual_blocks=4), (5, 21, 21, 21))
    blocks = [m for m in made.modules() if isinstance(m, nn.Conv3d) and m.kernel_size == (3, 3, 3)]
    assert [conv.dilation[0] for conv in blocks] == [1, 1, 2, 2, 4, 4, 1, 1]
    assert [conv.out_channels for conv in blocks[::2]] == [48, 72, 108, 162]


def test_widths_grow_by_one_at_least():
    made = build_model(
        VoxelTrainSettings(architecture="dilated_resnet3d", channel_growth_rate=1.01, base_filters=4), (5, 21, 21, 21)
    )
    assert made.features == 7


def test_a_network_too_deep_for_the_grids_is_refused():
    with pytest.raises(ConfigError, match="densenet3d_regression is too deep for grids of 7 x 7 x 7"):
        build_model(VoxelTrainSettings(architecture="densenet3d_regression"), (5, 7, 7, 7))
