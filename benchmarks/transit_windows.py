"""What one window costs: Trainyard's way of reading a (target, sector) against the usual ones.

    python benchmarks/transit_windows.py [--json PATH]

Simulates a 2-minute light curve and an 11 x 11 target pixel file in the full SPOC schema, then cuts the same windows
(flux of 100 points, difference, out-of-transit, signal-to-noise and target image) in four ways, each in a process of
its own:

trainyard         both files read once
published         pixel file read again for every window, and opened once more for its coordinates, with astropy
lightkurve-each   pixel file opened with lightkurve for every window
lightkurve-once   pixel file opened with lightkurve once, its arrays kept, cadences picked and averaged for every window

The three others read the light curve once, as arrays, and share Trainyard's resampling and image geometry: what is
compared is the reading and averaging of data. Files are in the page cache. A way is timed as a part per file plus a
part per window; a sector of a planet host gives about 8 windows, one of a short-period binary about 80.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from own_process import in_own_process, peak_mib

RA, DEC = 63.3739, -69.2268
PERIOD, DURATION, DEPTH = 1.3, 0.125, 0.01
BITMASK = 17087
WINDOWS_PER_FILE = (8, 80)

Centres = NDArray[np.float64]
CutWindow = Callable[[float], NDArray[np.float32]]


@dataclass(frozen=True)
class Files:
    """A simulated (target, sector)."""

    light_curve: Path
    pixels: Path


def simulate(folder: Path, *, cadences: int, side: int) -> Files:
    """Write a star with transits, off the middle of its stamp, among flagged and missing cadences."""
    from trainyard.demo.fits import CADENCE_DAYS, Identity, Stamp, light_curve_bytes, target_pixel_bytes

    rng = np.random.default_rng(5)
    times = 1500.0 + np.arange(cadences) * CADENCE_DAYS
    in_transit = np.abs((times - 1500.5 + PERIOD / 2) % PERIOD - PERIOD / 2) < DURATION / 2
    quality = np.where(rng.random(cadences) < 0.01, 32, 0)
    times[cadences // 2 : cadences // 2 + cadences // 20] = np.nan

    row, column = np.mgrid[:side, :side]
    star = 1e4 * np.exp(-((row - side // 2 + 1) ** 2 + (column - side // 2 - 1) ** 2) / 2)
    model = 10.0 + star * (1 - DEPTH * in_transit)[:, None, None]
    flux = rng.normal(model, 3.0).astype(np.float32)
    flux[np.isnan(times)] = np.nan
    errors = np.full(flux.shape, 3.0, np.float32)

    identity = Identity(1, 1, 1, 1, RA, DEC, 10.0, 5800.0, 4.4, 1.0, "benchmark")
    stamp = Stamp(np.full((side, side), 3, np.int32), side // 2 + 1.0, side // 2 - 1.0, 0.3, (100, 200))
    common = {"TIME": times, "CADENCENO": np.arange(cadences), "QUALITY": quality}
    total, total_err = flux.sum(axis=(1, 2)), np.full(cadences, 3.0 * side)
    curve = {"SAP_FLUX": total, "SAP_FLUX_ERR": total_err, "PDCSAP_FLUX": total, "PDCSAP_FLUX_ERR": total_err}

    files = Files(folder / "star_lc.fits", folder / "star_tp.fits")
    files.light_curve.write_bytes(light_curve_bytes(identity, stamp, common | curve))
    lean = target_pixel_bytes(identity, stamp, common | {"FLUX": flux, "FLUX_ERR": errors})
    _write_with_all_columns(files.pixels, lean)
    return files


def _write_with_all_columns(path: Path, lean: bytes) -> None:
    """Give a pixel file the columns that nobody here reads, but that make the archive's files as long as they are."""
    from astropy.io import fits

    with fits.HDUList.fromstring(lean) as hdus:
        columns = {column.name: column for column in hdus[1].columns}
        shape = hdus[1].data["FLUX"].shape
        for name, kind in {"RAW_CNTS": "J", "FLUX_BKG": "E", "FLUX_BKG_ERR": "E"}.items():
            columns[name] = fits.Column(
                name, format=columns["FLUX"].format[:-1] + kind, dim=columns["FLUX"].dim, array=np.zeros(shape)
            )
        order = ["TIME", "TIMECORR", "CADENCENO", "RAW_CNTS", "FLUX", "FLUX_ERR", "FLUX_BKG", "FLUX_BKG_ERR"]
        order += ["QUALITY", "POS_CORR1", "POS_CORR2"]
        header = hdus[1].header.copy(strip=True)
        table = fits.BinTableHDU.from_columns([columns[name] for name in order], header=header, name="PIXELS")
        fits.HDUList([hdus[0], table, hdus["APERTURE"]]).writeto(path)


@contextmanager
def trainyard_way(files: Files) -> Iterator[CutWindow]:
    """Read once; a window picks its cadences from memory."""
    from trainyard.transit.images import window_images
    from trainyard.transit.pixels import PixelFile
    from trainyard.transit.settings import ImageSettings

    settings = ImageSettings()
    cut_flux = light_curve_cutter(files.light_curve)
    with PixelFile.open(files.pixels) as pixels:

        def cut(centre: float) -> NDArray[np.float32]:
            cut_flux(centre)
            return window_images(
                pixels, centre=centre, duration=DURATION, settings=settings, bitmask=BITMASK, ra=RA, dec=DEC
            ).diff_img

        yield cut


