"""What the twelve checks conclude from what the streams over rows and columns have found."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from trainyard.splice.calls import ACCEPTOR, DONOR
from trainyard.splice.columnchecks import ColumnFacts
from trainyard.splice.dataset_schema import dataset
from trainyard.splice.genemanifest import FAILED, KEPT, PENDING
from trainyard.splice.master import Master
from trainyard.splice.reasons import Reason
from trainyard.splice.reference import Reference
from trainyard.splice.rowchecks import Problems, RowChecks
from trainyard.splice.settings import SpliceFeatureSettings, SpliceLabelSettings

LARGEST_AUC = 0.95
"""No feature that is not made of the base model's scores may separate sites better than this by itself."""
MISSING_TOLERANCE = 0.02
"""How far the AUC of there being no value may be from 0.5."""
CONSTANT_ROWS = 1000
"""From so many rows on, a feature with one value only is one by design, unless its family depends on chance."""
SCORE_FAMILIES = frozenset({"base", "context", "published"})
_BY_CHANCE = frozenset({"kmer", "structure"})
_SEQUENCE = frozenset({"motif", "kmer"})

NAMES = {
    1: "one schema",
    2: "keys are unique",
    3: "scores are probabilities",
    4: "labels and outcomes agree",
    5: "no site is lost",
    6: "coordinates and bases",
    7: "motifs of sites",
    8: "values are there and finite",
    9: "every planned gene once",
    10: "no feature betrays the label",
    11: "no feature is constant",
    12: "splits are disjoint",
}


