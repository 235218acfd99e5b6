"""Settings of the voxel line, one model per stage, with the published defaults.

This module holds values and their checks only; nothing in it computes, so it is left out of the code digests: a
changed value reaches the rules through `params`.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator, model_validator

from trainyard.yard.settings import Settings

Policy = Literal["error", "reject", "warn"]
LONGEST_LIST = 100_000
"""Bytes of the paths of one list; Linux gives a command at most 131,072 in one argument, and commands name more."""


class VoxelDemoSettings(Settings):
    """The simulated proteins that the default configuration builds from."""

    domains: int = Field(12, ge=3, description="Number of simulated protein domains.")
    residues: int = Field(60, ge=20, description="Mean number of residues of a domain.")
    seed: int = Field(11, description="Seed of the simulation.")
    learning_rate: float = Field(
        2e-3, gt=0, description="Learning rate where `voxel.train.learning_rate` is not set: the demo is small."
    )
    num_epochs: int = Field(20, ge=1, description="Most epochs where `voxel.train.num_epochs` is not set.")


class VoxelInputSettings(Settings):
    """Voxels, RMSF and split lists."""

    source: Literal["demo", "files", "structures"] = Field(
        "demo",
        description="'demo' simulates proteins; 'files' reads `voxel_file`; 'structures' voxelises `structures` first.",
    )
    voxel_file: Path | None = Field(None, description="HDF5 in the layout of aposteriori: domain/chain/residue.")
    structures: list[Path] = Field(
        default_factory=list, description="PDB or mmCIF files, folders of them, or mdCATH .h5 files, to voxelise."
    )
    aggregated_rmsf_file: list[Path] = Field(
        default_factory=list,
        description="RMSF tables (CSV): one long table, one wide table (rmsf_320 ...), or one table per temperature;"
        " with structures of mdCATH (.h5) they may be left out.",
    )
    rmsf_unit: Literal["nm", "angstrom"] = Field("nm", description="Unit of the RMSF columns; converted to nm.")
    train_split_file: Path | None = Field(None, description="Domain ids of the train split, one per line, # comments.")
    val_split_file: Path | None = Field(None, description="Domain ids of the val split.")
    test_split_file: Path | None = Field(None, description="Domain ids of the test split; may be missing.")
    channel_order: list[str] = Field(
        default_factory=lambda: ["C", "N", "O", "CA", "CB"],
        description="Channels wanted, in order; read from `atom_encoder`, checked against the geometry, permuted.",
    )
    domain_suffixes: list[str] = Field(
        default_factory=lambda: ["_pdb_clean_fixed", "_pdb_clean", "_pdb"],
        description="Suffixes that a voxel file's domain names may carry beyond the RMSF table's, longest first.",
    )
    domain_table: Path | None = Field(
        None, description="CSV with columns voxel_domain, rmsf_domain: an explicit mapping that wins over all rules."
    )
    per_temperature: bool = Field(
        False, description="The voxel file has one grid per temperature (domain/chain/residue/temperature)."
    )


class VoxelPlanSettings(Settings):
    """Which samples exist, in which split and order."""

    seed: int = Field(42, description="Dataset seed; the order of samples is keyed by it.")
    num_parts: int = Field(
        4, ge=1, le=9999, description="Store parts; one job each. About 500 domains per part, on a cluster 2,500."
    )
    batch_size: int = Field(256, ge=1, description="Samples per batch (`preprocessing_batch_size`).")
    order: Literal["shuffled", "domain", "legacy"] = Field(
        "shuffled",
        description="'shuffled': seeded permutation of each split; 'domain': by domain, chain, residue, temperature;"
        " 'legacy': like 'domain' with the residues by name, as HDF5 lists them.",
    )
    chains: Literal["all", "first"] = Field("all", description="Chains of a domain that are used.")
    max_domains: int | None = Field(None, ge=1, description="Keep the first N valid domains of each split.")
    temperatures: list[float] = Field(default_factory=list, description="Temperatures used, K; empty: all.")
    clamp_temperature: bool = Field(False, description="Clamp scaled temperatures to [0, 1].")
    split_rule: Literal["lists", "pdb", "chain", "table"] = Field(
        "lists",
        description="'lists' uses the split files; 'pdb' and 'chain' draw group-aware splits by PDB entry or chain;"
        " 'table' by the groups of `group_table`.",
    )
    group_table: Path | None = Field(None, description="CSV with columns domain_id, group (e.g. CATH superfamily).")
    train_share: float = Field(0.8, gt=0, lt=1, description="Share of groups in train, for drawn splits.")
    val_share: float = Field(0.1, ge=0, lt=1, description="Share of groups in val, for drawn splits.")
    leakage: Literal["report", "error"] = Field(
        "report", description="What to do when val or test domains share a PDB entry or chain with train."
    )
    resname_mismatch: Policy = Field("reject", description="Residue names differ after normalisation.")
    negative_rmsf: Literal["reject", "clip"] = Field("reject", description="RMSF below 0.")
    conflicting_rows: Policy = Field("error", description="One residue and temperature with two different values.")
    missing_temperatures: Policy = Field("warn", description="A residue lacks temperatures that others have.")
    bad_grid: Policy = Field(
        "reject", description="Grid of wrong shape, not finite, empty, or without CA at its centre."
    )
    max_reject_fraction: float = Field(0.2, ge=0, le=1, description="The build stops when more residues are rejected.")

    @model_validator(mode="after")
    def _group_table_is_there(self) -> VoxelPlanSettings:
        if self.split_rule == "table" and self.group_table is None:
            raise ValueError("split_rule is 'table': set group_table")
        if self.train_share + self.val_share > 1:
            raise ValueError("train_share + val_share must not exceed 1")
        return self


class VoxelizeSettings(Settings):
    """The native voxeliser, bit-identical to aposteriori's frames."""

    frame_edge_length: float = Field(12.0, gt=0, description="Edge of the cube, angstrom.")
    voxels_per_side: int = Field(21, ge=3, description="Voxels per side, odd.")
    encode_cb: bool = Field(True, description="Add an idealised CB to every residue.")
    gaussian: bool = Field(False, description="Spread every atom over 3x3x3 voxels.")
    max_reject_fraction: float = Field(
        0.2, ge=0, le=1, description="The build stops when more structures, or more of their residues, are rejected."
    )

    @model_validator(mode="after")
    def _has_a_centre(self) -> VoxelizeSettings:
        if self.voxels_per_side % 2 == 0:
            raise ValueError(f"voxels_per_side is {self.voxels_per_side}: it must be odd, since CA is in the middle")
        return self


