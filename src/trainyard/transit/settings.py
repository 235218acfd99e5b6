"""Settings of the transit line, one model per stage, with the published defaults.

This module holds values and their checks only; nothing in it computes, so it is
left out of the code digests: a changed value reaches the rules through `params`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from trainyard.transit.train.settings import TrainSettings
from trainyard.yard.settings import Settings

Disposition = str


def _yaml_off(value: object) -> object:
    """YAML reads a bare `off` as false."""
    return "off" if value is False else value


_YamlOff = BeforeValidator(_yaml_off)


class DemoSettings(Settings):
    """The simulated archive that the default configuration builds from."""

    stars: int = Field(
        24,
        ge=1,
        description="Number of simulated stars. Their kinds (planets, binaries, blends, variables, quiet ones)"
        " repeat every 12 stars; one more star changes none of the others.",
    )
    sectors: int = Field(2, ge=1, le=6, description="Sectors per star.")
    days: float = Field(13.0, gt=3, le=27, description="Length of a simulated sector, days.")
    pixels: bool = Field(True, description="Write target pixel files too.")
    stamp: int = Field(
        7, ge=5, le=25, description="Rows and columns of a target pixel file; 11 is usual, and 1 kB a cadence."
    )
    seed: int = Field(7, description="Seed of the simulation.")
    learning_rate: float = Field(
        1e-3, gt=0, description="Step size where `train.learning_rate` is not set: the demo is small."
    )
    epochs: int = Field(12, ge=1, description="Most epochs where `train.epochs` is not set.")


class InputSettings(Settings):
    """Where the TCE table and the archive are, and how the table's columns are called."""

    source: Literal["demo", "archive"] = Field(
        "demo", description="'demo' simulates an archive; 'archive' reads `tce_table` and `light_curves`."
    )
    tce_table: Path | None = Field(None, description="CSV with one row per TCE.")
    light_curves: list[Path] = Field(
        default_factory=list,
        description="Folders searched (with all subfolders) for light-curve FITS files. Files are known by their"
        " headers, whatever their names.",
    )
    target_pixels: list[Path] = Field(
        default_factory=list, description="Folders searched for target pixel files; empty: examples carry no images."
    )
    columns: dict[str, str] = Field(
        default_factory=dict,
        description="Canonical column name -> name in your table, e.g. {target_id: kepid, tce_period: koi_period}.",
    )
    disposition_map: dict[str, Disposition] = Field(
        default_factory=dict,
        description="Value in your table -> one of KP CP PC APC EB BD FP NEB NPC NTP UNK, or NONE for a row that only"
        " lists a star without signal. A value that is neither known nor mapped becomes UNK and is counted.",
    )
    time_reference: Literal["BTJD", "BKJD"] | None = Field(
        None, description="Time system of `tce_time0bk`; null: BKJD for Kepler files, BTJD for TESS files."
    )
    quarantine: list[str] = Field(
        default_factory=list, description="File names (not paths) that must not be used, e.g. known bad downloads."
    )


class PlanSettings(Settings):
    """Shards, and which rows of the TCE table do what."""

    num_shards: int = Field(
        8,
        ge=1,
        le=9999,
        description="XXXX of every file name. With another number every star moves; `shards_per_job` may change.",
    )
    keep_tce_disps: list[Disposition] = Field(
        default_factory=lambda: ["EB", "KP", "CP", "PC", "APC", "NTP", "NEB", "NPC", "UNK", "FP", "BD"],
        description="Rows that build masks. The published set left out FP and BD, whose dips then entered negatives.",
    )
    keep_target_disps: list[Disposition] = Field(
        default_factory=lambda: ["EB", "KP", "CP", "NEB", "NPC", "NTP"],
        description="Stars with at least one such row are built.",
    )
    tce_example_disps: list[Disposition] = Field(
        default_factory=lambda: ["EB", "KP", "CP", "NTP", "NEB", "NPC"], description="Rows that become examples."
    )
    quiet_stars: bool = Field(
        True,
        description="Also build stars that the table lists without any signal (disposition NONE): they give negatives.",
    )
    targets: list[int] = Field(default_factory=list, description="Build these stars only; empty: all of them.")
    duplicates: Literal["merge", "keep"] = Field(
        "merge",
        description="'merge' clusters the TCEs of a star into physical events, of one period or of small integer"
        " ratios of it, and emits each event time once; 'keep' emits one window per TCE as the published set does.",
    )
    period_tolerance: float = Field(
        0.001,
        gt=0,
        lt=0.1,
        description="Relative difference of periods (or of a small integer ratio) within a cluster.",
    )
    max_period_ratio: int = Field(4, ge=1, description="Largest integer ratio of periods within a cluster.")
    max_duration_period_ratio: float = Field(
        0.5, gt=0, description="A TCE whose duration is a larger part of its period is rejected as implausible."
    )
    min_duration_hours: float = Field(
        0.25, gt=0, description="Shorter durations are rejected as implausible (days given for hours show up here)."
    )
    max_duration_hours: float = Field(100.0, gt=0, description="Longer durations are rejected as implausible.")
    max_reject_fraction: float = Field(
        0.5, ge=0, le=1, description="The build stops when a larger part of TCE rows, files or targets is rejected."
    )


