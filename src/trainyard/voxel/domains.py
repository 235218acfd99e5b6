"""What becomes of every domain of the split lists and of the voxel file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from trainyard.voxel.join import Join
from trainyard.voxel.mapping import Match
from trainyard.voxel.names import domain_parts
from trainyard.voxel.reasons import Reason
from trainyard.voxel.schema import DOMAINS, SPLITS
from trainyard.yard.identity import bucket
from trainyard.yard.ledger import Ledger


@dataclass(frozen=True)
class PlannedDomain:
    """One domain; `reason` is why it is not used, None if it is."""

    name: str
    split: str
    position: int
    """Place in its split's list."""
    match: Match | None
    """None: the voxel file lacks it."""
    reason: Reason | None
    residues: int = 0

    @property
    def used(self) -> bool:
        """Whether samples may come of it."""
        return self.reason is None

    @property
    def detail(self) -> str:
        """What a person should know about the reason."""
        if self.reason is Reason.NOT_IN_RMSF and self.match:
            return f"in {self.split}: {self.match.evidence}"
        return f"in {self.split}" if self.split else ""


def part_of(domain: str, num_parts: int) -> int:
    """Store part of a domain, 0-based; other domains do not matter to it."""
    return bucket(domain, num_parts, salt="voxel-part")


def judge_domains(
    lists: Mapping[str, Sequence[str]], matches: Iterable[Match], *, max_domains: int | None
) -> dict[str, PlannedDomain]:
    """Judge the domains of the lists and of the voxel file, before their residues are looked at.

    Args:
        lists: Domains by split, in order.
        matches: One per domain of the voxel file.
        max_domains: Use the first so many usable domains of each split; None for all.

    Returns:
        Domains by name, sorted.
    """
    place = {domain: (split, i) for split in SPLITS for i, domain in enumerate(lists.get(split, ()))}
    match_of = {match.domain: match for match in matches}
    found = {}
    for name in sorted({*place, *match_of}):
        split, position = place.get(name, ("", 0))
        match = match_of.get(name)
        found[name] = PlannedDomain(name, split, position, match, _reason(split, match))
    for split in SPLITS if max_domains is not None else ():
        usable = [name for name in lists.get(split, ()) if found[name].used]
        for name in usable[max_domains:]:
            found[name] = replace(found[name], reason=Reason.OVER_MAX_DOMAINS)
    return found


def _reason(split: str, match: Match | None) -> Reason | None:
    if match is None:
        return Reason.NOT_IN_VOXEL_FILE
    if not split:
        return Reason.NOT_IN_SPLITS
    return Reason.NOT_IN_RMSF if match.rmsf_domain is None else None


def with_residues(domains: Mapping[str, PlannedDomain], join: Join) -> dict[str, PlannedDomain]:
    """Add to the used domains how many residues they have, and how well their names agree, as evidence of the match."""
    kept = join.per_domain(join.verdicts.kept).tolist()
    joined, differing = join.per_domain(join.joined).tolist(), join.per_domain(join.differing).tolist()
    found = dict(domains)
    for i, name in enumerate(join.domains):
        domain = domains[name]
        if domain.match is None:
            continue
        evidence = f"{domain.match.evidence}; {joined[i]} residues joined, {differing[i]} names differ"
        found[name] = replace(
            domain,
            match=replace(domain.match, evidence=evidence),
            residues=kept[i],
            reason=None if kept[i] else Reason.NO_RESIDUES,
        )
    return found


def settle_domains(domains: Mapping[str, PlannedDomain], ledger: Ledger) -> None:
    """Enter all domains in a ledger."""
    ledger.expect("domain", len(domains))
    for domain in domains.values():
        if domain.reason is None:
            ledger.keep("domain", domain.name)
        else:
            ledger.reject("domain", domain.name, domain.reason, domain.detail)


def domains_table(domains: Mapping[str, PlannedDomain], *, num_parts: int) -> pa.Table:
    """All domains under the contract DOMAINS; only used ones have a part."""
    rows = []
    for domain in domains.values():
        match, parts = domain.match, domain_parts(domain.name)
        rows.append(
            {
                "domain": domain.name,
                "rmsf_domain": match.rmsf_domain if match else None,
                "method": match.method if match else "none",
                "evidence": match.evidence if match else "not in the voxel file",
                "split": domain.split,
                "pdb": parts.pdb,
                "pdb_chain": parts.chain,
                "residues": domain.residues,
                "part": part_of(domain.name, num_parts) if domain.used else None,
            }
        )
    return DOMAINS.table(rows)
