"""Match the contigs of an annotation with those of a genome, and say what to do where they differ."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trainyard.yard.errors import ConfigError, InputError

MIN_SHARE = 0.8
"""Least share of genes that must lie on the genome. The published gate asks the same of the contigs (spec 2.4)."""

_SHOWN = 5
_CHR = re.compile(r"(?:chromosome|chrom|chr)[ _.-]?", re.IGNORECASE)
# RefSeq accessions of human chromosomes, the same in GRCh37 and GRCh38 up to the version.
_HUMAN = {f"NC_{n:06d}": name for n, name in enumerate([*map(str, range(1, 23)), "X", "Y"], start=1)}
_HUMAN["NC_012920"] = "MT"
# chr1_KI270706v1_random, chrUn_GL000195v1: UCSC puts the accession between.
_UCSC = re.compile(r"chr[^_]+_([A-Z]+\d+)v(\d+)(?:_(?:random|alt|fix))?")
_SAME = {
    name: group[0]
    for group in (("mt", "m", "mtdna", "mito", "mitochondrion"), ("pt", "c", "ptdna", "chloroplast"))
    for name in group
}


@dataclass(frozen=True)
class ContigMatch:
    """How contigs of the annotation are called in the genome."""

    names: dict[str, str]
    """Name in the annotation -> name in the FASTA; contigs that it lacks are left out."""
    how: dict[str, str]
    """Name in the annotation -> same, alias or chr_prefix."""


def match_contigs(contigs: Sequence[str], genome: Iterable[str], *, aliases: Mapping[str, str]) -> ContigMatch:
    """Match names: as they are, by the configured aliases, and with or without `chr` where that is unambiguous.

    Args:
        contigs: Contigs of the annotation.
        genome: Contigs of the FASTA.
        aliases: Name in the annotation -> name in the FASTA; has precedence.

    Raises:
        ConfigError: An alias leads to a contig that the FASTA lacks.
    """
    there = list(genome)
    for name, alias in aliases.items():
        if alias not in there:
            raise ConfigError(
                f"splice.inputs.contig_aliases: {name} -> {alias}: the FASTA has no {alias}{_nearest(alias, there)}"
            )
    names = {contig: aliases[contig] for contig in contigs if contig in aliases}
    how = dict.fromkeys(names, "alias")
    same = {contig: contig for contig in contigs if contig not in names and contig in set(there)}
    names |= same
    how |= dict.fromkeys(same, "same")
    left, free = (
        [name for name in all_ if name not in taken]
        for all_, taken in ((contigs, names.keys()), (there, set(names.values())))
    )
    by_prefix = _pairs(left, free, _without_chr)
    return ContigMatch(names | by_prefix, how | dict.fromkeys(by_prefix, "chr_prefix"))


def suggest_aliases(missing: Sequence[str], genome: Mapping[str, int], *, regions: Mapping[str, int]) -> dict[str, str]:
    """Names in the FASTA that missing contigs may stand for: other spellings, known accessions, or unique lengths.

    Args:
        missing: Contigs of the annotation that the FASTA lacks.
        genome: Contigs of the FASTA with lengths (nt).
        regions: Lengths (nt) that the annotation states for its contigs.
    """
    found: dict[str, str] = {}
    for key in (_spelling, _accession):
        left = [name for name in missing if name not in found]
        found |= _pairs(left, [name for name in genome if name not in found.values()], key)
    left = [name for name in missing if name not in found and name in regions]
    free = {name: length for name, length in genome.items() if name not in found.values()}
    found |= _pairs([*left], [*free], lambda name: str(regions[name] if name in left else free[name]))
    return {name: found[name] for name in missing if name in found}


def check_placed(
    genes: Mapping[str, int],
    off_end: int,
    match: ContigMatch,
    genome: Mapping[str, int],
    *,
    what: str,
    regions: Mapping[str, int],
) -> None:
    """Check that most genes lie on the genome.

    Args:
        genes: Number of genes by contig of the annotation, of contigs that are not left out by choice.
        off_end: Of these, genes that reach past the end of their contig.
        match: How contigs are called in the genome.
        genome: Contigs of the FASTA with lengths (nt).
        what: Annotation and FASTA, for the message.
        regions: Lengths (nt) that the annotation states for its contigs.

    Raises:
        InputError: Too few do. The message says why, and which aliases may help.
    """
    total, lost = sum(genes.values()), sum(n for name, n in genes.items() if name not in match.names)
    if total and total - lost - off_end >= MIN_SHARE * total:
        return
    if off_end > lost:
        raise InputError(
            f"{what}: {off_end} of {total} genes reach past the end of their contig: annotation and FASTA are of"
            " different builds, or the FASTA is cut off; give the pair that belongs together"
        )
    missing = [name for name, _ in Counter(genes).most_common() if name not in match.names]
    raise InputError(
        f"{what}: {lost} of {total} genes are on contigs that the FASTA lacks. The annotation has {_shown(missing)};"
        f" the FASTA has {_shown(list(genome))}. What to do: {_advice(missing, genome, regions)}; to build from a part"
        " of the genome, name its contigs in splice.inputs.contigs"
    )


def check_used(
    used: Sequence[str], match: ContigMatch, contigs: Sequence[str], genome: Mapping[str, int], *, what: str
) -> None:
    """Check the contigs that the configuration asks for.

    Args:
        used: Names of the FASTA; empty for all.
        match: How contigs of the annotation are called in the genome.
        contigs: Contigs of the annotation.
        genome: Contigs of the FASTA with lengths (nt).
        what: Annotation and FASTA, for the message.

    Raises:
        ConfigError: The FASTA lacks one of them.
        InputError: The annotation has nothing on any of them.
    """
    for name in used:
        if name not in genome:
            raise ConfigError(f"splice.inputs.contigs: the FASTA has no {name}{_nearest(name, list(genome))}")
    if used and not set(used) & set(match.names.values()):
        missing = [name for name in contigs if name not in match.names]
        wanted = {name: genome[name] for name in used}
        raise InputError(
            f"{what}: the annotation has nothing on {_shown(list(used))} (splice.inputs.contigs); it has"
            f" {_shown(list(contigs))}. What to do: {_advice(missing, wanted, {})}"
        )


def _advice(missing: Sequence[str], genome: Mapping[str, int], regions: Mapping[str, int]) -> str:
    aliases = suggest_aliases(missing, genome, regions=regions)
    if not aliases:
        return "give the FASTA that belongs to the annotation, or set splice.inputs.contig_aliases (annotation: FASTA)"
    pairs = ", ".join(f"{name}: '{alias}'" for name, alias in aliases.items())
    return f"if they are of one build, set splice.inputs.contig_aliases: {{{pairs}}}"


def length_conflicts(match: ContigMatch, genome: Mapping[str, int], regions: Mapping[str, int]) -> list[str]:
    """Contigs (FASTA names) whose length differs from what the annotation states: a sign of another build."""
    return sorted(
        match.names[name]
        for name, length in regions.items()
        if name in match.names and genome[match.names[name]] != length
    )


def _pairs(left: Sequence[str], right: Sequence[str], key: Callable[[str], str]) -> dict[str, str]:
    """Pairs whose keys are equal, where each key stands once on either side."""
    keys, others = [key(name) for name in left], [key(name) for name in right]
    seen, seen_there = Counter(keys), Counter(others)
    return {
        name: right[others.index(own)]
        for name, own in zip(left, keys, strict=True)
        if seen[own] == 1 and seen_there[own] == 1
    }


def _without_chr(name: str) -> str:
    return name[3:] if name[:3].lower() == "chr" else name


def _spelling(name: str) -> str:
    """Lower case, without chr and leading zeros, organelles by one name."""
    bare = _CHR.sub("", name, count=1).lower().lstrip("0") or name.lower()
    return _SAME.get(bare, bare)


def _accession(name: str) -> str:
    """Spelling of the chromosome that an accession stands for, or the accession without version."""
    ucsc = _UCSC.fullmatch(name)
    if ucsc:
        return ucsc[1].lower()
    bare = name.split(".", maxsplit=1)[0]
    return _spelling(_HUMAN.get(bare, bare))


def _nearest(name: str, names: Sequence[str]) -> str:
    alike = [other for other in names if _spelling(other) == _spelling(name)]
    near = alike or difflib.get_close_matches(name, names, n=1)
    return f", did you mean {near[0]}?" if near else f"; it has {_shown(names)}"


def _shown(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