@contextmanager
def published_way(files: Files) -> Iterator[CutWindow]:
    """Open and read the pixel file for every window, and once more for the coordinates."""
    from astropy.io import fits
    from astropy.wcs import WCS

    cut_flux = light_curve_cutter(files.light_curve)

    def cut(centre: float) -> NDArray[np.float32]:
        cut_flux(centre)
        with fits.open(files.pixels) as hdus:
            table = hdus[1].data
            good = np.isfinite(table["TIME"]) & (table["QUALITY"] & BITMASK == 0)
            times, flux, errors = table["TIME"][good], table["FLUX"][good], table["FLUX_ERR"][good]
        with fits.open(files.pixels) as hdus:
            position = WCS(hdus["APERTURE"].header).all_world2pix(RA, DEC, 0)
        return picked_images(times, flux, errors, position, centre)

    yield cut


@contextmanager
def lightkurve_each_way(files: Files) -> Iterator[CutWindow]:
    """Open the pixel file with lightkurve for every window."""
    import lightkurve

    cut_flux = light_curve_cutter(files.light_curve)

    def cut(centre: float) -> NDArray[np.float32]:
        cut_flux(centre)
        pixels = lightkurve.TessTargetPixelFile(str(files.pixels), quality_bitmask=BITMASK)
        position = pixels.wcs.all_world2pix(RA, DEC, 0)
        return picked_images(pixels.time.value, pixels.flux.value, pixels.flux_err.value, position, centre)

    yield cut


@contextmanager
def lightkurve_once_way(files: Files) -> Iterator[CutWindow]:
    """Open the pixel file with lightkurve once."""
    import lightkurve

    cut_flux = light_curve_cutter(files.light_curve)
    pixels = lightkurve.TessTargetPixelFile(str(files.pixels), quality_bitmask=BITMASK)
    # Every access to one of these copies all good cadences.
    times, flux, errors = pixels.time.value, pixels.flux.value, pixels.flux_err.value
    position = pixels.wcs.all_world2pix(RA, DEC, 0)

    def cut(centre: float) -> NDArray[np.float32]:
        cut_flux(centre)
        return picked_images(times, flux, errors, position, centre)

    yield cut


WAYS = {
    "trainyard": trainyard_way,
    "published": published_way,
    "lightkurve-each": lightkurve_each_way,
    "lightkurve-once": lightkurve_once_way,
}


def light_curve_cutter(path: Path) -> Callable[[float], Any]:
    """Read and prepare the light curve; what it returns cuts and resamples one window."""
    from trainyard.transit.lightcurves import prepare, read_light_curve
    from trainyard.transit.settings import WindowSettings
    from trainyard.transit.windows import Cutter, Window, resample

    curve = prepare(read_light_curve(path), bitmask=BITMASK, kernel_sigma=1.0)
    settings = WindowSettings()
    cutter = Cutter(curve.time, curve.good, settings)
    nothing_masked = np.zeros(len(curve.time), bool)

    def cut(centre: float) -> Any:
        window = cutter.cut(centre, DURATION, in_transit=True)
        if not isinstance(window, Window):
            raise SystemExit(f"the benchmark's window at {centre} is rejected: {window}")
        return resample(window, curve.time, curve.flux, curve.flux_quality, nothing_masked, curve.good, settings)

    return cut


def picked_images(times: Any, flux: Any, errors: Any, position: Any, centre: float) -> NDArray[np.float32]:
    """Images from the cadences themselves, picked by time and averaged."""
    from trainyard.transit.images import MINUTES_PER_DAY, frame_images
    from trainyard.transit.settings import ImageSettings

    settings = ImageSettings()
    distance, buffer = times - centre, settings.buffer_time / MINUTES_PER_DAY
    inside = (distance >= -DURATION / 2) & (distance < DURATION / 2)
    before = (distance >= -1.5 * DURATION - buffer) & (distance < -DURATION / 2 - buffer)
    outside = before | ((distance >= DURATION / 2 + buffer) & (distance < 1.5 * DURATION + buffer))
    mean_in, mean_out = (np.mean(flux[part], axis=0, dtype=np.float64) * 96.0 for part in (inside, outside))
    variance = sum(np.sum((errors[part] * 96.0) ** 2, axis=0) / part.sum() ** 2 for part in (inside, outside))
    difference = mean_out - mean_in
    return frame_images(
        np.stack([difference, mean_out, difference / np.sqrt(variance)]),
        (float(position[0]), float(position[1])),
        size=settings.size_img,
        factor=settings.f_size,
        center_target=settings.center_target,
    ).diff_img


