"""What the rows of the splice line cost: Trainyard's features against plain pandas, k-mers against a naive counter.

    python benchmarks/splice_features.py [--json PATH]

Simulates genes with scores and draws the rows of each by the strata of a build. Then, each in a process of its own:

rows        all features of these rows as one Arrow table per gene, by Trainyard and by plain pandas: formulas on
            shifted columns, peaks, words and motifs looked up and counted row by row, structure by a merge. A second
            ratio leaves out what pandas does row by row.
k-mers      words in the windows of the same rows, by Trainyard and by a counter of slices, for 3-mers and 6-mers
batch       a whole batch: file of positions, rows of the dataset, analysis tables, all on disk, with its peak memory

A way that is slow stops after some genes; what it made is compared with Trainyard's.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from own_process import in_own_process, peak_mib

from trainyard.splice.calls import Gene, GeneScores, Sites
from trainyard.splice.dataset_schema import BatchFiles, dataset
from trainyard.splice.features import features
from trainyard.splice.kmers import Windows, vocabulary
from trainyard.splice.motifs import _ACCEPTOR, _DONOR, _LEAST
from trainyard.splice.positions import GenePositions, build_positions, gene_positions
from trainyard.splice.rows import RowSettings, build_rows, row_tables
from trainyard.splice.sampling import Sample, sample_positions
from trainyard.splice.schema import GENES, SITES
from trainyard.splice.settings import (
    SpliceExportSettings,
    SpliceFeatureSettings,
    SpliceLabelSettings,
    SpliceSamplingSettings,
)

MEDIAN_LENGTH, MEAN_LENGTH, LONGEST = 21_200, 45_400, 2_300_000
"""Of protein-coding loci; the longest is that of the dystrophin gene."""
BASES_PER_SITE = 2_550
FEATURES = SpliceFeatureSettings()
SAMPLING = SpliceSamplingSettings()
EPS, LOG_EPS = 1e-10, 1e-6

Table = dict[str, np.ndarray]


@dataclass(frozen=True)
class Annotation:
    """Simulated genes, one after the other on one contig."""

    lengths: list[int]

    @property
    def gene_ids(self) -> list[str]:
        """All genes, in order."""
        return [f"ENSG{i:011d}" for i in range(len(self.lengths))]

    def place(self, i: int) -> Gene:
        """Where a gene lies."""
        start = 1 + sum(self.lengths[:i]) + 500 * i
        return Gene(f"ENSG{i:011d}", "1", start, start + self.lengths[i] - 1, "+-"[i % 2])

    def sites(self, i: int) -> tuple[np.ndarray, np.ndarray]:
        """Donors and acceptors in turn."""
        n = 2 * max(self.lengths[i] // BASES_PER_SITE // 2, 1)
        places = np.sort(np.random.default_rng([1, i]).choice(self.lengths[i] // 30 - 2, n, replace=False) * 30 + 30)
        return places[::2], places[1::2]

    def gene(self, gene_id: str) -> GeneScores:
        """Bases and scores: noise, peaks at most sites and at a few other places."""
        i = int(gene_id.removeprefix("ENSG"))
        gene, (donors, acceptors) = self.place(i), self.sites(i)
        rng = np.random.default_rng([2, i])
        codes = rng.integers(0, 4, gene.length).astype(np.uint8)
        codes[rng.integers(0, gene.length, gene.length // 5000)] = 4
        tracks = []
        for own in (donors, acceptors):
            track = np.exp(rng.normal(-12, 2, gene.length)).clip(0, 0.05)
            peaks = np.concatenate([own, rng.integers(0, gene.length, 2 + own.size // 4)])
            track[np.minimum(peaks + 1, gene.length - 1)] += 0.01
            track[peaks] = rng.beta(1.5, 0.4, peaks.size)
            tracks.append(track)
        too_much = np.maximum(tracks[0] + tracks[1], 1)
        t = np.concatenate([donors, acceptors]).astype(np.int32)
        own_sites = Sites(t, np.arange(t.size) >= donors.size, np.ones(t.size, np.int16))
        donor, acceptor = ((track / too_much).astype(np.float32) for track in tracks)
        return GeneScores(gene, codes, donor, acceptor, own_sites, Sites.none())

    def row(self, i: int) -> dict[str, Any]:
        """Row of the contract GENES."""
        gene, (donors, acceptors) = self.place(i), self.sites(i)
        exons = donors.size + 1
        return {
            "gene_id": gene.gene_id, "gene_version": "1", "gene_name": f"NAME{i}", "gene_type": "protein_coding",
            "chrom": gene.chrom, "start": gene.start, "end": gene.end, "strand": gene.strand, "length": gene.length,
            "num_transcripts": 1 + i % 9, "n_donors": donors.size, "n_acceptors": acceptors.size,
            "locus_cluster": gene.gene_id, "overlap_same_strand": 0, "overlap_opposite_strand": i % 2,
            "rep_transcript_id": f"ENST{i:011d}", "rep_spliced_length": 150 * exons, "rep_num_exons": exons,
            "rep_avg_exon_length": 150.5, "rep_median_exon_length": 120.0,
            "rep_total_intron_length": max(gene.length - 150 * exons, 0), "source_order": i,
        }  # fmt: skip

    def genes_table(self) -> pa.Table:
        """Contract GENES."""
        return GENES.table([self.row(i) for i in range(len(self.lengths))])

    def sites_table(self) -> pa.Table:
        """Contract SITES."""
        rows = []
        for i, gene_id in enumerate(self.gene_ids):
            gene = self.place(i)
            of_type = zip(("donor", "acceptor"), self.sites(i), strict=True)
            for t, site_type in sorted((t, name) for name, places in of_type for t in places.tolist()):
                place = int(gene.exon_pos(np.array([t]))[0])
                rows.append({
                    "gene_id": gene_id, "site_type": site_type, "t": t, "intron_pos": place, "exon_pos": place,
                    "chrom": gene.chrom, "strand": gene.strand, "transcript_count": 1,
                    "transcript_ids": [f"ENST{i:011d}"],
                })  # fmt: skip
        return SITES.table(rows)


@dataclass(frozen=True)
class Work:
    """One gene and the rows that are made of it."""

    positions: GenePositions
    sample: Sample
    row: dict[str, Any]

    @property
    def text(self) -> str:
        """The window's sequence, N beyond the gene."""
        pad = "N" * FEATURES.radius
        return pad + "".join("ACGTN"[code] for code in self.positions.codes) + pad