class MaskSettings(Settings):
    """Widths of the event masks, in transit durations (TD), under the published names."""

    masking: Literal["target", "sector_run"] = Field(
        "target",
        description="'target' masks the events of all runs of the star; 'sector_run' those of the same run only,"
        " the previous logic of the published build.",
    )
    ex_it_mask_n_durations_window: float = Field(
        3.0,
        gt=0,
        description="Full width (TD) of the masks that keep windows away from events (all-disposition and"
        " positive-disposition).",
    )
    sg_it_mask_n_durations_window: float = Field(
        2.0, gt=0, description="Full width (TD) of the mask that protects events from the detrender."
    )
    true_it_mask_n_durations_window: float = Field(
        1.0, gt=0, description="Full width (TD) of the per-point true-in-transit mask."
    )
    weak_sec_mask_maxmes_thr: float = Field(
        7.1,
        ge=0,
        description="Secondaries with a multiple event statistic above this are masked too. 0 repeats the"
        " published set, whose noise secondaries left almost no quiet time.",
    )
    unlisted_secondaries: bool = Field(
        True, description="Mask phase 0.5 of an EB without a listed secondary; its eclipses would enter as negatives."
    )
    timing_error_sigmas: float = Field(
        3.0,
        ge=0,
        description="Masks that keep windows away from events reach farther by so many sigmas of the event's predicted"
        " time in the sector at hand, where the table has uncertainties; 0 repeats the published set.",
    )
    positive_disps: list[Disposition] = Field(
        default_factory=lambda: ["EB", "CP", "KP"],
        description="Events that negative-disposition in-transit windows must not touch, and whose in-transit windows"
        " have label 1.",
    )
    negative_disps: list[Disposition] = Field(
        default_factory=lambda: ["NTP", "NEB", "NPC"], description="Dispositions whose in-transit windows are checked."
    )
    true_it_disps: list[Disposition] = Field(
        default_factory=lambda: ["EB", "CP", "KP", "NPC", "NEB"], description="Events in the true-in-transit mask."
    )


class LightCurveSettings(Settings):
    """Reading, cadence quality and detrending of a light curve."""

    flux_column: Literal["PDCSAP_FLUX", "SAP_FLUX"] = Field("PDCSAP_FLUX", description="Flux used.")
    quality_bitmask: int | Literal["default"] = Field(
        "default", description="Bits that make a cadence bad; 'default' is 17087 for TESS, 1130799 for Kepler and K2."
    )
    quality_kernel_sigma: float = Field(1.0, gt=0, description="Sigma of the quality score's kernel, cadences.")
    detrend: Annotated[Literal["off", "biweight", "savgol"], _YamlOff] = Field(
        "off", description="'off' divides by the sector's median; 'biweight' is wotan's; 'savgol' is Savitzky-Golay."
    )
    detrend_window_days: float = Field(
        1.2, gt=0, description="Length of the detrender's window; raised to 3 durations of the star's longest event."
    )
    savgol_order: int | Literal["auto"] = Field(
        2,
        description="Polynomial order, 0 to 3; 'auto' takes the order with the least cross-validated error outside"
        " of events.",
    )
    detrend_sigma: float = Field(
        5.0, gt=0, description="Residuals beyond this many robust sigmas do not pull the trend."
    )
    detrend_gap_days: float = Field(0.5, gt=0, description="A data gap longer than this cuts the trend in two.")

    @model_validator(mode="after")
    def _order_is_safe(self) -> LightCurveSettings:
        if self.savgol_order != "auto" and not 0 <= self.savgol_order <= 3:
            raise ValueError(
                "savgol_order must be 0 to 3 or 'auto': higher orders are numerically wrong on long windows"
            )
        return self


