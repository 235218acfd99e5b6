"""Train, validation and test by what leaks: the locus cluster, and the contigs that the base model was trained on.

The split of a gene is a pure function of the gene table and the settings: which genes a build takes plays no part, so a
larger build moves no gene. The copies on Y of genes of the pseudo-autosomal regions have the bases of their genes on X
and go with them.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from trainyard.splice.artifacts import column_names, stream
from trainyard.splice.dialects import PAR_Y
from trainyard.splice.genelist import spellings
from trainyard.splice.reasons import Reason
from trainyard.splice.settings import SpliceSplitSettings
from trainyard.yard.errors import ConfigError, InputError, LeakageError
from trainyard.yard.identity import unit_interval
from trainyard.yard.tables import Column, Role, TableContract

TRAIN, VAL, TEST, NONE = "train", "val", "test", "none"
SPLITS = (TRAIN, VAL, TEST)
"""Splits that take part; genes with `none` do not."""

_KEY, _META = Role.KEY, Role.METADATA

SPLIT = TableContract(
    "splice_split",
    (
        Column("gene_id", pa.string(), _KEY, description="gene, without version", nullable=False),
        Column("chrom", pa.string(), _META, description="contig, as the FASTA names it", nullable=False),
        Column(
            "locus_cluster", pa.string(), _META, description="genes joined by overlap on one strand", nullable=False
        ),
        Column(
            "split_group",
            pa.string(),
            _META,
            description="clusters that go together by the group table or as copies on X and Y, named by the lexically"
            " first; mostly the cluster itself",
            nullable=False,
        ),
        Column("split", pa.string(), _META, description="train, val, test or none", nullable=False),
        Column("reason", pa.string(), _META, description="why a gene is in none; null: it is in a split"),
    ),
)
"""`split/split.parquet`: one row per gene of the annotation, sorted by `gene_id`."""

_log = logging.getLogger(__name__)


def assign(
    genes: pa.Table,
    settings: SpliceSplitSettings,
    *,
    held_out: Sequence[str],
    trained_on: Sequence[str] = (),
    families: Iterable[tuple[str, str]] = (),
    may_be_empty: bool = False,
) -> pa.Table:
    """Split of every gene, contract SPLIT.

    Clusters of genes that overlap on one strand stay together, and so do clusters with genes of one family; a gene on X
    and its copy on Y (`_PAR_Y`) are one. Under 'base_heldout' and 'group' a keyed hash of the group's name, in [0, 1),
    is compared with the shares; under 'chromosome' the contig decides.

    Args:
        genes: Contract GENES, all genes of the annotation; needed are gene_id, chrom and locus_cluster.
        settings: Rule, shares, contigs and salt.
        held_out: Contigs that the base model never saw; names are compared without `chr`.
        trained_on: Contigs that it saw, where they are stated.
        families: (gene id, family) of genes that go together; ids with or without version, unknown ones play no part.
        may_be_empty: Leave every gene out where the rule says so, with a warning.

    Raises:
        ConfigError: Contradictory contigs, or a rule that leaves every gene out.
        LeakageError: Genes that must stay together would stand in two splits.
    """
    rows = genes.select(["gene_id", "chrom", "locus_cluster"]).sort_by("gene_id").to_pylist()
    clusters = {row["gene_id"]: row["locus_cluster"] for row in rows}
    groups = _groups(clusters, [*families, *_copies(clusters)])
    contigs = {bare_contig(row["chrom"]) for row in rows}
    by_contig = _splits_by_contig(
        contigs, settings, held_out=held_out, trained_on=trained_on, may_be_empty=may_be_empty
    )
    for row in rows:
        row["split_group"] = groups[row["locus_cluster"]]
        split = by_contig.get(bare_contig(row["chrom"]), NONE)
        row["split"] = split or _drawn(row["split_group"], settings)
        if row["split"] == NONE:
            by_list = settings.rule == "chromosome"
            row["reason"] = Reason.CONTIG_IN_NO_SPLIT if by_list else Reason.SEEN_BY_BASE_MODEL
    table = SPLIT.table(rows)
    check_untorn(table)
    return table


def check_untorn(table: pa.Table) -> None:
    """Make sure that no cluster, and no group of clusters, stands in two splits.

    Args:
        table: Columns chrom, locus_cluster, split_group and split, one row per gene.

    Raises:
        LeakageError: One does.
    """
    for unit in ("locus_cluster", "split_group"):
        splits: dict[str, set[str]] = defaultdict(set)
        contigs: dict[str, set[str]] = defaultdict(set)
        for row in table.select([unit, "chrom", "split"]).to_pylist():
            if row["split"] != NONE:
                splits[row[unit]].add(row["split"])
                contigs[row[unit]].add(row["chrom"])
        torn = sorted(name for name, found in splits.items() if len(found) > 1)
        if torn:
            what = "locus clusters" if unit == "locus_cluster" else "groups of clusters"
            raise LeakageError(
                f"{len(torn)} {what} would stand in two splits, first that of {torn[0]}, in"
                f" {' and '.join(sorted(splits[torn[0]]))} (contigs {', '.join(sorted(contigs[torn[0]]))}); list its"
                " contigs in one split, split by group (splice.split.rule: group), or drop splice.split.group_table if"
                f" that joins them (genes on X and their copies on Y, {PAR_Y}, are joined without it)"
            )


def check_filled(table: pa.Table, planned: Iterable[str], settings: SpliceSplitSettings) -> dict[str, int]:
    """Count the genes of a build in each split, and refuse splits that no model could be trained or tested with.

    Args:
        table: Contract SPLIT.
        planned: Genes of the build.
        settings: Of the split.

    Returns:
        Genes of the build by split, `none` included.

    Raises:
        ConfigError: Train or test is empty, or val although it has a share; the message says what to change.
    """
    counts = count_splits(table, planned)
    wants_val = bool(settings.val_contigs) if settings.rule == "chromosome" else settings.val > 0
    empty = [name for name in SPLITS if not counts[name] and (name != VAL or wants_val)]
    if empty:
        raise ConfigError(
            f"splice.split: {' and '.join(empty)} would be empty, with {counts[TRAIN]} of {sum(counts.values())} genes"
            f" in train, {counts[VAL]} in val, {counts[TEST]} in test and {counts[NONE]} in none; {_remedy(settings)}"
        )
    return counts


def count_splits(table: pa.Table, planned: Iterable[str]) -> dict[str, int]:
    """Genes of a build by split, `none` included.

    Args:
        table: Contract SPLIT.
        planned: Genes of the build.
    """
    split = dict(zip(table["gene_id"].to_pylist(), table["split"].to_pylist(), strict=True))
    chosen = [split[gene] for gene in planned if gene in split]
    return {name: chosen.count(name) for name in (*SPLITS, NONE)}


def write_split(
    genes: pa.Table,
    out: Path,
    settings: SpliceSplitSettings,
    *,
    held_out: Sequence[str],
    trained_on: Sequence[str] = (),
    planned: Iterable[str],
    may_be_empty: bool = False,
) -> dict[str, int]:
    """Assign all genes, check that the build fills the splits, and write `split.parquet`.

    Args:
        genes: Contract GENES.
        out: The file.
        settings: Of the split; its group table is read here.
        held_out: Contigs that the base model never saw.
        trained_on: Contigs that it saw, where they are stated.
        planned: Genes of the build.
        may_be_empty: Nothing is trained, so splits that no model could be trained or tested with are only warned of.

    Returns:
        Genes of the build by split.

    Raises:
        ConfigError, LeakageError: See `assign` and `check_filled`.
        InputError: The group table cannot be used.
    """
    families = [] if settings.group_table is None else read_families(settings.group_table, genes)
    table = assign(
        genes, settings, held_out=held_out, trained_on=trained_on, families=families, may_be_empty=may_be_empty
    )
    genes_of_build = list(planned)
    counts = count_splits(table, genes_of_build)
    try:
        check_filled(table, genes_of_build, settings)
    except ConfigError as error:
        if not may_be_empty:
            raise ConfigError(f"{error}; or set splice.train.enabled to false") from error
        _log.warning("no model can be trained on this: %s", error)
    SPLIT.write(out, table)
    return counts


def read_families(path: Path, genes: pa.Table) -> list[tuple[str, str]]:
    """Pairs of gene id and family of a table with columns `gene_id` and `group`.

    Raises:
        InputError: No such table, a column is missing, or no gene of it is in the annotation.
    """
    columns = {"gene_id": pa.string(), "group": pa.string()}
    missing = [name for name in columns if path.is_file() and name not in column_names(path)]
    if missing:
        raise InputError(f"{path}: has no column {', '.join(missing)}; a group table has gene_id and group")
    if not path.is_file():
        raise InputError(f"{path}: no such file; splice.split.group_table names it")
    known = set(genes["gene_id"].to_pylist())
    found, unknown = [], 0
    for table in stream(path, columns):
        for row in table.to_pylist():
            names = [name for name in spellings(row["gene_id"] or "") if name in known]
            if not row["group"]:
                continue
            unknown += not names
            found += [(names[0], row["group"])] if names else []
    if not found:
        raise InputError(f"{path}: none of its genes is in the annotation; are its ids of another kind?")
    if unknown:
        _log.warning("%s: %d of its genes are not in the annotation", path, unknown)
    return found


def bare_contig(name: str) -> str:
    """Name of a contig without `chr`, so that chr1 and 1 are one."""
    return name[3:] if name[:3].lower() == "chr" else name


def _splits_by_contig(
    contigs: set[str],
    settings: SpliceSplitSettings,
    *,
    held_out: Sequence[str],
    trained_on: Sequence[str],
    may_be_empty: bool,
) -> Mapping[str, str]:
    """Split of each contig that takes part, by bare name; empty text where a draw decides."""
    if settings.rule == "group":
        return dict.fromkeys(contigs, "")
    if settings.rule == "base_heldout":
        unseen, seen = {bare_contig(name) for name in held_out}, {bare_contig(name) for name in trained_on}
        if both := sorted(unseen & seen):
            raise ConfigError(
                f"splice.model: contigs {', '.join(both)} are among held_out_contigs and among trained_on_contigs"
            )
        if not unseen & contigs and not may_be_empty:
            raise ConfigError(
                f"splice.split: no gene lies on a contig that the base model never saw; genes lie on {_some(contigs)},"
                f" splice.model.held_out_contigs has {_some(unseen)}. Name contigs there that the base model was not"
                " trained on, or split by all genes (splice.split.rule: group), which is too kind to the base model, or"
                " build without training (splice.train.enabled: false)"
            )
        return dict.fromkeys(unseen, "")
    lists = {TRAIN: settings.train_contigs, VAL: settings.val_contigs, TEST: settings.test_contigs}
    found: dict[str, str] = {}
    for split, names in lists.items():
        for name in names:
            if found.setdefault(bare_contig(name), split) != split:
                raise ConfigError(
                    f"splice.split: contig {name} is listed for {found[bare_contig(name)]} and for {split}"
                )
    if missing := sorted(set(found) - contigs):
        _log.warning("splice.split lists contigs without genes: %s; genes lie on %s", _some(missing), _some(contigs))
    return found


def _drawn(group: str, settings: SpliceSplitSettings) -> str:
    place = unit_interval("split", settings.salt, group)
    if place < settings.train:
        return TRAIN
    return VAL if place < settings.train + settings.val else TEST


def _copies(clusters: Mapping[str, str]) -> list[tuple[str, Hashable]]:
    """Families of a gene on X and its copy on Y; their names are no text, so that they meet none of a group table."""
    pairs = [(gene.removesuffix(PAR_Y), gene) for gene in clusters if gene.endswith(PAR_Y)]
    return [(gene, (PAR_Y, pair[0])) for pair in pairs for gene in pair]


def _groups(clusters: Mapping[str, str], families: Iterable[tuple[str, Hashable]]) -> dict[str, str]:
    """Group of each cluster: clusters that are linked by families, over any number of steps, share one.

    Args:
        clusters: Cluster of each gene.
        families: (gene, family); unknown genes play no part.
    """
    parent = {cluster: cluster for cluster in clusters.values()}

    def root(cluster: str) -> str:
        while parent[cluster] != cluster:
            parent[cluster] = parent[parent[cluster]]
            cluster = parent[cluster]
        return cluster

    first: dict[Hashable, str] = {}
    for gene, family in families:
        if gene in clusters:
            one, other = root(clusters[gene]), root(first.setdefault(family, clusters[gene]))
            # The lexically first name is that of the group, whatever the order of the rows.
            parent[max(one, other)] = min(one, other)
    return {cluster: root(cluster) for cluster in parent}


def _remedy(settings: SpliceSplitSettings) -> str:
    if settings.rule == "chromosome":
        return "name contigs in splice.split.train_contigs, val_contigs and test_contigs that genes of the build lie on"
    more = "take more genes (splice.selection.n_genes), change the shares or the salt of splice.split"
    if settings.rule == "group":
        return more
    return f"{more}, or name more contigs that the base model never saw (splice.model.held_out_contigs)"


def _some(names: Iterable[str], shown: int = 8) -> str:
    found = sorted(names)
    more = f", ... ({len(found)} in all)" if len(found) > shown else ""
    return (", ".join(found[:shown]) + more) or "none"