def simulated_work(genes: int, length: int) -> Iterator[Work]:
    annotation = Annotation([length] * genes)
    for i, gene_id in enumerate(annotation.gene_ids):
        positions = gene_positions(annotation.gene(gene_id), SpliceLabelSettings())
        sample = sample_positions(
            positions.calls.pred_type, np.maximum(positions.donor, positions.acceptor), positions.eligible,
            settings=SAMPLING, seed=42, gene_id=gene_id,
        )  # fmt: skip
        yield Work(positions, sample, annotation.row(i))


def trainyard_rows(work: Work, seconds: Counter[str]) -> Table:
    begin = time.perf_counter()
    table = pa.concat_tables(row_tables(work.positions, work.sample, work.row, FEATURES))
    seconds["all"] += time.perf_counter() - begin
    return {f.name: table[f.name].to_numpy() for f in features(FEATURES)}


def pandas_rows(work: Work, seconds: Counter[str]) -> Table:
    """The way that one writes down first: a frame of the gene, then rows picked from it."""
    parts = {"scores": _pandas_scores, "peaks": _pandas_peaks, "words": _pandas_words, "motifs": _pandas_motifs}
    parts["structure"] = _pandas_structure
    frames = []
    for name, part in parts.items():
        begin = time.perf_counter()
        frames.append(part(work).reset_index(drop=True))
        seconds[name] += time.perf_counter() - begin
    begin = time.perf_counter()
    frame = pd.concat(frames, axis=1)
    seconds["structure"] += time.perf_counter() - begin
    return {name: frame[name].to_numpy() for name in frame}


