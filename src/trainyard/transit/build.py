"""Build one raw shard: read every star of it once, stream its examples out, account for every item.

Memory holds one sector of one star at a time, so it does not grow with the number of stars in a shard.
"""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from trainyard.transit import naming
from trainyard.transit.archive import FileRecord
from trainyard.transit.curves import CURVES, curve_row
from trainyard.transit.detrend import NonPositiveFluxError
from trainyard.transit.events import Event, cluster
from trainyard.transit.images import ImageRejection, WindowImages, window_images
from trainyard.transit.lightcurves import NoFiniteFluxError, chosen_bitmask
from trainyard.transit.members import Star, read_members
from trainyard.transit.pixels import PixelFile
from trainyard.transit.reasons import FAULTS, Reason
from trainyard.transit.records import Example, example_bytes, example_row
from trainyard.transit.schema import DATA_TBL_COLUMNS, EXAMPLES
from trainyard.transit.sector import read_sector
from trainyard.transit.settings import EVENT_SETTINGS, BuildSettings, ImageSettings, PlanSettings
from trainyard.transit.software import versions
from trainyard.transit.star import ImageSource, SectorBuilder, Tally
from trainyard.transit.tces import Tce
from trainyard.transit.windows import Window
from trainyard.yard.blocks import Unit, data_folder, make_block
from trainyard.yard.errors import EnvironmentFault, InputError
from trainyard.yard.files import atomic_open, write_json
from trainyard.yard.identity import keyed_hash
from trainyard.yard.labels import parse_label
from trainyard.yard.ledger import Ledger
from trainyard.yard.logs import progress
from trainyard.yard.receipts import write_receipt
from trainyard.yard.tables import TableWriter
from trainyard.yard.tfrecord import RecordWriter

_log = logging.getLogger(__name__)

_FILE, _TCE = "file", "tce"
_DIAGNOSTIC_STARS = 2
"""Stars of a shard whose light curves are kept, with their masks, for the report."""


def build_shards(
    manifest: Path,
    shards: Mapping[str, str],
    members: Path,
    *,
    plan: PlanSettings,
    settings: BuildSettings,
    code: str,
) -> str:
    """Build the raw shards of a block, but for those that are there already, made from the same.

    A shard that has lost files for a fault that may pass is built again by the next job.

    Args:
        manifest: The block's manifest, in `blocks` in the folder of the raw shards; written last.
        shards: Digest of the members of every shard, by its label.
        members: Folder of the planned members.
        plan: As for `build_shard`.
        settings: As for `build_shard`.
        code: Digest of the code that builds.

    Returns:
        How many shards there are, and how many were kept.
    """
    folder = data_folder(manifest)
    events = plan.model_dump(mode="json", include=set(EVENT_SETTINGS))
    shaped_by = [code, versions(), events, settings.model_dump(mode="json")]

    def unit(label: str, digest: str) -> Unit:
        shard, num_shards = parse_label(label)

        def make() -> bool:
            stars = read_members(members, digest)
            ledger = build_shard(stars, folder, shard=shard, num_shards=num_shards, plan=plan, settings=settings)
            _log.info("shard %s: %s", label, ledger.summary())
            return not any(ledger.rejected(_FILE, reason) for reason in FAULTS)

        return Unit(label, naming.raw_files(folder, shard, num_shards), [*shaped_by, digest], make)

    return make_block(manifest, [unit(label, digest) for label, digest in shards.items()])