@dataclass(frozen=True)
class Finding:
    """What a check found; `passed` is None where it was not done."""

    number: int
    passed: bool | None
    measured: Mapping[str, Any] = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    """The first few, in words; or why it was not done."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        state = "not checked" if self.passed is None else "passed" if self.passed else "failed"
        return {
            "number": self.number,
            "name": NAMES[self.number],
            "state": state,
            "measured": dict(self.measured),
            "problems": list(self.problems),
        }

    def line(self) -> str:
        """One line for people."""
        told = self.to_dict()
        said = f": {'; '.join(self.problems)}" if self.problems else ""
        return f"{self.number:>2} {told['name']:<30} {told['state']}{said}"


def schema(master: Master, params: Mapping[str, Any]) -> Finding:
    """The schema is the one that the settings of features give."""
    # That all parts have one schema, `inspect_master` has seen to.
    measured = {"digest": master.contract.digest, "columns": len(master.contract.names)}
    if "features" not in params:
        return Finding(1, True, measured)
    wanted = dataset(SpliceFeatureSettings.model_validate(params["features"]))
    if wanted.digest == master.contract.digest:
        return Finding(1, True, measured)
    said = f"the parts have schema {master.contract.digest[:12]}, the settings of features give {wanted.digest[:12]}"
    return Finding(1, False, measured, (said,))


def of_rows(number: int, problems: Problems, not_done: str = "") -> Finding:
    """A check that every row has been through; `not_done` says what part of it could not be done."""
    if problems.rows:
        return Finding(number, False, {"rows_wrong": problems.rows}, tuple(problems.examples))
    measured = {"rows_wrong": 0}
    return Finding(number, None, measured, (not_done,)) if not_done else Finding(number, True, measured)


def unknown(reference: Reference | None, with_genome: bool) -> str:
    """What coordinates and bases could not be compared with; empty if they could."""
    if reference is None:
        return "no reference to compare bases and genes with"
    return "" if with_genome else "bases were not compared with the genome"


def sites(master: Master, rows: RowChecks, reference: Reference | None, labels: SpliceLabelSettings | None) -> Finding:
    """Labelled rows of a gene are its annotated sites, one by one."""
    if "genomic" in ((master.manifest or {}).get("deduplicated") or []):
        return Finding(5, None, {}, ("rows of overlapping genes were collapsed, so genes lack sites by design",))
    if reference is None or labels is None:
        return Finding(5, None, {}, ("no reference, or settings of labels, to count sites with",))
    wanted = _expected_sites(reference, labels)
    wrong = []
    for gene_id, counts in rows.sites.items():
        donors, acceptors = wanted.get(gene_id, (0, 0))
        found = int(counts[DONOR]), int(counts[ACCEPTOR])
        if found != (donors, acceptors):
            wrong.append(
                f"gene {gene_id}: {found[0]} donors and {found[1]} acceptors, annotated {donors} and {acceptors}"
            )
    totals = [int(sum(counts[code] for counts in rows.sites.values())) for code in (DONOR, ACCEPTOR)]
    measured = {"donors": totals[0], "acceptors": totals[1], "genes": len(rows.sites), "genes_wrong": len(wrong)}
    return Finding(5, not wrong, measured, tuple(wrong[:5]))


def _expected_sites(reference: Reference, labels: SpliceLabelSettings) -> dict[str, tuple[int, int]]:
    """Donors and acceptors of each gene that the settings leave."""
    sites = reference.sites.select(["gene_id", "t", "site_type"]).to_pylist()
    kinds: dict[tuple[str, int], set[str]] = defaultdict(set)
    for site in sites:
        kinds[site["gene_id"], site["t"]].add(site["site_type"])
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for (gene_id, _), found in kinds.items():
        counts[gene_id][labels.both_types if len(found) > 1 else next(iter(found))] += 1
    return {gene_id: (found["donor"], found["acceptor"]) for gene_id, found in counts.items()}


def motifs(rows: RowChecks, limit: float) -> Finding:
    """Share of GT among donors and of AG among acceptors; fails where it is below the limit beyond chance."""
    if not rows.motifs:
        return Finding(7, None, {}, ("no genome, or no site, to look at",))
    measured: dict[str, float] = {}
    wrong = []
    for kind, motifs in (("donor", ("GT", "GC", "AT")), ("acceptor", ("AG", "AC"))):
        found = {name.split()[1]: n for name, n in rows.motifs.items() if name.startswith(f"{kind} ")}
        total = sum(found.values())
        if not total:
            continue
        shares = {motif: found.get(motif, 0) / total for motif in motifs}
        measured |= {f"{kind}_{motif}": share for motif, share in shares.items()} | {f"{kind}s": total}
        if _upper_bound(found.get(motifs[0], 0), total) < limit:
            wrong.append(f"{shares[motifs[0]]:.1%} of {total} {kind}s have {motifs[0]}, expected {limit:.0%}")
    return Finding(7, not wrong, measured, tuple(wrong))


def _upper_bound(hits: int, n: int, z: float = 3.0) -> float:
    """Upper end of the score interval of a share (Wilson 1927), so that a few genes do not fail by chance."""
    share, spread = hits / n, z * z / n
    return float((share + spread / 2 + z * np.sqrt(share * (1 - share) / n + spread / (4 * n))) / (1 + spread))


def values(master: Master, facts: Sequence[ColumnFacts]) -> Finding:
    """No infinity anywhere; null and NaN only where the contract says that there may be no value."""
    nullable = {column.name for column in master.contract.columns if column.nullable}
    wrong = [f"{fact.name}: {fact.infinite} infinite" for fact in facts if fact.infinite]
    wrong += [
        f"{fact.name}: {fact.nulls} null, {fact.nans} NaN"
        for fact in facts
        if (fact.nulls or fact.nans) and fact.name not in nullable
    ]
    return Finding(8, not wrong, {"columns": len(facts), "columns_wrong": len(wrong)}, tuple(wrong[:5]))


def genes(rows: RowChecks, genes: Sequence[Mapping[str, Any]], planned: Iterable[str] | None) -> Finding:
    """Every gene has its rows in one part, and its word in the gene manifest."""
    several = {gene: sorted(parts) for gene, parts in rows.parts_of.items() if len(parts) > 1}
    wrong = [f"gene {gene} has rows in {' and '.join(parts)}" for gene, parts in several.items()]
    if not genes:
        return Finding(
            9, False if wrong else None, {"genes": len(rows.sites)}, tuple(wrong[:5]) or ("no gene manifest",)
        )
    told = Counter(row["gene_id"] for row in genes if row["status"] in (KEPT, FAILED, PENDING) and row["gene_id"])
    kept = {row["gene_id"]: row for row in genes if row["status"] == KEPT}
    wrong += [f"gene {gene} stands {n} times in the gene manifest" for gene, n in told.items() if n > 1]
    wrong += [f"gene {gene} has rows, but is not kept" for gene in rows.sites if gene not in kept]
    for gene, row in kept.items():
        found = int(rows.sites[gene].sum()) if gene in rows.sites else 0
        if found != row["n_rows"]:
            wrong.append(f"gene {gene} has {found} rows, the gene manifest says {row['n_rows']}")
        elif not found and row["reason"] not in (Reason.NO_ROWS, Reason.REPEATED_ROW):
            wrong.append(f"gene {gene} has no rows and no reason")
    wanted = list(told) if planned is None else list(planned)
    wrong += [f"gene {gene} was planned and is not accounted for" for gene in wanted if gene not in told]
    measured = {"planned": len(wanted), "kept": len(kept), "with_rows": len(rows.sites)}
    return Finding(9, not wrong, measured, tuple(wrong[:5]))


def leaks(master: Master, facts: Sequence[ColumnFacts], rows: RowChecks) -> Finding:
    """No feature separates the classes by itself, or by being absent."""
    families = {column.name: column.family for column in master.features}
    features = [fact for fact in facts if fact.name in families]
    wrong = []
    for fact in features:
        family = families[fact.name]
        # A motif is how a donor differs from an acceptor; that it tells one from all others is biology, no leak.
        targets = ["site"] if family in _SEQUENCE else list(fact.auc)
        target = max(targets, key=lambda name: abs(fact.auc[name] - 0.5))
        if family not in SCORE_FAMILIES and abs(fact.auc[target] - 0.5) > LARGEST_AUC - 0.5:
            wrong.append(f"{fact.name} separates {target} from the rest with AUC {fact.auc[target]:.3f}")
        off = max(fact.missing_auc.values(), key=lambda auc: abs(auc - 0.5))
        if abs(off - 0.5) > MISSING_TOLERANCE:
            wrong.append(f"{fact.name}: that it has no value betrays the label (AUC {off:.3f})")
    judged = [fact for fact in features if families[fact.name] not in SCORE_FAMILIES]
    strongest = sorted(judged, key=lambda fact: (-abs(fact.auc["site"] - 0.5), fact.name))[:10]
    measured = {
        "sample": int(rows.sample.size),
        "features": len(features),
        "strongest_not_of_scores": {fact.name: round(fact.auc["site"], 4) for fact in strongest},
        "missing_auc_furthest": max(
            (round(auc, 4) for fact in features for auc in fact.missing_auc.values()),
            key=lambda auc: abs(auc - 0.5),
            default=0.5,
        ),
    }
    return Finding(10, not wrong, measured, tuple(wrong[:5]))


def constants(master: Master, facts: Sequence[ColumnFacts]) -> Finding:
    """Features with one value: those that chance cannot explain fail, the others are named."""
    families = {column.name: column.family for column in master.features}
    constant = [fact.name for fact in facts if fact.name in families and fact.constant]
    wrong = [name for name in constant if families[name] not in _BY_CHANCE and master.rows >= CONSTANT_ROWS]
    problems = tuple(f"{name} has one value only" for name in wrong[:5])
    return Finding(11, not wrong, {"constant": constant[:20], "constant_columns": len(constant)}, problems)


def splits(rows: RowChecks, genes: Sequence[Mapping[str, Any]], splits: pa.Table | None) -> Finding:
    """A locus cluster stands in one split, and every gene of the dataset in one."""
    if splits is not None:
        table = splits.select(["gene_id", "locus_cluster", "split"]).to_pylist()
    else:
        table = [row for row in genes if row["status"] == KEPT and row["split"]]
    if not table:
        return Finding(12, None, {}, ("no splits yet",))
    by_cluster, by_gene = defaultdict(set), defaultdict(set)
    for row in table:
        by_gene[row["gene_id"]].add(row["split"])
        if row["split"] != "none":
            by_cluster[row["locus_cluster"]].add(row["split"])
    wrong = [f"locus cluster {name} is in {_and(s)}" for name, s in sorted(by_cluster.items()) if len(s) > 1]
    wrong += [f"gene {name} is in {_and(s)}" for name, s in sorted(by_gene.items()) if len(s) > 1]
    wrong += [f"gene {name} has no split" for name in sorted(rows.sites) if name not in by_gene]
    measured = {"clusters": len(by_cluster), "genes": dict(Counter(row["split"] for row in table))}
    return Finding(12, not wrong, measured, tuple(wrong[:5]))


def _and(names: Iterable[str]) -> str:
    return " and ".join(sorted(names))
