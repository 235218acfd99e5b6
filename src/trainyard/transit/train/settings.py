"""Settings of the Keras consumer, with the published defaults.

Values and their checks only, as in `trainyard.transit.settings`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trainyard.yard.settings import Settings


class TrainSettings(Settings):
    """The Keras consumer: published model and training block."""

    enabled: bool = Field(True, description="Train, evaluate and predict as part of the line.")
    selection: str | None = Field("balanced", description="Selection used for training; null: all examples.")
    features: list[str] = Field(
        default_factory=lambda: ["flux_norm", "oot_img_stdnorm", "diff_img_stdnorm", "snr_img_stdnorm", "target_img"],
        description="Inputs of the model; image inputs drop out where the set has no images.",
    )
    missing_images: Literal["drop", "zero"] = Field(
        "drop",
        description="Examples without images, where the model has image inputs and the set has images: 'drop' leaves"
        " them out of training and evaluation; 'zero' gives them images of zeros, from which a model can tell them.",
    )
    init_conv_filters: int = Field(2, ge=0, description="Filters of block i are 2^(init_conv_filters + i).")
    conv_blocks: int = Field(3, ge=1, le=5, description="Convolutional blocks of a branch; each ends with pooling.")
    convs_per_block: int = Field(3, ge=1, description="Convolutions of a block.")
    kernel_size: int = Field(3, ge=1, description="Points (flux) or pixels per side (images) of a kernel.")
    pool_size: int = Field(2, ge=1, description="Points or pixels per side that pooling joins, and its stride.")
    branch_units: int = Field(8, ge=1, description="Units of the dense layer that ends a branch.")
    head_units: list[int] = Field(
        default_factory=lambda: [32, 32], description="Units of each dense layer after the branches are joined."
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout after each dense layer of the head; 0: none.")
    activation: Literal["prelu", "relu", "leaky_relu"] = Field("prelu", description="Activation of every layer.")
    initializer: Literal["glorot_uniform", "he_uniform"] = Field(
        "glorot_uniform", description="Initial weights of every layer."
    )
    batch_norm: bool = Field(False, description="Batch normalization before every activation of a branch.")
    l2: float = Field(0.0, ge=0, description="L2 penalty on the weights of all layers; 0: none.")
    optimizer: Literal["adam", "sgd"] = Field("adam", description="Optimizer.")
    learning_rate: float = Field(1e-4, gt=0, description="Step size of the optimizer.")
    momentum: float = Field(0.9, ge=0, description="For sgd.")
    epochs: int = Field(300, ge=1, description="Most epochs that training takes.")
    batch_size: int = Field(32, ge=1, description="Examples per step.")
    category_weights: dict[int, float] | None = Field(None, description="Weight of label 0 and of label 1 in the loss.")
    early_stopping_metric: str = Field(
        "val_auc_pr", description="Metric that early stopping and the choice of the best epoch watch."
    )
    early_stopping_patience: int = Field(
        10, ge=1, description="Epochs without a better value after which training stops."
    )
    shuffle_buffer: int = Field(1000, ge=1, description="Examples shuffled together, after interleaving the shards.")
    augment: bool = Field(False, description="Random time reversal of the flux window in training.")
    seed: int = Field(24, description="Seed of the weights, the shuffling, dropout and augmentation.")