def _pandas_scores(work: Work) -> pd.DataFrame:
    frame = pd.DataFrame({"d": work.positions.donor, "a": work.positions.acceptor}).astype(float)
    frame["n"] = (np.float32(1) - work.positions.donor - work.positions.acceptor).clip(0, 1).astype(float)
    for kind in "da":
        for name, step in (("m2", 2), ("m1", 1), ("p1", -1), ("p2", -2)):
            frame[f"{kind}_{name}"] = frame[kind].shift(step, fill_value=0.0)
    frame = frame.iloc[work.sample.t]
    d, a, n = frame["d"], frame["a"], frame["n"]
    top = np.maximum(d, a)
    out = pd.DataFrame({"donor_score": d, "acceptor_score": a, "neither_score": n})
    out["relative_donor_probability"] = d / (d + a + EPS)
    out["splice_probability"] = (d + a) / (d + a + n + EPS)
    out["donor_acceptor_diff"] = (d - a) / (top + EPS)
    out["splice_neither_diff"] = (top - n) / (np.maximum(top, n) + EPS)
    out["donor_acceptor_logodds"] = np.log(d + EPS) - np.log(a + EPS)
    out["splice_neither_logodds"] = np.log(d + a + EPS) - np.log(n + EPS)
    out["probability_entropy"] = -(d * np.log(d + EPS) + a * np.log(a + EPS) + n * np.log(n + EPS))
    out["score_difference_ratio"] = (d - a) / (d + a + EPS)
    out["donor_acceptor_log_ratio"] = np.log((d + LOG_EPS) / (a + LOG_EPS))
    out["splice_neither_log_ratio"] = np.log((d + a + LOG_EPS) / (n + LOG_EPS))
    for name, s in (("donor", d), ("acceptor", a)):
        m2, m1, p1, p2 = (frame[f"{name[0]}_{at}"] for at in ("m2", "m1", "p1", "p2"))
        mean, most = (m2 + m1 + p1 + p2) / 4, np.maximum.reduce([m2, m1, p1, p2])
        out[f"{name}_ctx_m2"], out[f"{name}_ctx_m1"] = m2, m1
        out[f"{name}_ctx_p1"], out[f"{name}_ctx_p2"] = p1, p2
        out[f"{name}_ctx_mean"], out[f"{name}_ctx_max"] = mean, most
        out[f"{name}_ctx_asymmetry"] = (m1 + m2) - (p1 + p2)
        out[f"{name}_ctx_is_peak"] = ((s > m1) & (s > p1) & (s > 0.001)).astype(int)
        out[f"{name}_ctx_weighted"] = 0.1 * m2 + 0.2 * m1 + 0.4 * s + 0.2 * p1 + 0.1 * p2
        out[f"{name}_ctx_second_derivative"] = 2 * s - m1 - p1
        out[f"{name}_ctx_signal_strength"] = s - mean
        out[f"{name}_ctx_surge_log_ratio"] = np.log((s + LOG_EPS) / (m1 + p1 + LOG_EPS))
        out[f"{name}_ctx_peak_height_log_ratio"] = np.log((s + LOG_EPS) / (mean + LOG_EPS))
        out[f"{name}_ctx_max_log_ratio"] = np.log((s + LOG_EPS) / (most + LOG_EPS))
    heights = [out[f"{name}_ctx_peak_height_log_ratio"] for name in ("donor", "acceptor")]
    out["donor_acceptor_peak_log_ratio"] = heights[0] - heights[1]
    m2, m1, p1, p2 = (frame[f"d_{at}"].where(d >= a, frame[f"a_{at}"]) for at in ("m2", "m1", "p1", "p2"))
    mean, most = (m2 + m1 + p1 + p2) / 4, np.maximum.reduce([m2, m1, p1, p2])
    out["score"] = top
    out["context_score_m2"], out["context_score_m1"] = m2, m1
    out["context_score_p1"], out["context_score_p2"] = p1, p2
    out["context_neighbor_mean"], out["context_max"] = mean, most
    out["context_asymmetry"] = (m1 + m2) - (p1 + p2)
    for name, s in (("donor", d), ("acceptor", a)):
        for at, other in (("m1", m1), ("m2", m2), ("p1", p1), ("p2", p2)):
            out[f"{name}_diff_{at}"] = s - other
        out[f"{name}_surge_ratio"] = s / (m1 + p1 + EPS)
        out[f"{name}_is_local_peak"] = ((s > m1) & (s > p1) & (s > 0.001)).astype(int)
        out[f"{name}_weighted_context"] = 0.1 * m2 + 0.2 * m1 + 0.4 * s + 0.2 * p1 + 0.1 * p2
        out[f"{name}_peak_height_ratio"] = s / (mean + EPS)
        out[f"{name}_second_derivative"] = (s - m1) - (p1 - s)
        out[f"{name}_signal_strength"] = s - mean
        out[f"{name}_context_diff_ratio"] = s / (most + EPS)
    out["donor_acceptor_peak_ratio"] = out["donor_peak_height_ratio"] / (out["acceptor_peak_height_ratio"] + EPS)
    out["type_signal_difference"] = out["donor_signal_strength"] - out["acceptor_signal_strength"]
    out["signal_strength_ratio"] = out["donor_signal_strength"] / (out["acceptor_signal_strength"] + EPS)
    return out


