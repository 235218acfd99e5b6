"""Gene selection: the pool, in an order that more genes only lengthen, and its ranking by a policy.

- `random`, `all`: by keyed hash of dataset seed and gene, so that the first n genes are a uniform sample for every n;
- `stratified`: the same draw within strata (length class, biotype, contig, class of the number of sites), strata
  interleaved so that every prefix holds them in proportion;
- `error_total`, `error_fp`, `error_fn`: genes by how many positions the base model gets wrong, most first. Counts are
  *effective*: a position counts once, however many transcripts share it. Genes without such errors are left out, and
  counted;
- `hard`: genes whose F1 is at most one half, most false positives first;
- `custom`: the gene file, nothing else.

With a gene file and another policy, the file's genes come first and the policy fills up.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from trainyard.splice.genelist import TAKEN, Entry, GeneNames, check_failed, places, resolve
from trainyard.splice.plan import GENE_FILE, POOL, RANKING, scored_genes
from trainyard.splice.reasons import Reason
from trainyard.splice.settings import ERROR_RANKED, SpliceSelectionSettings, Stratum
from trainyard.yard.errors import ConfigError, InputError, IntegrityError
from trainyard.yard.identity import keyed_hash, unit_interval
from trainyard.yard.ledger import Ledger
from trainyard.yard.tables import Column, Role, TableContract

LENGTH_CLASSES = ((5_000, "very_short"), (10_000, "short"), (20_000, "medium"), (50_000, "long"))
"""Published length classes, as (first length above the class, name); longer genes are very_long."""
SITE_CLASSES = ((1, "0"), (4, "1-3"), (10, "4-9"), (20, "10-19"), (50, "20-49"))
"""Classes of the number of annotated sites, as (first number above the class, name); more sites are 50+."""
HARD_F1 = 0.5
"""Published: the policy 'hard' takes genes with an F1 of at most this."""

POOL_ERRORS = TableContract(
    "splice_pool_errors",
    (
        Column("gene_id", pa.string(), Role.KEY, nullable=False),
        Column("n_tp", pa.int32(), Role.NEVER_A_FEATURE, description="unique positions", nullable=False),
        Column("n_fp", pa.int32(), Role.NEVER_A_FEATURE, description="unique positions", nullable=False),
        Column("n_fn", pa.int32(), Role.NEVER_A_FEATURE, description="unique positions", nullable=False),
        Column("n_errors", pa.int32(), Role.NEVER_A_FEATURE, description="unique FP or FN positions", nullable=False),
    ),
)
"""Effective counts of the base model's hits and errors; a gene of the scored pool without a row could not be scored."""


@dataclass(frozen=True)
class Pool:
    """The genes that may be chosen, and what became of all others."""

    table: pa.Table
    """Contract POOL."""
    requested: pa.Table
    """Contract REQUESTED; no rows without a gene file."""
    ledger: Ledger
    """Kinds `gene` (of the annotation) and `requested_gene` (of the gene file)."""


def left_out(ledger: Ledger, kind: str) -> str:
    """What a ledger says of the items of a kind that were left out, for people: counts by reason."""
    rejected = ledger.to_dict()["kinds"].get(kind, {}).get("rejected", {})
    return ", ".join(f"{n} {reason}" for reason, n in rejected.items()) or "none"


@dataclass(frozen=True)
class Ranking:
    """The order in which genes enter the dataset, and what became of the pool's other genes."""

    table: pa.Table
    """Contract RANKING."""
    ledger: Ledger
    """Kind `ranked_gene`."""


def make_pool(
    genes: pa.Table,
    settings: SpliceSelectionSettings,
    *,
    entries: Sequence[Entry] | None = None,
    rejected: dict[str, Reason] | None = None,
) -> Pool:
    """Put the eligible genes in their order; neither `n_genes` nor `batch_size` plays a part.

    `gene_types` and `min_sites` say what the policy may choose; a gene that the gene file names is taken as it is.

    Args:
        genes: Contract GENES.
        settings: Selection.
        entries: Entries of the gene file; None without one.
        rejected: Genes that the reference tables left out, with the reason.

    Raises:
        ConfigError: The policy is 'custom' and there are no entries.
        InputError: Ambiguous symbols, too many genes of the file fail, or no gene is left.
    """
    if settings.policy == "custom" and entries is None:
        raise ConfigError("selection.policy is 'custom': set selection.gene_file")
    source = str(settings.gene_file or "gene file")
    requested = resolve(entries or [], GeneNames.of(genes, rejected), source=source)
    check_failed(requested, _failure_limit(settings), source=source)
    asked = places(entries or [])
    listed = {row["gene_id"]: asked[row["entry"]] for row in requested.to_pylist() if row["status"] == TAKEN}
    rows = _gene_rows(genes)
    ledger = _pool_ledger(rows.values(), requested, set(listed), settings)
    chosen = [] if settings.policy == "custom" else _policy_order(_eligible(rows, set(listed), settings), settings)
    if not listed and not chosen:
        raise InputError(_nothing_left(len(rows), settings))
    ordered = [(place, rows[gene], GENE_FILE, "") for gene, place in listed.items()]
    ordered += [(place, row, "policy", stratum) for place, (row, stratum) in enumerate(chosen, start=len(asked))]
    table = POOL.table(
        [
            {
                **{name: row[name] for name in ("gene_id", "gene_name", "gene_type", "chrom", "strand", "length")},
                "order": place,
                "n_sites": row["n_sites"],
                "stratum": stratum,
                "source": origin,
            }
            for place, row, origin, stratum in ordered
        ]
    )
    return Pool(table, requested, ledger)


