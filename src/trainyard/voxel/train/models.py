"""Networks that predict the RMSF of a residue from its voxels and a temperature.

All have one form: a trunk of 3-D convolutions, the mean over the grid, and a head where the temperature joins. The
trunk knows nothing of the temperature, so one pass through it serves a residue at all temperatures.

Besides a small network there are the three published architectures, after their descriptions; with the published
settings and grids of 5 x 21 x 21 x 21 they have the published numbers of parameters.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from trainyard.voxel.settings import VoxelTrainSettings
from trainyard.yard.errors import ConfigError

_HEAD = (64, 32)
_DILATIONS = (1, 2, 4)
_KERNELS = (3, 5, 7)


class VoxelNetwork(nn.Module):
    """A trunk, the mean over the grid, and a head."""

    def __init__(self, trunk: nn.Module, features: int, *, dropout: float) -> None:
        """Put a head on a trunk.

        Args:
            trunk: From (B, C, D, H, W) to (B, features, d, h, w).
            features: Channels that leave the trunk.
            dropout: Share of activations of the head that are set to zero in training.
        """
        super().__init__()
        first, second = _HEAD
        self.features = features
        self.trunk = trunk
        self.head = nn.Sequential(
            nn.Linear(features + 1, first),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, 1),
        )

    def encode(self, voxels: Tensor) -> Tensor:
        """Return what the network sees in grids.

        Args:
            voxels: Float32, (B, C, D, H, W).

        Returns:
            Float32, (B, features).
        """
        # In this layout convolutions of few channels take a third less time on a CPU.
        found: Tensor = self.trunk(voxels.to(memory_format=torch.channels_last_3d))
        return found.mean(dim=(2, 3, 4), dtype=torch.float32)

    def judge(self, features: Tensor, scaled_temps: Tensor) -> Tensor:
        """Return the RMSF, nm, (B,), that encoded grids (B, features) have at scaled temperatures (B, 1)."""
        rmsf: Tensor = self.head(torch.cat([features, scaled_temps], dim=1))
        return rmsf.squeeze(1)

    def forward(self, voxels: Tensor, scaled_temps: Tensor) -> Tensor:
        """Return the RMSF, nm, (B,), of grids (B, C, D, H, W) at scaled temperatures (B, 1)."""
        return self.judge(self.encode(voxels), scaled_temps)

    @property
    def parameter_count(self) -> int:
        """Numbers that are learned."""
        return sum(parameter.numel() for parameter in self.parameters())

    def initialise(self, *, mean: float, generator: torch.Generator) -> None:
        """Draw the initial weights: Kaiming for convolutions, Xavier for linear layers.

        Args:
            mean: What the head predicts at first, nm: the mean target of train. From zero, the first epochs would be
                spent on finding it.
            generator: Where the randomness comes from.
        """
        for module in self.modules():
            if isinstance(module, nn.Conv3d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            elif isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight, generator=generator)
                nn.init.zeros_(module.bias)
        nn.init.constant_(self.head[-1].bias, mean)  # type: ignore[arg-type]

    def settle(self, voxels: Tensor) -> None:
        """Let the running means and variances of batch normalisation start at those of a first batch.

        They would start at 0 and 1, far from what grids with one cell in a thousand set give, and would not forget it
        for a hundred steps: until then a network that is judged by them is not the one that was trained.

        Args:
            voxels: Float32, (B, C, D, H, W).
        """
        norms = [module for module in self.modules() if isinstance(module, nn.BatchNorm3d)]
        momenta = [norm.momentum for norm in norms]
        self.eval()  # Dropout draws nothing.
        for norm in norms:
            norm.train()
            norm.momentum = 1.0
        with torch.no_grad():
            self.encode(voxels)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        self.train()


def build_model(settings: VoxelTrainSettings, shape: Sequence[int]) -> VoxelNetwork:
    """Make the network that the settings name, its weights not yet initialised.

    Args:
        settings: Architecture and its parameters.
        shape: Channels and sides of the grids, (C, D, H, W).

    Raises:
        ConfigError: The network folds the grid up more often than its sides allow.
    """
    trunk, features = _TRUNKS[settings.architecture](shape[0], settings)
    network = VoxelNetwork(trunk, features, dropout=settings.dropout_rate)
    try:
        with torch.no_grad():
            network.eval().encode(torch.zeros(1, *shape))
    except RuntimeError as error:
        raise ConfigError(
            f"voxel.train.architecture: {settings.architecture} is too deep for grids of"
            f" {' x '.join(map(str, shape[1:]))} ({error}); take small_cnn, or fewer blocks"
        ) from error
    return network.train()


def _small(channels: int, settings: VoxelTrainSettings) -> tuple[nn.Module, int]:
    """Blocks of 3 x 3 x 3 voxels, then two convolutions over them."""
    trunk = nn.Sequential(*_conv(channels, 16, 3, stride=3, padding=0), *_conv(16, 32, 3, stride=2), *_conv(32, 32, 3))
    return trunk, 32


def _densenet(channels: int, settings: VoxelTrainSettings) -> tuple[nn.Module, int]:
    width = settings.num_init_features
    layers: list[nn.Module] = _stem(channels, width)
    for block, depth in enumerate(settings.block_config):
        if block:
            layers += [nn.BatchNorm3d(width), nn.ReLU(inplace=True), nn.Conv3d(width, width // 2, 1, bias=False)]
            layers.append(nn.AvgPool3d(2))
            width //= 2
        for _ in range(depth):
            layers.append(_DenseLayer(width, settings))
            width += settings.growth_rate
    return nn.Sequential(*layers, nn.BatchNorm3d(width), nn.ReLU(inplace=True)), width


def _dilated(channels: int, settings: VoxelTrainSettings) -> tuple[nn.Module, int]:
    widths = [settings.base_filters]
    for _ in range(settings.num_residual_blocks):
        widths.append(_grown(widths[-1], settings.channel_growth_rate))
    blocks = [
        _ResidualBlock(width, wider, dilation=_DILATIONS[i % len(_DILATIONS)], dropout=settings.dropout_rate)
        for i, (width, wider) in enumerate(pairwise(widths))
    ]
    return nn.Sequential(*_stem(channels, widths[0]), *blocks), widths[-1]


def _multipath(channels: int, settings: VoxelTrainSettings) -> tuple[nn.Module, int]:
    rate = settings.channel_growth_rate
    width = _grown(settings.base_filters, rate)
    paths = []
    for kernel in _KERNELS:
        widths = [settings.base_filters, *[width] * settings.num_residual_blocks]
        paths.append(nn.Sequential(*(layer for a, b in pairwise(widths) for layer in _conv(a, b, kernel))))
    joined = width * len(paths)
    fused = _grown(joined, rate / 2)
    stem = _stem(channels, settings.base_filters)
    return nn.Sequential(*stem, _Paths(paths), *_conv(joined, fused, 1)), fused


class _DenseLayer(nn.Module):
    """Adds channels computed from all that came before."""

    def __init__(self, width: int, settings: VoxelTrainSettings) -> None:
        super().__init__()
        inner = settings.bn_size * settings.growth_rate
        self.new = nn.Sequential(
            nn.BatchNorm3d(width),
            nn.ReLU(inplace=True),
            nn.Conv3d(width, inner, 1, bias=False),
            nn.BatchNorm3d(inner),
            nn.ReLU(inplace=True),
            nn.Conv3d(inner, settings.growth_rate, 3, padding=1, bias=False),
            nn.Dropout(settings.dropout_rate),
        )

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.new(x)], dim=1)


class _ResidualBlock(nn.Module):
    """Two dilated convolutions beside a shortcut."""

    def __init__(self, width: int, wider: int, *, dilation: int, dropout: float) -> None:
        super().__init__()
        first = _conv(width, wider, 3, dilation=dilation)
        second = _conv(wider, wider, 3, dilation=dilation)[:-1]
        self.path = nn.Sequential(*first, nn.Dropout3d(dropout), *second)
        self.shortcut = nn.Sequential(*_conv(width, wider, 1)[:-1]) if width != wider else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.relu(self.path(x) + self.shortcut(x))


class _Paths(nn.Module):
    """Several ways through the same grid, side by side."""

    def __init__(self, paths: Sequence[nn.Module]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(paths)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([path(x) for path in self.paths], dim=1)


def _stem(channels: int, width: int) -> list[nn.Module]:
    """The common begin of the published networks: 21 voxels a side become 6."""
    return [*_conv(channels, width, 7, stride=2), nn.MaxPool3d(3, stride=2, padding=1)]


def _conv(
    width: int, wider: int, kernel: int, *, stride: int = 1, dilation: int = 1, padding: int | None = None
) -> list[nn.Module]:
    """Convolution, batch normalisation and ReLU; without `padding`, the sides shrink by the stride only."""
    around = dilation * (kernel // 2) if padding is None else padding
    conv = nn.Conv3d(width, wider, kernel, stride=stride, padding=around, dilation=dilation, bias=False)
    return [conv, nn.BatchNorm3d(wider), nn.ReLU(inplace=True)]


def _grown(width: int, rate: float) -> int:
    """The next width: times the rate, but at least one more."""
    return max(width + 1, int(width * rate))


_TRUNKS = {
    "small_cnn": _small,
    "densenet3d_regression": _densenet,
    "dilated_resnet3d": _dilated,
    "multipath_rmsf_net": _multipath,
}