class WindowSettings(Settings):
    """How in-transit and out-of-transit windows are cut and resampled."""

    n_durations_window: float = Field(5.0, gt=1, description="Full width of a window, in transit durations (TD).")
    frac_valid_cadences_in_window_thr: float = Field(
        0.85, ge=0, lt=1, description="The good part of a window's cadences must exceed this."
    )
    frac_valid_cadences_it_thr: float = Field(
        0.85, ge=0, lt=1, description="The same for the central 1 TD of an in-transit window."
    )
    resampled_num_points: int = Field(100, ge=10, description="Length of a window after resampling.")
    resampling: Literal["bin", "nearest"] = Field(
        "bin",
        description="'bin' averages the good cadences of each point; 'nearest' repeats the published set, with"
        " about twice its noise.",
    )
    max_timing_error_durations: float | None = Field(
        0.25,
        gt=0,
        description="An event whose predicted time is uncertain by more TD is rejected, where the table has"
        " uncertainties, and the star gives no negatives in that sector; null: never.",
    )
    max_windows_per_event_sector: int | None = Field(
        None, ge=1, description="Cap on in-transit windows per event and sector, drawn by hash; null: no cap."
    )


class NegativeSettings(Settings):
    """Quota of out-of-transit windows."""

    per_in_transit: float = Field(
        1.0, ge=0, description="Out-of-transit windows per in-transit window, per event and sector."
    )
    avoid_overlap: bool = Field(True, description="Out-of-transit windows of a star do not overlap each other.")
    spare_per_sector: int = Field(
        6,
        ge=0,
        description="Further negatives that a star with quiet time to spare gives per sector; the `quota` of a"
        " selection draws from them for stars too crowded to have their own.",
    )
    spare_durations_hours: list[float] = Field(
        default_factory=lambda: [1.5, 2, 2.5, 3, 3.5, 4.5, 5, 6, 7.5, 9, 10, 12, 12.5, 15],
        description="Durations that spare negatives are drawn with, where the star has no event of its own.",
    )
    residual: bool = Field(
        False,
        description="Where quiet time does not suffice, cut negatives from the light curve divided by the folded"
        " profile of its events; such examples say `origin = residual` and carry no images, so `images.images: require`"
        " makes none.",
    )


class ImageSettings(Settings):
    """Difference images from target pixel files."""

    images: Annotated[Literal["auto", "require", "off"], _YamlOff] = Field(
        "auto",
        description="'auto': examples without pixel data carry no images; 'require': they are rejected;"
        " 'off': pixel files are not read.",
    )
    buffer_time: float = Field(30.0, ge=0, description="Gap between in- and out-of-transit cadences, minutes.")
    size_img: tuple[int, int] = Field((11, 11), description="Rows, columns of the image before upsampling (odd).")
    f_size: tuple[int, int] = Field((3, 3), description="Upsampling factor of rows, columns (odd).")
    center_target: bool = Field(False, description="Shift the image so that the target is in the middle.")
    quality_bitmask: int | Literal["default"] = Field(
        "default",
        description="Bits that make a pixel cadence bad; 'default' as for light curves, 65535 repeats the"
        " published set.",
    )


class BuildSettings(Settings):
    """Everything that shapes a raw shard."""

    seed: int = Field(42, description="Dataset seed (`rnd_seed` of the published config); every draw is keyed by it.")
    masks: MaskSettings = Field(default_factory=MaskSettings)
    light_curves: LightCurveSettings = Field(default_factory=LightCurveSettings)
    windows: WindowSettings = Field(default_factory=WindowSettings)
    negatives: NegativeSettings = Field(default_factory=NegativeSettings)
    images: ImageSettings = Field(default_factory=ImageSettings)


class SplitSettings(Settings):
    """Assignment of stars to train, val and test."""

    train: float = Field(0.8, gt=0, lt=1, description="Share of stars in train.")
    val: float = Field(0.1, ge=0, lt=1, description="Share of stars in val; test takes the rest.")
    salt: str = Field("split-1", description="Name of this assignment; another salt draws another one.")
    stratify: bool = Field(
        False,
        description="Cut each stratum (strongest disposition) exactly at the shares. Balanced, but then new stars"
        " can move old ones; the plain hash never does.",
    )
    blend_radius_arcsec: float = Field(
        42.0, ge=0, description="Stars closer than this whose events coincide go to one split (2 TESS pixels); 0: off."
    )

    @model_validator(mode="after")
    def _shares_fit(self) -> SplitSettings:
        if self.train + self.val > 1:
            raise ValueError("train + val must not exceed 1")
        return self