def rank_pool(pool: pa.Table, settings: SpliceSelectionSettings, *, errors: pa.Table | None = None) -> Ranking:
    """Rank the pool by the policy; `n_genes` plays no part.

    Args:
        pool: Contract POOL, in order.
        settings: Selection.
        errors: Contract POOL_ERRORS of the genes that were scored (`scored_genes`); what an error-ranked policy ranks
            by, ignored by others.

    Raises:
        ConfigError: The policy ranks by errors and there are none.
        InputError: No gene of the pool has an error to rank by.
        IntegrityError: `errors` has genes twice, or genes that were not to be scored.
    """
    if settings.policy in ERROR_RANKED:
        if errors is None:
            raise ConfigError(f"selection.policy '{settings.policy}' ranks by errors: score the pool first")
        return _rank_by_errors(pool, settings, errors)
    ledger = Ledger("splice", Reason)
    ledger.expect("ranked_gene", pool.num_rows)
    ledger.keep("ranked_gene", settings.policy, pool.num_rows)
    reasons = [GENE_FILE if source == GENE_FILE else settings.policy for source in pool["source"].to_pylist()]
    rows = pool.select(["gene_id", "length"]).to_pylist()
    return Ranking(_ranking(rows, reasons, ranks=pool["order"].to_pylist()), ledger)


def length_class(length: int) -> str:
    """Published class of a gene's length in nt."""
    return _classed(length, LENGTH_CLASSES, "very_long")


def site_class(sites: int) -> str:
    """Class of a gene's number of annotated sites."""
    return _classed(sites, SITE_CLASSES, "50+")


def _failure_limit(settings: SpliceSelectionSettings) -> float:
    # A person who lists genes wants each of them, whatever else is chosen with it.
    return 0.0 if settings.max_failed_genes is None else settings.max_failed_genes


def _gene_rows(genes: pa.Table) -> dict[str, dict[str, Any]]:
    names = ["gene_id", "gene_name", "gene_type", "chrom", "strand", "length", "n_donors", "n_acceptors"]
    rows = genes.select(names).to_pylist()
    return {row["gene_id"]: {**row, "n_sites": row["n_donors"] + row["n_acceptors"]} for row in rows}


def _eligible(
    rows: dict[str, dict[str, Any]], listed: set[str], settings: SpliceSelectionSettings
) -> list[dict[str, Any]]:
    return [row for gene, row in rows.items() if gene not in listed and _barred(row, settings) is None]


def _barred(row: dict[str, Any], settings: SpliceSelectionSettings) -> Reason | None:
    if settings.gene_types and row["gene_type"] not in settings.gene_types:
        return Reason.TYPE_NOT_KEPT
    return Reason.TOO_FEW_SITES if row["n_sites"] < settings.min_sites else None


def _pool_ledger(
    rows: Iterable[dict[str, Any]], requested: pa.Table, listed: set[str], settings: SpliceSelectionSettings
) -> Ledger:
    ledger = Ledger("splice", Reason)
    for row in rows:
        gene = row["gene_id"]
        ledger.expect("gene")
        barred = None if gene in listed else _barred(row, settings)
        if settings.policy == "custom" and gene not in listed:
            barred = Reason.NOT_CHOSEN
        if barred is None:
            ledger.keep("gene", gene)
        else:
            ledger.reject("gene", gene, barred, row["gene_type"] if barred is Reason.TYPE_NOT_KEPT else "")
    for row in requested.to_pylist():
        ledger.expect("requested_gene")
        if row["status"] == TAKEN:
            ledger.keep("requested_gene", row["entry"])
        else:
            ledger.reject("requested_gene", row["entry"], Reason(row["status"]), f"line {row['line']}")
    ledger.check()
    return ledger


def _policy_order(rows: list[dict[str, Any]], settings: SpliceSelectionSettings) -> list[tuple[dict[str, Any], str]]:
    """Rows with their stratum, in the order of the policy."""
    drawn = sorted(rows, key=lambda row: (keyed_hash(settings.seed, "splice gene", row["gene_id"]), row["gene_id"]))
    if settings.policy != "stratified":
        return [(row, "") for row in drawn]
    strata = defaultdict(list)
    for row in drawn:
        strata[_stratum(row, settings.strata)].append(row)
    keyed = []
    for name, members in strata.items():
        # Place j of m stands at (j + u) / m: every prefix holds each stratum in proportion, give or take one gene.
        start = unit_interval(settings.seed, "splice stratum", name)
        keyed += [((place + start) / len(members), name, row) for place, row in enumerate(members)]
    return [(row, name) for _, name, row in sorted(keyed, key=lambda item: (item[0], item[1], item[2]["gene_id"]))]