def _pandas_peaks(work: Work) -> pd.DataFrame:
    """The nearest stronger peak, looked for row by row among the peaks of the gene."""
    frame = pd.DataFrame({"donor": work.positions.donor, "acceptor": work.positions.acceptor})
    peaks = {}
    for name in frame:
        s = frame[name]
        is_peak = (s > s.shift(1, fill_value=0)) & (s > s.shift(-1, fill_value=0)) & (s > np.float32(0.001))
        peaks[name] = (s.index[is_peak].to_numpy(), s[is_peak].to_numpy())
    columns: dict[str, list[float]] = {}
    for name, other in (("donor", "acceptor"), ("acceptor", "donor")):
        own = frame[name].to_numpy()
        for relation, target in (("same", name), ("other", other)):
            places, heights = peaks[target]
            for radius in FEATURES.context_radii:
                found = [_nearest(places, heights, t, own[t], radius) for t in work.sample.t.tolist()]
                stem = f"{name}_{relation}_peak"
                columns[f"{stem}_distance_{radius}"] = [distance for distance, _ in found]
                columns[f"{stem}_height_{radius}"] = [height for _, height in found]
    return pd.DataFrame(columns)


def _nearest(places: np.ndarray, heights: np.ndarray, t: int, score: float, radius: int) -> tuple[int, float]:
    begin, end = places.searchsorted(t - radius), places.searchsorted(t + radius, side="right")
    best = (radius + 1, 0.0, 0)
    for place, height in zip(places[begin:end].tolist(), heights[begin:end].tolist(), strict=True):
        if place != t and height > score:
            best = min(best, (abs(place - t), -height, place))
    return (radius + 1, 0.0) if best[0] > radius else (best[2] - t, -best[1])


def _pandas_words(work: Work) -> pd.DataFrame:
    """Words counted in a dictionary per row."""
    text, width = work.text, 2 * FEATURES.radius + 1
    windows = pd.Series([text[t : t + width] for t in work.sample.t.tolist()])
    out = pd.DataFrame({"gc_content": windows.map(_gc), "sequence_complexity": windows.map(_entropy)})
    (k,) = FEATURES.kmer_sizes
    counts = pd.DataFrame([naive_counts(window, k) for window in windows])
    counts = counts.reindex(columns=vocabulary(k)).fillna(0).astype("uint16")
    return pd.concat([out, counts.add_prefix(f"{k}mer_")], axis=1)


def _gc(window: str) -> float:
    known = len(window) - window.count("N")
    return (window.count("G") + window.count("C")) / known if known else 0.0