class StatisticsSettings(Settings):
    """Statistics of the image features, from the train split alone."""

    max_examples_per_tce: int = Field(4, ge=1, description="Examples of one TCE that enter, drawn by hash.")
    pixels: Literal["native", "all"] = Field(
        "native", description="'native' takes each camera pixel once; 'all' pools the upsampled copies too."
    )


class NormalizeSettings(Settings):
    """Normalization of flux and images."""

    flux: Literal["min", "robust"] = Field(
        "min",
        description="'min': published, the deepest central point becomes -1 (noise included); 'robust': the median"
        " of the central half transit duration becomes -1, with the scatter outside as floor.",
    )
    images: Literal["train", "per_image"] = Field(
        "train",
        description="'train': (x - median) / std_mad with the train split's numbers; 'per_image': with the image's"
        " own.",
    )


class SelectionSettings(Settings):
    """A named choice of examples."""

    where: str = Field(
        "",
        description='Expression over the example table, e.g. label == 1 and disposition == "EB" and offset_sigma > 3.'
        " Empty: all examples.",
    )
    drop: str = Field("", description="Examples for which this expression holds are left out.")
    max_per_target: int | None = Field(None, ge=1, description="Cap per star and label, drawn by hash.")
    max_per_event: int | None = Field(None, ge=1, description="Cap per real event and label, drawn by hash.")
    max_per_disposition: dict[Disposition, int] = Field(
        default_factory=dict, description="Cap per disposition, split and label, drawn by hash."
    )
    quota: float | None = Field(
        None,
        gt=0,
        description="Negatives per positive in each split and duration bin: own windows first, then spare ones"
        " of quiet stars; null: leave as built, without spare ones.",
    )
    materialize: bool = Field(False, description="Also write shards that hold only the selected examples.")


class ReportSettings(Settings):
    """Plots in the report."""

    example_windows: int = Field(6, ge=1, description="Windows drawn, before and after normalization.")
    light_curves: int = Field(4, ge=1, description="Light curves drawn with their masks.")


EVENT_SETTINGS = frozenset({"duplicates", "max_period_ratio", "period_tolerance", "tce_example_disps"})
"""What building reads of the plan's settings; the others reach a shard by the digest of its members."""
LIGHT_CURVES_PER_JOB = 1000
"""For so many, starting a job costs less than 5 % of its work (benchmarks/job_overhead.py)."""
NOT_OF_THE_DATASET = frozenset({"select", "train", "report", "shards_per_job"})
"""Settings of the line that do not shape its dataset."""


class TransitSettings(Settings):
    """The transit line."""

    inputs: InputSettings = Field(default_factory=InputSettings)
    demo: DemoSettings = Field(default_factory=DemoSettings)
    plan: PlanSettings = Field(default_factory=PlanSettings)
    build: BuildSettings = Field(default_factory=BuildSettings)
    split: SplitSettings = Field(default_factory=SplitSettings)
    statistics: StatisticsSettings = Field(default_factory=StatisticsSettings)
    normalize: NormalizeSettings = Field(default_factory=NormalizeSettings)
    select: dict[str, SelectionSettings] = Field(
        default_factory=lambda: {"balanced": SelectionSettings(max_per_target=200, quota=1.0)},
        description="Named selections; each gives a table of ids with counts and reasons.",
    )
    train: TrainSettings = Field(default_factory=TrainSettings)
    report: ReportSettings = Field(default_factory=ReportSettings)
    shards_per_job: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="Shards that one job makes, one after the other; null: as many as have 1,000 light curves, for less"
        " than 5 % of a job is then its start, but so that 8 jobs or more share the shards, and at most 128. On a"
        " cluster that takes 7,000. No file of the dataset depends on it, and shards that are whole are kept when it"
        " changes.",
    )

    @property
    def training(self) -> TrainSettings:
        """The training block; in the demo, its own step size and epochs stand in for the published ones."""
        if self.inputs.source != "demo":
            return self.train
        own = {key: getattr(self.demo, key) for key in ("learning_rate", "epochs")}
        return self.train.model_copy(update={k: v for k, v in own.items() if k not in self.train.model_fields_set})

    @model_validator(mode="after")
    def _names_agree(self) -> TransitSettings:
        if self.inputs.source == "archive" and (self.inputs.tce_table is None or not self.inputs.light_curves):
            raise ValueError("inputs.source is 'archive': set inputs.tce_table and inputs.light_curves")
        if self.train.enabled and self.train.selection not in (None, *self.select):
            raise ValueError(f"train.selection {self.train.selection!r} is not among select: {sorted(self.select)}")
        return self