def build_shard(
    members: Sequence[Star],
    out_dir: Path,
    *,
    shard: int,
    num_shards: int,
    plan: PlanSettings,
    settings: BuildSettings,
) -> Ledger:
    """Write `raw_shard_*`, `data_tbl_*`, `examples_*`, `curves_*` and `ledger_*` of one shard.

    Args:
        members: Stars of the shard.
        out_dir: Folder of the raw shards.
        shard: 1-based number of the shard.
        num_shards: Number of shards.
        plan: Which dispositions become examples, and how TCEs are clustered.
        settings: Everything else that shapes the examples.

    Returns:
        The shard's ledger; its sums have been checked.
    """
    ledger = Ledger("transit", Reason)
    raw = out_dir / naming.raw_shard(shard, num_shards)
    diagnostic = _diagnostic_stars(members)
    with _opened(out_dir, shard, num_shards) as sink:
        build = _Build(sink, plan, settings, ledger)
        for star in progress(members, total=len(members), what=raw.name):
            build.star(star, keep_curves=star.target_id in diagnostic)
    ledger.check()
    write_json(out_dir / naming.ledger(shard, num_shards), ledger.to_dict())
    write_receipt(raw, records=sink.records.records, schema=EXAMPLES.digest)
    return ledger


@dataclass(frozen=True)
class _Sink:
    """The open outputs of a shard."""

    records: RecordWriter
    examples: TableWriter
    curves: TableWriter
    tces: csv.DictWriter[str]
    shard_name: str

    def write(self, examples: Sequence[Example]) -> None:
        self.examples.write_rows([example_row(one, self.records.write(example_bytes(one))) for one in examples])

    def write_tce(self, tce: Tce, *, in_transit: int, out_of_transit: int) -> None:
        self.tces.writerow({
            **tce.scalars, "tce_uid": tce.uid, "tfrec_fn": self.shard_name,
            "n_transit_examples": float(in_transit), "n_not_transit_examples": float(out_of_transit),
        })  # fmt: skip