def _stratum(row: dict[str, Any], strata: Sequence[Stratum]) -> str:
    values = {
        "length": length_class(row["length"]),
        "gene_type": row["gene_type"] or "unknown",
        "chrom": row["chrom"],
        "n_sites": site_class(row["n_sites"]),
    }
    return "|".join(values[name] for name in strata)


def _classed(value: int, classes: Sequence[tuple[int, str]], last: str) -> str:
    return next((name for above, name in classes if value < above), last)


def _rank_by_errors(pool: pa.Table, settings: SpliceSelectionSettings, errors: pa.Table) -> Ranking:
    ledger = Ledger("splice", Reason)
    ledger.expect("ranked_gene", pool.num_rows)
    scored = scored_genes(pool, settings)
    ledger.reject("ranked_gene", "beyond selection.pool", Reason.NOT_CHOSEN, n=pool.num_rows - scored.num_rows)
    counts = _counts_by_gene(scored, errors)
    listed, ranked = [], []
    for row in scored.select(["gene_id", "order", "length", "source"]).to_pylist():
        found = counts.get(row["gene_id"])
        reason = None if row["source"] == GENE_FILE else _left_out(found, settings.policy)
        if reason is not None:
            ledger.reject("ranked_gene", row["gene_id"], reason)
            continue
        ledger.keep("ranked_gene", row["gene_id"])
        if row["source"] == GENE_FILE:
            listed.append(row | (found or {}) | {"n_errors": None})
        elif found is not None:
            ranked.append(row | found | {"n_errors": _errors_of(found, settings.policy)})
    ledger.check()
    if not listed and not ranked:
        raise InputError(_no_errors(scored.num_rows, ledger, settings))
    # Ties keep the pool's order, which is a draw, so that no name or place on the genome is preferred.
    ranked.sort(key=lambda row: (-row["n_errors"], row["order"]))
    reasons = [GENE_FILE] * len(listed) + [settings.policy] * len(ranked)
    return Ranking(_ranking(listed + ranked, reasons, ranks=range(len(reasons))), ledger)


def _left_out(counts: dict[str, Any] | None, policy: str) -> Reason | None:
    """Why a policy does not rank a gene with such counts; None if it does."""
    if counts is None:
        return Reason.NO_SCORES
    if policy == "hard":
        return None if counts["f1"] is not None and counts["f1"] <= HARD_F1 else Reason.NOT_HARD
    return None if _errors_of(counts, policy) else Reason.NO_ERRORS


def _counts_by_gene(pool: pa.Table, errors: pa.Table) -> dict[str, dict[str, Any]]:
    counts = {row["gene_id"]: row for row in errors.to_pylist()}
    strangers = sorted(set(counts) - set(pool["gene_id"].to_pylist()))
    repeated = errors.num_rows - len(counts)
    if strangers or repeated:
        raise IntegrityError(
            f"counts of errors: {repeated} genes stand twice, {len(strangers)} were not to be scored"
            f"{', first ' + strangers[0] if strangers else ''}; score the pool again"
        )
    for row in counts.values():
        found = 2 * row["n_tp"] + row["n_fp"] + row["n_fn"]
        row["f1"] = 2 * row["n_tp"] / found if found else None
    return counts


def _errors_of(counts: dict[str, Any], policy: str) -> int:
    column = {"error_total": "n_errors", "error_fp": "n_fp", "error_fn": "n_fn", "hard": "n_fp"}[policy]
    return int(counts[column])


def _ranking(rows: Sequence[dict[str, Any]], reasons: Sequence[str], *, ranks: Sequence[int]) -> pa.Table:
    names = set(RANKING.names) - {"rank", "reason"}
    return RANKING.table(
        [
            {name: value for name, value in row.items() if name in names} | {"rank": rank, "reason": reason}
            for rank, row, reason in zip(ranks, rows, reasons, strict=True)
        ]
    )


def _nothing_left(genes: int, settings: SpliceSelectionSettings) -> str:
    if settings.policy == "custom":
        return f"{settings.gene_file}: none of its genes can be taken"
    types = f"gene_types {' '.join(settings.gene_types)} and " if settings.gene_types else ""
    return (
        f"none of {genes} genes of the annotation fits selection: {types}min_sites {settings.min_sites}; widen them, or"
        " check that the annotation has exons and biotypes"
    )


def _no_errors(genes: int, ledger: Ledger, settings: SpliceSelectionSettings) -> str:
    return (
        f"policy '{settings.policy}' finds no gene among {genes}: {ledger.rejected('ranked_gene', Reason.NO_ERRORS)}"
        f" have no error to rank by, {ledger.rejected('ranked_gene', Reason.NOT_HARD)} an F1 above {HARD_F1},"
        f" {ledger.rejected('ranked_gene', Reason.NO_SCORES)} no scores; choose another policy"
    )
