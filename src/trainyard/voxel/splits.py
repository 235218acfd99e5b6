"""Train, val and test: given lists, or splits drawn by PDB entry, chain or group; and what the splits share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from trainyard.voxel.mapping import read_pairs
from trainyard.voxel.names import domain_parts
from trainyard.voxel.schema import SPLITS
from trainyard.voxel.settings import VoxelInputSettings, VoxelPlanSettings
from trainyard.yard.errors import ConfigError, InputError, LeakageError
from trainyard.yard.files import faults_named
from trainyard.yard.identity import unit_interval

_SHOWN = 5


class Shared(NamedTuple):
    """Domains of one split that share their PDB entry, or even their PDB chain, with train; sorted."""

    pdb: list[str]
    chain: list[str]


def split_lists(
    voxel_domains: Iterable[str], inputs: VoxelInputSettings, settings: VoxelPlanSettings
) -> dict[str, list[str]]:
    """Domains of train, val and test as the settings say: read from the lists, or drawn.

    Args:
        voxel_domains: Names in the voxel file; used where splits are drawn.
        inputs: Names the lists.
        settings: Rule, shares, seed and group table.

    Returns:
        Domains by split, in the order of the lists; drawn splits are sorted by name.

    Raises:
        ConfigError: A list that is needed has no file.
        InputError: A file cannot be used.
        LeakageError: A domain stands in two splits.
    """
    if settings.split_rule == "lists":
        if inputs.train_split_file is None or inputs.val_split_file is None:
            raise ConfigError("voxel.inputs: train_split_file and val_split_file must be set for split_rule 'lists'")
        paths = {"train": inputs.train_split_file, "val": inputs.val_split_file, "test": inputs.test_split_file}
        lists = {split: read_list(path) if path else [] for split, path in paths.items()}
        check_disjoint(lists)
        return lists
    table = read_groups(settings.group_table) if settings.split_rule == "table" and settings.group_table else None
    return draw_splits(
        voxel_domains,
        settings.split_rule,
        seed=settings.seed,
        train_share=settings.train_share,
        val_share=settings.val_share,
        table=table,
    )


def read_list(path: Path) -> list[str]:
    """Read a split list: one domain per line, in order; blank lines and what follows a `#` are skipped.

    Raises:
        InputError: The file is missing or not UTF-8, or a domain is listed twice.
    """
    try:
        with faults_named(path):
            text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{path}: cannot be read as a list of domains ({error})") from error
    seen: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        domain = line.partition("#")[0].strip()
        if not domain:
            continue
        if domain in seen:
            raise InputError(f"{path}: domain {domain} stands in lines {seen[domain]} and {number}; list it once")
        seen[domain] = number
    return list(seen)


def check_disjoint(lists: Mapping[str, Sequence[str]]) -> None:
    """Make sure that no domain stands in two splits.

    Raises:
        LeakageError: Names the domains that do.
    """
    place: dict[str, str] = {}
    twice = []
    for split in SPLITS:
        for domain in lists.get(split, ()):
            if place.setdefault(domain, split) != split:
                twice.append(f"{domain} in {place[domain]} and {split}")
    if twice:
        raise LeakageError(
            f"{len(twice)} domains stand in two split lists: {'; '.join(twice[:_SHOWN])}; keep each in one list"
        )


def shares(train: Iterable[str], other: Iterable[str]) -> Shared:
    """Find the domains of another split that share their PDB entry or chain with a train domain."""
    parts = [domain_parts(domain) for domain in train]
    entries, chains = {part.pdb for part in parts}, {part.chain for part in parts}
    others = [(domain, domain_parts(domain)) for domain in sorted(other)]
    return Shared([d for d, part in others if part.pdb in entries], [d for d, part in others if part.chain in chains])


def leakage_report(lists: Mapping[str, Sequence[str]], *, policy: Literal["report", "error"]) -> dict[str, Any]:
    """Count what val and test share with train.

    Args:
        lists: Domains by split.
        policy: `error` refuses any sharing.

    Returns:
        For val and test: number of domains, how many share a PDB entry and a PDB chain with train, and which.

    Raises:
        LeakageError: Something is shared and the policy is `error`.
    """
    found = {split: shares(lists.get("train", ()), lists.get(split, ())) for split in SPLITS[1:]}
    if policy == "error" and any(shared.pdb or shared.chain for shared in found.values()):
        raise LeakageError(_leaks(found))
    report: dict[str, Any] = {"policy": policy}
    for split, shared in found.items():
        report[split] = {
            "domains": len(lists.get(split, ())),
            "same_pdb": len(shared.pdb),
            "same_chain": len(shared.chain),
            "domains_same_pdb": shared.pdb,
            "domains_same_chain": shared.chain,
        }
    return report


def _leaks(found: Mapping[str, Shared]) -> str:
    counts = " and ".join(f"{len(shared.pdb)} {split}" for split, shared in found.items())
    chains = " and ".join(str(len(shared.chain)) for shared in found.values())
    first = [domain for shared in found.values() for domain in shared.pdb][:_SHOWN]
    return (
        f"{counts} domains share a PDB entry with train ({chains} even the chain), among them {', '.join(first)}; draw"
        " the splits with plan.split_rule 'pdb', move these domains to train, or set plan.leakage to 'report'"
    )


def read_groups(path: Path) -> dict[str, str]:
    """Read a group table: a CSV file with the columns `domain_id` and `group`.

    Raises:
        InputError: The file cannot be used, or a domain has two groups or an empty one.
    """
    groups: dict[str, str] = {}
    for domain, group in read_pairs(path, "domain_id", "group"):
        if not group:
            raise InputError(f"{path}: domain {domain} has an empty group; give it one")
        if groups.setdefault(domain, group) != group:
            raise InputError(f"{path}: domain {domain} has the groups {groups[domain]} and {group}; give it one")
    return groups


def draw_splits(
    domains: Iterable[str],
    rule: Literal["pdb", "chain", "table"],
    *,
    seed: int,
    train_share: float,
    val_share: float,
    table: Mapping[str, str] | None = None,
) -> dict[str, list[str]]:
    """Draw splits so that domains of one group stand together.

    A keyed hash of seed and group decides alone, so no domain ever moves because of another one, and the shares hold
    to within the chance of a draw, counted in groups.

    Args:
        domains: All domains.
        rule: What the group is: PDB entry, PDB chain, or what the table says.
        seed: Dataset seed.
        train_share: Share of the groups in train.
        val_share: Share of the groups in val; the rest is test.
        table: Group by domain, for rule `table`.

    Returns:
        Domains by split, sorted.

    Raises:
        InputError: The table lacks a domain.
    """
    lists: dict[str, list[str]] = {split: [] for split in SPLITS}
    for domain, group in _groups(domains, rule, table or {}).items():
        place = unit_interval("voxel-split", seed, group)
        lists["train" if place < train_share else "val" if place < train_share + val_share else "test"].append(domain)
    return lists


def _groups(domains: Iterable[str], rule: str, table: Mapping[str, str]) -> dict[str, str]:
    wanted = sorted(set(domains))
    if rule == "pdb":
        return {domain: domain_parts(domain).pdb for domain in wanted}
    if rule == "chain":
        return {domain: domain_parts(domain).chain for domain in wanted}
    missing = [domain for domain in wanted if domain not in table]
    if missing:
        raise InputError(
            f"the group table lacks {len(missing)} of {len(wanted)} domains, among them {', '.join(missing[:_SHOWN])};"
            " add them with a group"
        )
    return {domain: table[domain] for domain in wanted}