class VoxelExportSettings(Settings):
    """What is written besides the store."""

    formats: list[Literal["store", "pt", "safetensors"]] = Field(
        default=["store"], description="'store' always; 'pt' adds the published batch files."
    )
    dtype: Literal["float32", "float16", "bool"] = Field("float32", description="Type of `voxels` in batch files.")
    num_parts: int = Field(4, ge=1, description="Jobs that write batch files, per split.")


class VoxelTrainSettings(Settings):
    """The torch consumer."""

    enabled: bool = Field(True, description="Train, evaluate and predict as part of the line.")
    architecture: Literal["small_cnn", "densenet3d_regression", "dilated_resnet3d", "multipath_rmsf_net"] = Field(
        "small_cnn", description="'small_cnn' trains in seconds; the others are the published architectures."
    )
    num_epochs: int = Field(50, ge=1, description="Epochs at most.")
    batch_size: int = Field(256, ge=2, description="Samples per step; batch normalisation needs two.")
    prediction_batch_size: int = Field(512, ge=1, description="Grids at a time where nothing is learned.")
    learning_rate: float = Field(5e-4, gt=0, description="Learning rate of the first epoch.")
    weight_decay: float = Field(1e-4, ge=0, description="Weight decay of the optimizer (AdamW).")
    dropout_rate: float = Field(0.3, ge=0, lt=1, description="Share of activations that dropout sets to zero.")
    growth_rate: int = Field(16, ge=1, description="densenet3d_regression: channels that each layer adds.")
    block_config: list[int] = Field(
        default_factory=lambda: [4, 4, 4], min_length=1, description="densenet3d_regression: layers of each block."
    )
    num_init_features: int = Field(32, ge=1, description="densenet3d_regression: channels before the first block.")
    bn_size: int = Field(
        4, ge=1, description="densenet3d_regression: channels of a layer's bottleneck, times the growth rate."
    )
    channel_growth_rate: float = Field(
        1.5, gt=1, description="dilated_resnet3d, multipath_rmsf_net: factor from one width to the next."
    )
    num_residual_blocks: int = Field(
        3, ge=1, description="dilated_resnet3d: blocks; multipath_rmsf_net: convolutions of each path."
    )
    base_filters: int = Field(32, ge=1, description="dilated_resnet3d, multipath_rmsf_net: channels before the first.")
    rotations: bool = Field(False, description="Random one of the 24 exact cube rotations in training.")
    max_norm: float | None = Field(1.0, gt=0, description="Gradient clipping; null: none.")
    scheduler: Literal["reduce_on_plateau", "cosine_annealing", "step", "none"] = Field(
        "reduce_on_plateau", description="How the learning rate falls, epoch by epoch."
    )
    scheduler_patience: int = Field(
        5, ge=1, description="reduce_on_plateau: epochs without a better value before the rate falls."
    )
    scheduler_factor: float = Field(0.5, gt=0, lt=1, description="reduce_on_plateau: factor on the rate.")
    scheduler_threshold: float = Field(1e-3, ge=0, description="reduce_on_plateau: relative gain that counts.")
    scheduler_min_lr: float = Field(1e-7, ge=0, description="reduce_on_plateau, cosine_annealing: least rate.")
    scheduler_t_max: int = Field(50, ge=1, description="cosine_annealing: epochs down to the least rate.")
    scheduler_step_size: int = Field(10, ge=1, description="step: epochs between two falls.")
    scheduler_gamma: float = Field(0.1, gt=0, lt=1, description="step: factor on the rate.")
    early_stopping_patience: int | None = Field(
        10, ge=1, description="Epochs without a better value before training stops; null: never stop early."
    )
    min_delta: float = Field(1e-3, ge=0, description="Gain of the monitored value that makes an epoch the best one.")
    monitor: Literal["val_pearson", "val_loss"] = Field(
        "val_pearson", description="What makes an epoch the best one, for all of the above; its sense follows from it."
    )
    device: Literal["cpu", "cuda", "auto"] = Field(
        "cpu", description="'auto' takes a GPU where there is one; only a CPU gives the same bytes every time."
    )
    threads: int = Field(1, ge=1, description="CPU threads of torch; another number gives other last bits.")
    mixed_precision: bool = Field(True, description="Convolve in bfloat16; on a GPU only.")
    permutation_n_repeats: int = Field(5, ge=0, description="Repeats of the permutation importance; 0: none.")
    sasa_bins: list[float] = Field(
        default_factory=lambda: [0.0, 0.1, 0.4, 1.01],
        min_length=2,
        description="Edges of the bins [a, b) of relative accessibility that the evaluation tells apart.",
    )
    core_accessibility: float = Field(
        0.2, ge=0, description="Residues of at most this relative accessibility are core, others exterior."
    )
    max_scatter_points: int = Field(1000, ge=1, description="Points of one panel of predicted against true RMSF.")
    seed: int = Field(42, description="Seed of initial weights, of the order of samples and of dropout.")

    @field_validator("sasa_bins")
    @classmethod
    def _bins_ascend(cls, value: list[float]) -> list[float]:
        if any(low >= high for low, high in itertools.pairwise(value)):
            raise ValueError("sasa_bins must ascend")
        return value