def _entropy(window: str) -> float:
    known = len(window) - window.count("N")
    shares = np.array([window.count(base) / known for base in "ACGT" if base in window])
    return float(-(shares * np.log2(shares)).sum())


def naive_counts(window: str, k: int) -> Counter[str]:
    words = Counter(window[i : i + k] for i in range(len(window) - k + 1))
    return Counter({word: n for word, n in words.items() if "N" not in word})


def _pandas_motifs(work: Work) -> pd.DataFrame:
    """Scores of the motifs letter by letter."""
    weights = [
        [dict(zip("ACGT", np.log2(np.maximum(place, _LEAST) / 0.25), strict=True)) for place in np.array(table).T]
        for table in (_DONOR, _ACCEPTOR)
    ]
    text, radius = work.text, FEATURES.radius
    rows = []
    for t in (work.sample.t + radius).tolist():
        donor, acceptor, tract = text[t - 2 : t + 7], text[t - 15 : t + 2], text[t - 20 : t - 2]
        known = len(tract) - tract.count("N")
        rows.append({
            "donor_motif_score": sum(w.get(base, 0.0) for w, base in zip(weights[0], donor, strict=True)),
            "acceptor_motif_score": sum(w.get(base, 0.0) for w, base in zip(weights[1], acceptor, strict=True)),
            "donor_is_gt": int(donor[3:5] == "GT"),
            "donor_is_gc": int(donor[3:5] == "GC"),
            "donor_is_at": int(donor[3:5] == "AT"),
            "acceptor_is_ag": int(acceptor[13:15] == "AG"),
            "acceptor_is_ac": int(acceptor[13:15] == "AC"),
            "polypyrimidine_fraction": (tract.count("C") + tract.count("T")) / known if known else 0.0,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _pandas_structure(work: Work) -> pd.DataFrame:
    genes = pd.DataFrame([work.row])
    out = pd.DataFrame({"gene_id": work.positions.gene_id, "dist_to_5p": work.sample.t}).merge(genes, on="gene_id")
    out["dist_to_3p"] = out["length"] - 1 - out["dist_to_5p"]
    out["relative_position"] = out["dist_to_5p"] / (out["length"] - 1)
    out["n_splice_sites"] = out["n_donors"] + out["n_acceptors"]
    out["splice_density_per_kb"] = out["n_splice_sites"] / (out["length"] / 1000)
    return out.rename(columns={"length": "gene_length"})


def trainyard_words(k: int) -> Callable[[Work], np.ndarray]:
    def count(work: Work) -> np.ndarray:
        return Windows(work.positions.codes, FEATURES.radius).kmers(work.sample.t, k)

    return count


def naive_words(k: int) -> Callable[[Work], np.ndarray]:
    words = vocabulary(k)

    def count(work: Work) -> np.ndarray:
        text, width = work.text, 2 * FEATURES.radius + 1
        found = [naive_counts(text[t : t + width], k) for t in work.sample.t.tolist()]
        return np.array([[counts[word] for counts in found] for word in words], np.uint16)

    return count


ROW_WAYS = {"trainyard": trainyard_rows, "pandas": pandas_rows}
WORD_WAYS = {
    f"{name}-{k}mers": way(k) for k in (3, 6) for name, way in (("trainyard", trainyard_words), ("naive", naive_words))
}


def measure_rows(way: str, folder: Path, *, genes: int, length: int, budget_seconds: float) -> dict[str, Any]:
    """Time a way over genes until its budget is spent; what it made of the first few goes to the folder."""
    names = [f.name for f in features(FEATURES)]
    seconds: Counter[str] = Counter()
    n_rows = n_genes = 0
    for i, work in enumerate(simulated_work(genes + 1, length)):
        if i == 0:
            # The first gene pays for imports and caches.
            ROW_WAYS[way](work, Counter())
            continue
        table = ROW_WAYS[way](work, seconds)
        if i <= 2:
            np.save(folder / f"rows_{way}_{i}.npy", np.column_stack([table[name].astype(float) for name in names]))
        n_rows += work.sample.t.size
        n_genes += 1
        if seconds.total() > budget_seconds:
            break
    return {"way": way, "rows": n_rows, "genes": n_genes, "seconds": seconds.total(), "peak_mib": peak_mib()} | {
        "parts": dict(seconds)
    }


def measure_words(way: str, folder: Path, *, genes: int, length: int, budget_seconds: float) -> dict[str, Any]:
    """Time one counter of words."""
    spent, n_rows = 0.0, 0
    for i, work in enumerate(simulated_work(genes, length)):
        begin = time.perf_counter()
        counts = WORD_WAYS[way](work)
        spent += time.perf_counter() - begin
        if i == 0:
            np.save(folder / f"words_{way}.npy", counts)
        n_rows += work.sample.t.size
        if spent > budget_seconds:
            break
    return {"way": way, "rows": n_rows, "seconds": spent, "peak_mib": peak_mib()}


def measure_batch(folder: Path, *, genes: int) -> dict[str, Any]:
    """Build a batch of genes with the lengths of protein-coding loci, on disk."""
    sigma = np.sqrt(2 * np.log(MEAN_LENGTH / MEDIAN_LENGTH))
    lengths = np.random.default_rng(3).lognormal(np.log(MEDIAN_LENGTH), sigma, genes).clip(1000, LONGEST).astype(int)
    annotation = Annotation([*lengths.tolist()[:-1], LONGEST])
    genes_table, sites_table = annotation.genes_table(), annotation.sites_table()
    files = BatchFiles(folder, 1)
    simulation = 0.0

    class Source:
        def gene(self, gene_id: str) -> GeneScores:
            nonlocal simulation
            begin = time.perf_counter()
            scores = annotation.gene(gene_id)
            simulation += time.perf_counter() - begin
            return scores

    settings = RowSettings(SAMPLING, FEATURES, SpliceExportSettings(), 42)
    begin = time.perf_counter()
    build_positions(annotation.gene_ids, Source(), files, settings=SpliceLabelSettings())
    middle = time.perf_counter()
    ledger = build_rows(files, genes_table, sites_table, settings=settings)
    return {
        "genes": genes,
        "positions": sum(annotation.lengths),
        "rows": ledger.kept("position"),
        "seconds_positions": middle - begin - simulation,
        "seconds_rows": time.perf_counter() - middle,
        "raw_megabytes": files.raw.stat().st_size / 1e6,
        "trim_megabytes": files.trim.stat().st_size / 1e6,
        "peak_mib": peak_mib(),
    }


def measured_alone(what: str, way: str, folder: Path, args: argparse.Namespace) -> dict[str, Any]:
    command = ["--what", what, "--way", way, "--folder", str(folder)]
    for name in ("genes", "length", "budget_seconds", "batch_genes"):
        command += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    measured: dict[str, Any] = in_own_process(*command)
    return measured


def largest_difference(folder: Path) -> tuple[float, str]:
    """Largest difference of a value, relative where it is above 1, and the column that has it."""
    names = [f.name for f in features(FEATURES)]
    worst = (0.0, "")
    for i in (1, 2):
        paths = [folder / f"rows_{way}_{i}.npy" for way in ROW_WAYS]
        if not all(path.exists() for path in paths):
            continue
        ours, theirs = (np.load(path) for path in paths)
        difference = (np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1)).max(axis=0)
        worst = max(worst, (float(difference.max()), names[int(difference.argmax())]))
    return worst


def print_rows(results: list[dict[str, Any]], difference: tuple[float, str]) -> None:
    ours, theirs = results
    print(f"{'rows':<16} {'genes':>6} {'rows':>9} {'rows/s':>10} {'peak':>9}")
    for r in results:
        cells = f"{r['genes']:6d} {r['rows']:9,d} {r['rows'] / r['seconds']:10,.0f} {r['peak_mib']:5.0f} MiB"
        print(f"{r['way']:<16} {cells}")
    parts = ", ".join(f"{name} {theirs['rows'] / s:,.0f}" for name, s in theirs["parts"].items())
    print(f"pandas by part, rows/s: {parts}")
    print(
        f"Trainyard {ours['ratio']:.0f}x pandas, {ours['ratio_without_loops']:.1f}x pandas without its loops; values"
        f" agree within {difference[0]:.1e} ({difference[1]})"
    )


def add_ratios(results: list[dict[str, Any]]) -> None:
    ours, theirs = results
    rate = ours["rows"] / ours["seconds"]
    vectorised = theirs["parts"]["scores"] + theirs["parts"]["structure"]
    ours["ratio"] = rate / (theirs["rows"] / theirs["seconds"])
    ours["ratio_without_loops"] = rate / (theirs["rows"] / vectorised)


def print_words(results: list[dict[str, Any]], folder: Path) -> None:
    print(f"\n{'k-mers':<16} {'rows':>9} {'windows/s':>10} {'peak':>9}")
    for ours, theirs in zip(results[::2], results[1::2], strict=True):
        for r in (ours, theirs):
            print(f"{r['way']:<16} {r['rows']:9,d} {r['rows'] / r['seconds']:10,.0f} {r['peak_mib']:5.0f} MiB")
        ours["ratio"] = ours["rows"] / ours["seconds"] / (theirs["rows"] / theirs["seconds"])
        ours["equal"] = bool(np.array_equal(*(np.load(folder / f"words_{r['way']}.npy") for r in (ours, theirs))))
        print(f"{ours['ratio']:.0f}x, counts {'equal' if ours['equal'] else 'DIFFER'}")


def print_batch(batch: dict[str, Any]) -> None:
    print(
        f"\nbatch of {batch['genes']:,} genes, {batch['positions'] / 1e6:.1f} Mb: {batch['rows']:,} rows of"
        f" {len(dataset(FEATURES).names)} columns; positions {batch['seconds_positions']:.0f} s"
        f" ({batch['positions'] / batch['seconds_positions'] / 1e6:.2f} Mb/s, {batch['raw_megabytes']:.0f} MB), rows"
        f" {batch['seconds_rows']:.0f} s ({batch['rows'] / batch['seconds_rows']:,.0f} rows/s,"
        f" {batch['trim_megabytes']:.0f} MB); peak {batch['peak_mib']:.0f} MiB"
    )


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="write the numbers here")
    parser.add_argument("--genes", type=int, default=200)
    parser.add_argument("--length", type=int, default=45_000, help="bases per gene")
    parser.add_argument("--budget-seconds", type=float, default=8.0, help="a way stops after so long")
    parser.add_argument("--batch-genes", type=int, default=1000, help="genes of the batch; 0: none is built")
    parser.add_argument("--what", choices=["rows", "words", "batch"], help=argparse.SUPPRESS)
    parser.add_argument("--way", default="", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)

    if args.what:
        size = {"genes": args.genes, "length": args.length, "budget_seconds": args.budget_seconds}
        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "rows": lambda: measure_rows(args.way, args.folder, **size),
            "words": lambda: measure_words(args.way, args.folder, **size),
            "batch": lambda: measure_batch(args.folder, genes=args.batch_genes),
        }
        print(json.dumps(measures[args.what]()))
        return

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [measured_alone("rows", way, folder, args) for way in ROW_WAYS]
        add_ratios(rows)
        difference = largest_difference(folder)
        print_rows(rows, difference)
        words = [measured_alone("words", way, folder, args) for way in WORD_WAYS]
        print_words(words, folder)
        batch = measured_alone("batch", "", folder, args) if args.batch_genes else None
        if batch:
            print_batch(batch)
    if args.json:
        found = {"genes": args.genes, "length": args.length, "python": platform.python_version()}
        found |= {"versions": {name: version(name) for name in ("numpy", "pandas", "pyarrow")}}
        found |= {"rows": rows, "largest_difference": difference, "words": words, "batch": batch}
        args.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
