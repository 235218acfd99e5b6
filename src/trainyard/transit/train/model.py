"""The published two-branch network: one window of flux, its images, one probability.

With the default settings and images it has 15,638 trainable parameters.
"""

from __future__ import annotations

from typing import Any

import keras

from trainyard.transit.train.inputs import Inputs, split_features
from trainyard.transit.train.settings import TrainSettings
from trainyard.yard.errors import ConfigError
from trainyard.yard.identity import keyed_hash

LEAKY_SLOPE = 0.01


def build_model(inputs: Inputs, settings: TrainSettings) -> keras.Model:
    """Build the network, not yet compiled.

    The weights are a function of the settings alone: each layer draws from its own seed. The graph's inputs are the
    features of `inputs` and nothing else, so no identifier or label can be among them.

    Returns:
        A functional model from a dict of float32 arrays, ``(batch, n_points)`` per window feature and ``(batch, rows,
        columns)`` per image, to the probability of label 1, ``(batch, 1)``.

    Raises:
        ConfigError: Windows or images are too small for the pooling asked for.
    """
    tensors: dict[str, Any] = {}
    branches = []
    if inputs.points:
        _check_size("window", inputs.n_points, settings)
        channels = _channels(tensors, inputs.points, (inputs.n_points,))
        branches.append(_branch(channels, "flux", settings, images=False))
    if inputs.images:
        _check_size("image", min(inputs.image_shape), settings)
        channels = _channels(tensors, inputs.images, inputs.image_shape)
        branches.append(_branch(channels, "images", settings, images=True))
    x = branches[0] if len(branches) == 1 else keras.layers.Concatenate(name="head_concat")(branches)
    for i, units in enumerate(settings.head_units, start=1):
        x = _dense(x, units, f"head_dense{i}", settings)
    x = keras.layers.Dense(1, name="logit", kernel_initializer=_initializer("logit", settings))(x)
    output = keras.layers.Activation("sigmoid", name="probability")(x)
    return keras.Model(inputs=tensors, outputs=output, name="transit_detector")


def inputs_of(model: keras.Model) -> Inputs:
    """Inputs of a network that `build_model` made, e.g. one that was loaded from a file.

    Raises:
        ConfigError: The network has inputs that are not allowed.
    """
    shapes = {tensor.name: tuple(tensor.shape[1:]) for tensor in model.inputs}
    points, images = split_features(list(shapes))
    n_points = shapes[points[0]][0] if points else 0
    rows, columns = shapes[images[0]] if images else (0, 0)
    return Inputs(points, n_points, images, (rows, columns))


def _channels(tensors: dict[str, Any], names: tuple[str, ...], shape: tuple[int, ...]) -> Any:
    """Declare the inputs and stack them as the channels of one tensor."""
    stacked = []
    for name in names:
        tensors[name] = keras.Input(shape=shape, dtype="float32", name=name)
        stacked.append(keras.layers.Reshape((*shape, 1), name=f"{name}_channel")(tensors[name]))
    if len(stacked) == 1:
        return stacked[0]
    return keras.layers.Concatenate(axis=-1, name=f"{'images' if len(shape) == 2 else 'window'}_stack")(stacked)


def _branch(x: Any, name: str, settings: TrainSettings, *, images: bool) -> Any:
    conv = keras.layers.Conv2D if images else keras.layers.Conv1D
    pool = keras.layers.MaxPooling2D if images else keras.layers.MaxPooling1D
    for block in range(settings.conv_blocks):
        for i in range(settings.convs_per_block):
            layer = f"{name}_conv{block + 1}_{i + 1}"
            x = conv(
                2 ** (settings.init_conv_filters + block),
                settings.kernel_size,
                padding="same",
                kernel_initializer=_initializer(layer, settings),
                kernel_regularizer=_regularizer(settings),
                name=layer,
            )(x)
            # The published network shares one slope over a whole window, and one per channel over an image.
            x = _activate(x, layer, settings, shared_axes=[1, 2])
        x = pool(settings.pool_size, name=f"{name}_pool{block + 1}")(x)
    x = keras.layers.Flatten(name=f"{name}_flatten")(x)
    return _dense(x, settings.branch_units, f"{name}_dense", settings)


def _dense(x: Any, units: int, layer: str, settings: TrainSettings) -> Any:
    x = keras.layers.Dense(
        units,
        kernel_initializer=_initializer(layer, settings),
        kernel_regularizer=_regularizer(settings),
        name=layer,
    )(x)
    x = _activate(x, layer, settings, shared_axes=[1])
    return keras.layers.Dropout(settings.dropout, seed=_seed(layer, "dropout", settings), name=f"{layer}_dropout")(x)


def _activate(x: Any, layer: str, settings: TrainSettings, *, shared_axes: list[int]) -> Any:
    if settings.batch_norm:
        x = keras.layers.BatchNormalization(name=f"{layer}_norm")(x)
    name = f"{layer}_{settings.activation}"
    match settings.activation:
        case "prelu":
            return keras.layers.PReLU(shared_axes=shared_axes, name=name)(x)
        case "leaky_relu":
            return keras.layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=name)(x)
        case "relu":
            return keras.layers.ReLU(name=name)(x)


def _initializer(layer: str, settings: TrainSettings) -> keras.Initializer:
    kind = {"glorot_uniform": keras.initializers.GlorotUniform, "he_uniform": keras.initializers.HeUniform}
    return kind[settings.initializer](seed=_seed(layer, "weights", settings))


def _regularizer(settings: TrainSettings) -> keras.Regularizer | None:
    return keras.regularizers.L2(settings.l2) if settings.l2 else None


def _seed(layer: str, purpose: str, settings: TrainSettings) -> int:
    return keyed_hash("transit model", settings.seed, layer, purpose) % 2**31


def _check_size(what: str, size: int, settings: TrainSettings) -> None:
    if size // settings.pool_size**settings.conv_blocks < 1:
        raise ConfigError(
            f"transit.train: {settings.conv_blocks} blocks that pool by {settings.pool_size} leave nothing of a {what}"
            f" of {size}; lower conv_blocks or pool_size"
        )