EVALUATION_KEYS = frozenset({"permutation_n_repeats", "sasa_bins", "core_accessibility", "max_scatter_points"})
"""Keys of `VoxelTrainSettings` that shape scores and figures but not the model; a change of these trains nothing."""


class VoxelSettings(Settings):
    """The voxel line."""

    inputs: VoxelInputSettings = Field(default_factory=VoxelInputSettings)
    demo: VoxelDemoSettings = Field(default_factory=VoxelDemoSettings)
    voxelize: VoxelizeSettings = Field(default_factory=VoxelizeSettings)
    plan: VoxelPlanSettings = Field(default_factory=VoxelPlanSettings)
    export: VoxelExportSettings = Field(default_factory=VoxelExportSettings)
    train: VoxelTrainSettings = Field(default_factory=VoxelTrainSettings)

    @property
    def training(self) -> VoxelTrainSettings:
        """The training block; in the demo, its own learning rate and epochs stand in for the published ones."""
        if self.inputs.source != "demo":
            return self.train
        own = {key: getattr(self.demo, key) for key in ("learning_rate", "num_epochs")}
        return self.train.model_copy(update={k: v for k, v in own.items() if k not in self.train.model_fields_set})

    @model_validator(mode="after")
    def _inputs_are_named(self) -> VoxelSettings:
        inputs = self.inputs
        if inputs.source == "demo":
            return self
        if inputs.source == "files" and inputs.voxel_file is None:
            raise ValueError("inputs.source is 'files': set inputs.voxel_file")
        if inputs.source == "structures" and not inputs.structures:
            raise ValueError("inputs.source is 'structures': set inputs.structures")
        if sum(len(str(path).encode()) + 4 for path in inputs.structures) > LONGEST_LIST:
            raise ValueError(
                f"inputs.structures has {len(inputs.structures)} paths, more than a command can be given: name the"
                " folder that holds the files, or one with links to them"
            )
        if not inputs.aggregated_rmsf_file and inputs.source == "files":
            raise ValueError("set inputs.aggregated_rmsf_file")
        if self.plan.split_rule == "lists" and (inputs.train_split_file is None or inputs.val_split_file is None):
            raise ValueError("split_rule is 'lists': set inputs.train_split_file and inputs.val_split_file")
        return self