def draw_centres(n: int, *, cadences: int) -> Centres:
    """Middles of windows, days: anywhere but near the ends and the gap in the middle."""
    rng = np.random.default_rng(6)
    days = cadences * 2 / 1440
    first, second = rng.uniform(0.5, days * 0.5 - 0.5, n), rng.uniform(days * 0.55 + 0.5, days - 0.5, n)
    return 1500.0 + np.where(rng.random(n) < 0.5, first, second)


def measure(way: str, files: Files, *, centres: Centres, budget_seconds: float) -> dict[str, Any]:
    """Time one way in this process.

    Returns:
        Seconds per file and per window, how many windows were cut before the budget was spent, peak memory, and the
        greatest value of each difference image, by which the parent sees that all ways agree.
    """
    seconds_per_file = []
    for _ in range(6):
        begin = time.perf_counter()
        with WAYS[way](files) as cut:
            seconds_per_file.append(time.perf_counter() - begin)
            cut(centres[0])
    with WAYS[way](files) as cut:
        opened = time.perf_counter()
        peaks = []
        for centre in centres:
            peaks.append(float(cut(centre).max()))
            if time.perf_counter() - opened > budget_seconds:
                break
        done = time.perf_counter()
    return {
        "way": way,
        # The first time pays for imports and for memory that the process has not had before.
        "seconds_per_file": float(np.median(seconds_per_file[1:])),
        "seconds_per_window": (done - opened) / len(peaks),
        "windows": len(peaks),
        "peak_mib": peak_mib(),
        "peaks": peaks,
    }


def measured_alone(way: str, files: Files, *, windows: int, cadences: int, budget_seconds: float) -> dict[str, Any]:
    command = ["--way", way, "--folder", str(files.pixels.parent)]
    command += ["--windows", str(windows), "--cadences", str(cadences), "--budget-seconds", str(budget_seconds)]
    measured: dict[str, Any] = in_own_process(*command)
    return measured


def add_totals(results: list[dict[str, Any]]) -> None:
    """Seconds per window of a whole file of so many windows, and how many times Trainyard's that is."""
    ours = results[0]
    for n in WINDOWS_PER_FILE:
        for result in results:
            result[f"seconds_per_window_of_{n}"] = result["seconds_per_file"] / n + result["seconds_per_window"]
            result[f"ratio_of_{n}"] = result[f"seconds_per_window_of_{n}"] / ours[f"seconds_per_window_of_{n}"]
    for result in results:
        result["ratio"] = result["seconds_per_window"] / ours["seconds_per_window"]
        both = zip(ours["peaks"], result["peaks"], strict=False)  # the slow ways cut only the first of the windows
        result["largest_difference"] = max(abs(a - b) for a, b in both)
    for result in results:
        del result["peaks"]


def print_table(results: list[dict[str, Any]]) -> None:
    few, many = WINDOWS_PER_FILE
    print(
        f"{'way':<16} {'per file':>9} {'per window':>19} {f'of {few} per file':>19} {f'of {many} per file':>19}"
        f" {'windows/s':>10} {'peak':>9}  agrees within"
    )
    for r in results:
        cells = [
            f"{r[seconds] * 1e3:9.2f} ms {r[ratio]:5.1f}x"
            for seconds, ratio in (
                ("seconds_per_window", "ratio"),
                (f"seconds_per_window_of_{few}", f"ratio_of_{few}"),
                (f"seconds_per_window_of_{many}", f"ratio_of_{many}"),
            )
        ]
        print(
            f"{r['way']:<16} {r['seconds_per_file'] * 1e3:6.0f} ms {' '.join(cells)}"
            f" {1 / r['seconds_per_window']:10.0f} {r['peak_mib']:5.0f} MiB  {r['largest_difference']:.1e} e-/cadence"
        )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--cadences", type=int, default=20_000)
    parser.add_argument("--side", type=int, default=11, help="rows and columns of the stamp")
    parser.add_argument("--windows", type=int, default=1000, help="windows cut at most in each way")
    parser.add_argument("--budget-seconds", type=float, default=8.0, help="a way stops cutting after so long")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    warnings.simplefilter("ignore")

    if args.way:
        files = Files(args.folder / "star_lc.fits", args.folder / "star_tp.fits")
        centres = draw_centres(args.windows, cadences=args.cadences)
        print(json.dumps(measure(args.way, files, centres=centres, budget_seconds=args.budget_seconds)))
        return

    with tempfile.TemporaryDirectory() as folder:
        files = simulate(Path(folder), cadences=args.cadences, side=args.side)
        megabytes = [path.stat().st_size / 1e6 for path in (files.pixels, files.light_curve)]
        print(f"pixel file {megabytes[0]:.0f} MB, light curve {megabytes[1]:.1f} MB; x: times Trainyard's")
        options = {"windows": args.windows, "cadences": args.cadences, "budget_seconds": args.budget_seconds}
        results = [measured_alone(way, files, **options) for way in WAYS]
    add_totals(results)
    print_table(results)
    if args.json:
        settings = {"cadences": args.cadences, "side": args.side, "python": platform.python_version()}
        versions = {name: version(name) for name in ("numpy", "astropy", "lightkurve")}
        args.json.write_text(json.dumps(settings | {"versions": versions, "ways": results}, indent=2) + "\n")


if __name__ == "__main__":
    main()
