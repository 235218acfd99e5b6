"""Dialects of annotation files: how GTF and GFF3 write attributes, and what the sources call the same things.

Reading relies on lists of aliases, so a file of no known source reads as well as one of Ensembl; the name of the
dialect is for the record.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

EXON_FEATURES = ("exon", "pseudogenic_exon")
CDS_FEATURES = ("CDS",)
# Neither exons, nor transcripts, nor genes; some sources write millions of them, so they are left out while reading.
OTHER_FEATURES = (
    *(
        "intron",
        "five_prime_UTR",
        "three_prime_UTR",
        "five_prime_utr",
        "three_prime_utr",
        "5UTR",
        "3UTR",
        "UTR",
        "start_codon",
        "stop_codon",
        "codon",
    ),
    *("stop_codon_redefined_as_selenocysteine", "Selenocysteine", "protein", "polypeptide", "coding_exon"),
    *("biological_region", "region", "chromosome", "scaffold", "supercontig", "contig", "sequence_feature"),
    *(
        "nucleotide_match",
        "protein_match",
        "cDNA_match",
        "EST_match",
        "match",
        "match_part",
        "translated_nucleotide_match",
    ),
    *("expressed_sequence_match", "SNP", "sequence_alteration", "point_mutation", "transposable_element"),
    *("transposable_element_insertion_site", "transposon_fragment", "enhancer", "promoter", "silencer"),
    *(
        "TF_binding_site",
        "repeat_region",
        "polyA_site",
        "polyA_signal_sequence",
        "TSS",
        "TSS_region",
        "inter",
        "inter_CNS",
    ),
)

GENE_NAMES = ("gene_name", "gene_symbol", "gene", "symbol", "locus", "sequence_name")
GENE_TYPES = ("gene_type", "gene_biotype", "locus_type")
TRANSCRIPT_TYPES = ("transcript_type", "transcript_biotype")
MANE_TAGS = ("MANE_Select",)
CANONICAL_TAGS = ("Ensembl_canonical", "RefSeq_Select")

# ID prefixes of Ensembl and WormBase (`gene:`, `Transcript:`) and RefSeq (`gene-`, `rna-`).
_PREFIX = re.compile(r"(?:(?:gene|transcript|mrna|pseudogene):|(?:gene|rna)-)(?=.)", re.IGNORECASE)
# Only ids of which it is known that the last number is a version: AT1G01010.1 and MSTRG.1 are none.
_VERSIONED = re.compile(r"((?:ENS|OTT)[A-Z]*\d{6,})\.(\d+)(_PAR_Y)?")
PAR_Y = "_PAR_Y"


class Style(StrEnum):
    """How attributes are written."""

    GTF = "gtf"
    """`gene_id "G1"; transcript_id "T1";`"""
    GFF3 = "gff3"
    """`ID=T1;Parent=G1`"""


@dataclass(frozen=True)
class Dialect:
    """What kind of file an annotation is."""

    style: Style
    source: str
    """ensembl, gencode, refseq, flybase, wormbase, tair or generic."""

    @property
    def name(self) -> str:
        """For people, e.g. `gencode-gff3`."""
        return f"{self.source}-{self.style}"


# First match wins: RefSeq and MANE files also name Ensembl ids in their cross references.
_SOURCES = (
    ("refseq", r"(?:^|[;, ])(?:Dbxref=|db_xref \")GeneID:|(?:^|; ?)gbkey[= ]"),
    ("wormbase", r"WBGene\d|(?:ID|Parent)=(?:Gene|Transcript|Pseudogene):"),
    ("flybase", r"FBgn\d|FBtr\d"),
    ("tair", r"(?:ID|Parent)=\"?AT[1-5CM]G\d{5}|gene_id \"AT[1-5CM]G\d{5}"),
    ("gencode", r"gene_type[= ]"),
    ("ensembl", r"gene_biotype[= ]|(?:ID|Parent)=(?:gene|transcript):|ENS[A-Z]*[GT]\d{11}"),
)


def recognise(attributes: pa.Array) -> Dialect | None:
    """Tell the dialect from attribute columns.

    Args:
        attributes: Ninth column of some lines, binary or text.

    Returns:
        None where neither style shows.
    """
    gff3 = _share(attributes, r"(?:^|;)\s*[A-Za-z_][\w.-]*=")
    gtf = _share(attributes, r"(?:^|;)\s*[A-Za-z_][\w.-]* +[\"\w]")
    if not gff3 and not gtf:
        return None
    # A third of the lines is plenty: a stray word of free text, by which a source could be mistaken, is in fewer.
    source = next((name for name, pattern in _SOURCES if _share(attributes, pattern) > 1 / 3), "generic")
    return Dialect(Style.GFF3 if gff3 >= gtf else Style.GTF, source)


def _share(values: pa.Array, pattern: str) -> float:
    return float(pc.mean(pc.match_substring_regex(values, pattern)).as_py() or 0.0)


def attribute(attributes: pa.Array, names: Sequence[str], style: Style) -> pa.Array:
    """Value of the first of `names` that a line states.

    Args:
        attributes: Ninth column, binary.
        names: Attribute names, the most wanted first.
        style: How attributes are written.

    Returns:
        Binary; null where a line states none of them, or an empty value.
    """
    value = r"=\s*(?P<value>[^;]*[^;\s])" if style is Style.GFF3 else r"\s+\"?(?P<value>[^\";]*[^\";\s])"
    found = pa.nulls(len(attributes), pa.binary())
    for name in names:
        if found.null_count == 0:
            break
        matched = pc.extract_regex(attributes, rf"(?:^|;)\s*{re.escape(name)}{value}")
        found = pc.coalesce(found, pc.struct_field(matched, "value"))
    return found


def tags_of(attributes: bytes, style: Style) -> str:
    """All tags of a line by comma, spaces as underscores: RefSeq writes `MANE Select`, Ensembl `MANE_Select`."""
    form = rb"(?:^|;)\s*tag=([^;]+)" if style is Style.GFF3 else rb"(?:^|;)\s*tag\s+\"?([^\";]+)"
    found = b",".join(re.findall(form, attributes)).decode("utf-8", "replace")
    return ",".join(tag.strip().replace(" ", "_") for tag in found.split(",") if tag.strip())


def plain(value: bytes | None, style: Style) -> str:
    """Text of an attribute: GFF3 writes reserved characters as %2C."""
    text = (value or b"").decode("utf-8", "replace").strip()
    return unquote(text) if style is Style.GFF3 and "%" in text else text


def without_prefix(identifier: str) -> str:
    """Identifier less the kind of thing it is: `gene-BRCA1` and `gene:WBGene1` give `BRCA1` and `WBGene1`."""
    return _PREFIX.sub("", identifier, count=1) if _PREFIX.match(identifier) else identifier


def split_version(identifier: str) -> tuple[str, str]:
    """Identifier and version: `ENSG00000182378.14_PAR_Y` gives `ENSG00000182378_PAR_Y` and `14`."""
    match = _VERSIONED.fullmatch(identifier)
    return (f"{match[1]}{match[3] or ''}", match[2]) if match else (identifier, "")


def biotype(value: str) -> str:
    """Biotype in the words of Ensembl: TAIR's `protein_coding_gene` and the feature `mRNA` are `protein_coding`."""
    return "protein_coding" if value in ("protein_coding_gene", "mRNA") else value