@contextmanager
def _opened(out_dir: Path, shard: int, num_shards: int) -> Iterator[_Sink]:
    raw = out_dir / naming.raw_shard(shard, num_shards)
    with ExitStack() as stack:
        records = stack.enter_context(atomic_open(raw))
        table = stack.enter_context(atomic_open(out_dir / naming.data_tbl(shard, num_shards)))
        text = io.TextIOWrapper(table, encoding="utf-8", newline="", write_through=True)
        writer = csv.DictWriter(text, DATA_TBL_COLUMNS, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        examples = stack.enter_context(EXAMPLES.writer(out_dir / naming.examples_tbl(shard, num_shards)))
        curves = stack.enter_context(CURVES.writer(out_dir / naming.curves(shard, num_shards)))
        yield _Sink(RecordWriter(records), examples, curves, writer, raw.name)
        text.detach()


@dataclass(frozen=True)
class _Build:
    """What the stars of a shard have in common."""

    sink: _Sink
    plan: PlanSettings
    settings: BuildSettings
    ledger: Ledger

    def star(self, star: Star, *, keep_curves: bool) -> None:
        """Write all sectors of one star; a sector that fails is rejected and costs nothing but itself."""
        events = cluster((tce for tce in star.tces if tce.can_be_masked), self.plan)
        unmasked = tuple(tce.uid for tce in star.tces if not tce.can_be_masked)
        pixels = {file.sector: file for file in star.files if file.kind == "tp"}
        tally = Tally()
        for file in (file for file in star.files if file.kind == "lc"):
            found = self._sector(file, pixels.pop(file.sector, None), events, unmasked, keep_curve=keep_curves)
            if found is not None:
                tally.add(found)
        for file in pixels.values():
            self._lose(file, Reason.NO_LIGHT_CURVE, f"sector {file.sector} has pixels but no light curve")
        for tce in star.tces:
            self._account_for(tce, tally)

    def _sector(
        self,
        file: FileRecord,
        pixels: FileRecord | None,
        events: tuple[Event, ...],
        unmasked: tuple[str, ...],
        *,
        keep_curve: bool,
    ) -> Tally | None:
        """Write the examples of one sector, or reject its files and return None."""
        own = Ledger("transit", Reason)
        own.expect(_FILE, 1 if pixels is None else 2)
        try:
            with ExitStack() as stack:
                sector = read_sector(file, events, self.settings)
                images_of = _image_source(stack, pixels, self.settings.images, own)
                builder = SectorBuilder(sector, images_of, self.plan, self.settings, own, unmasked=unmasked)
                examples = builder.examples(events)
        except (MemoryError, EnvironmentFault):
            raise
        except Exception as error:
            # A failed sector must not take the shard along; what it is stands in the ledger and in the log.
            reason = _reason_of(error)
            if reason is Reason.UNEXPECTED:
                _log.exception("%s: unexpected error; the sector is left out", file.path)
            for lost in (file, pixels):
                if lost is not None:
                    self._lose(lost, reason, f"{type(error).__name__}: {error}")
            return None
        own.keep(_FILE, file.path)
        own.check()
        self.ledger.add(own)
        self.sink.write(examples)
        pixel_bitmask = chosen_bitmask(self.settings.images.quality_bitmask, file.mission)
        row = curve_row(sector, examples, pixel_bitmask=pixel_bitmask, keep_curve=keep_curve)
        self.sink.curves.write_rows([row])
        return builder.tally

    def _lose(self, file: FileRecord, reason: Reason, detail: str) -> None:
        self.ledger.expect(_FILE)
        self.ledger.reject(_FILE, file.path, reason, detail)

    def _account_for(self, tce: Tce, tally: Tally) -> None:
        """Write the row of one TCE, and what became of it."""
        in_transit, out_of_transit = tally.counts[tce.uid, 1], tally.counts[tce.uid, 0]
        self.sink.write_tce(tce, in_transit=in_transit, out_of_transit=out_of_transit)
        self.ledger.expect(_TCE)
        if in_transit:
            self.ledger.keep(_TCE, tce.uid)
        else:
            detail = f"disposition {tce.disposition}, run {tce.sector_run or 'not stated'}"
            self.ledger.reject(_TCE, tce.uid, self._why_without_example(tce, tally), detail)

    def _why_without_example(self, tce: Tce, tally: Tally) -> Reason:
        if not tce.can_be_masked:
            return Reason.NO_EPHEMERIS
        if tce.disposition not in self.plan.tce_example_disps:
            return Reason.NOT_EXEMPLIFIED
        if tce.uid in tally.emitted:
            return Reason.SAME_EVENT
        if not any(tce.covers(sector) for sector in tally.sectors):
            return Reason.NO_LIGHT_CURVE
        return Reason.NO_WINDOW_KEPT if tce.uid in tally.predicted else Reason.NO_EVENT_IN_DATA


def _reason_of(error: Exception) -> Reason:
    if isinstance(error, NoFiniteFluxError):
        return Reason.NO_FINITE_FLUX
    if isinstance(error, NonPositiveFluxError):
        return Reason.NON_POSITIVE_FLUX
    return Reason.UNREADABLE if isinstance(error, InputError) else Reason.UNEXPECTED


def _image_source(stack: ExitStack, pixels: FileRecord | None, settings: ImageSettings, ledger: Ledger) -> ImageSource:
    """A function from a window to its images; the pixel file is opened once and closed with the stack."""
    missing = Reason.NO_PIXEL_FILE if settings.images == "require" else None
    opened = None
    if pixels is not None and settings.images != "off":
        try:
            opened = stack.enter_context(PixelFile.open(Path(pixels.path)))
        except InputError as error:
            ledger.reject(_FILE, pixels.path, Reason.UNREADABLE, str(error))
    if pixels is not None and (opened is not None or settings.images == "off"):
        ledger.keep(_FILE, pixels.path)
    if opened is None or pixels is None:
        return lambda window, ra, dec: missing
    bitmask = chosen_bitmask(settings.quality_bitmask, pixels.mission)

    def images_of(window: Window, ra: float, dec: float) -> WindowImages | Reason | None:
        place = {"centre": window.centre, "duration": window.duration, "ra": ra, "dec": dec}
        try:
            return window_images(opened, settings=settings, bitmask=bitmask, **place)
        except ImageRejection as rejection:
            return rejection.reason if settings.images == "require" else None

    return images_of


def _diagnostic_stars(members: Sequence[Star]) -> set[int]:
    """A few stars with events and data, drawn by hash."""
    able = [star.target_id for star in members if star.tces and star.files]
    return set(sorted(able, key=lambda target: keyed_hash("diagnostic", target))[:_DIAGNOSTIC_STARS])
