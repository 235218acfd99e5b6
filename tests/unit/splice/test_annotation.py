"""Annotations of every dialect give the same genes, and what cannot be read is counted or refused by name."""

from __future__ import annotations

import gzip

import pytest
from small_annotations import TOY_EXONS, Transcript, build, gff3, gtf, line

from trainyard.splice import annotation as reader
from trainyard.splice.dialects import split_version, without_prefix
from trainyard.splice.entities import load_annotation
from trainyard.splice.reasons import Reason
from trainyard.yard.errors import InputError
from trainyard.yard.ledger import Ledger


def exon_lines(attributes: str, *, feature: str = "exon") -> str:
    return "".join(line("1", feature, start, end, "-", attributes) for start, end in TOY_EXONS)


ENSEMBL_GTF = (
    "#!genome-build GRCh38.p14\n#!genome-version GRCh38\n"
    + line(
        "1",
        "gene",
        101,
        400,
        "-",
        'gene_id "ENSG00000000001"; gene_version "7"; gene_name "ABC1"; '
        'gene_source "havana"; gene_biotype "protein_coding";',
    )
    + line(
        "1",
        "transcript",
        101,
        400,
        "-",
        'gene_id "ENSG00000000001"; gene_version "7"; transcript_id '
        '"ENST00000000002"; transcript_version "3"; gene_name "ABC1"; gene_biotype '
        '"protein_coding"; transcript_biotype "retained_intron"; tag "basic"; tag '
        '"Ensembl_canonical";',
    )
    + exon_lines(
        'gene_id "ENSG00000000001"; gene_version "7"; transcript_id "ENST00000000002"; exon_number "1"; '
        'gene_biotype "protein_coding"; exon_id "ENSE1";'
    )
    + line("1", "CDS", 120, 150, "-", 'gene_id "ENSG00000000001"; transcript_id "ENST00000000002";')
    + line("1", "five_prime_utr", 380, 400, "-", 'gene_id "ENSG00000000001"; transcript_id "ENST00000000002";')
)
ENSEMBL_GFF3 = (
    "##gff-version 3\n##sequence-region   1 1 5000\n"
    + line("1", "chromosome", 1, 5000, ".", "ID=chromosome:1;Alias=CM000663.2,chr1")
    + line(
        "1",
        "gene",
        101,
        400,
        "-",
        "ID=gene:ENSG00000000001;Name=ABC1;biotype=protein_coding;gene_id=ENSG00000000001;version=7",
    )
    + line(
        "1",
        "mRNA",
        101,
        400,
        "-",
        "ID=transcript:ENST00000000002;Parent=gene:ENSG00000000001;Name=ABC1-201;"
        "biotype=retained_intron;tag=basic,Ensembl_canonical;"
        "transcript_id=ENST00000000002;version=3",
    )
    + exon_lines("Parent=transcript:ENST00000000002;Name=ENSE1;exon_id=ENSE1;rank=1;version=1")
    + line("1", "CDS", 120, 150, "-", "ID=CDS:ENSP1;Parent=transcript:ENST00000000002")
    + "###\n"
)
GENCODE_ATTRIBUTES = (
    'gene_id "ENSG00000000001.7"; transcript_id "ENST00000000002.3"; gene_type "protein_coding"; gene_name "ABC1"; '
    'transcript_type "retained_intron"; level 2; tag "basic"; tag "Ensembl_canonical"; exon_number 1;'
)
GENCODE_GTF = (
    "##description: evidence-based annotation of the human genome (GRCh38), version 44\n"
    + line(
        "1",
        "gene",
        101,
        400,
        "-",
        'gene_id "ENSG00000000001.7"; gene_type "protein_coding"; gene_name "ABC1"; level 2;',
    )
    + line("1", "transcript", 101, 400, "-", GENCODE_ATTRIBUTES)
    + exon_lines(GENCODE_ATTRIBUTES)
    + line("1", "CDS", 120, 150, "-", GENCODE_ATTRIBUTES)
)
REFSEQ_GFF3 = (
    line("1", "region", 1, 5000, "+", "ID=NC_1:1..5000;Dbxref=taxon:9606;Name=1")
    + line(
        "1",
        "gene",
        101,
        400,
        "-",
        "ID=gene-ABC1;Dbxref=GeneID:1,Ensembl:ENSG00000000001;Name=ABC1;gbkey=Gene;"
        "gene=ABC1;gene_biotype=protein_coding",
    )
    + line(
        "1",
        "mRNA",
        101,
        400,
        "-",
        "ID=rna-NM_2.3;Parent=gene-ABC1;Dbxref=GeneID:1;Name=NM_2.3;gbkey=mRNA;gene=ABC1;"
        "tag=MANE Select;transcript_id=NM_2.3",
    )
    + exon_lines("ID=exon-NM_2.3-1;Parent=rna-NM_2.3;Dbxref=GeneID:1;gbkey=mRNA;gene=ABC1;tag=MANE Select")
    + line("1", "CDS", 120, 150, "-", "ID=cds-NP_2.3;Parent=rna-NM_2.3;Dbxref=GeneID:1;gbkey=CDS;gene=ABC1")
)
REFSEQ_GTF = (
    line(
        "1",
        "gene",
        101,
        400,
        "-",
        'gene_id "ABC1"; transcript_id ""; db_xref "GeneID:1"; gbkey "Gene"; gene "ABC1"; '
        'gene_biotype "protein_coding"; ',
    )
    + line(
        "1",
        "transcript",
        101,
        400,
        "-",
        'gene_id "ABC1"; transcript_id "NM_2.3"; db_xref "GeneID:1"; gbkey "mRNA"; '
        'gene "ABC1"; tag "MANE Select"; transcript_biotype "mRNA"; ',
    )
    + exon_lines('gene_id "ABC1"; transcript_id "NM_2.3"; db_xref "GeneID:1"; gene "ABC1"; exon_number "1"; ')
    + line("1", "CDS", 120, 150, "-", 'gene_id "ABC1"; transcript_id "NM_2.3"; db_xref "GeneID:1"; gbkey "CDS"; ')
)
FLYBASE_GTF = (
    line("1", "gene", 101, 400, "-", 'gene_id "FBgn0000001"; gene_symbol "ABC1";')
    + line(
        "1",
        "mRNA",
        101,
        400,
        "-",
        'gene_id "FBgn0000001"; gene_symbol "ABC1"; transcript_id "FBtr0000002"; transcript_symbol "ABC1-RA";',
    )
    + exon_lines('gene_id "FBgn0000001"; gene_symbol "ABC1"; transcript_id "FBtr0000002"; transcript_symbol "ABC1-RA";')
    + line("1", "CDS", 120, 150, "-", 'gene_id "FBgn0000001"; transcript_id "FBtr0000002";')
    + line("1", "3UTR", 101, 119, "-", 'gene_id "FBgn0000001"; transcript_id "FBtr0000002";')
)
WORMBASE_GFF3 = (
    line("1", "intron", 151, 250, "-", "Name=RNASeq intron") * 50
    + line(
        "1",
        "gene",
        101,
        400,
        "-",
        "ID=Gene:WBGene00000001;Name=WBGene00000001;locus=ABC1;sequence_name=Y7A.1;biotype=protein_coding",
    )
    + line("1", "mRNA", 101, 400, "-", "ID=Transcript:Y7A.1.2;Parent=Gene:WBGene00000001;Name=Y7A.1.2")
    + exon_lines("Parent=Transcript:Y7A.1.2")
    + line("1", "CDS", 120, 150, "-", "ID=CDS:Y7A.1;Parent=Transcript:Y7A.1.2")
)
TAIR_GFF3 = (
    line("1", "gene", 101, 400, "-", "ID=AT1G01010;Note=protein_coding_gene;Name=AT1G01010")
    + line("1", "mRNA", 101, 400, "-", "ID=AT1G01010.1;Parent=AT1G01010;Name=AT1G01010.1;Index=1")
    + line("1", "protein", 120, 150, "-", "ID=AT1G01010.1-Protein;Name=AT1G01010.1;Derives_from=AT1G01010.1")
    + exon_lines("Parent=AT1G01010.1")
    + line("1", "CDS", 120, 150, "-", "Parent=AT1G01010.1,AT1G01010.1-Protein;")
)
DIALECTS = {
    # text: dialect, gene, version, name, transcript, biotype of the transcript, tags
    "ensembl-gtf": (
        ENSEMBL_GTF,
        "ENSG00000000001",
        "7",
        "ABC1",
        "ENST00000000002",
        "retained_intron",
        "basic,Ensembl_canonical",
    ),
    "ensembl-gff3": (
        ENSEMBL_GFF3,
        "ENSG00000000001",
        "7",
        "ABC1",
        "ENST00000000002",
        "retained_intron",
        "basic,Ensembl_canonical",
    ),
    "gencode-gtf": (
        GENCODE_GTF,
        "ENSG00000000001",
        "7",
        "ABC1",
        "ENST00000000002.3",
        "retained_intron",
        "basic,Ensembl_canonical",
    ),
    "refseq-gff3": (REFSEQ_GFF3, "ABC1", "", "ABC1", "NM_2.3", "protein_coding", "MANE_Select"),
    "refseq-gtf": (REFSEQ_GTF, "ABC1", "", "ABC1", "NM_2.3", "protein_coding", "MANE_Select"),
    "flybase-gtf": (FLYBASE_GTF, "FBgn0000001", "", "ABC1", "FBtr0000002", "protein_coding", ""),
    "wormbase-gff3": (WORMBASE_GFF3, "WBGene00000001", "", "ABC1", "Y7A.1.2", "protein_coding", ""),
    "tair-gff3": (TAIR_GFF3, "AT1G01010", "", "AT1G01010", "AT1G01010.1", "protein_coding", ""),
}


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_dialect_is_recognised_and_read(tmp_path, dialect):
    text, gene, version, name, transcript, kind, tags = DIALECTS[dialect]
    built = build(tmp_path, text)
    assert built.annotation.dialect.name == dialect
    (row,) = built.tables.genes.to_pylist()
    assert (row["gene_id"], row["gene_version"], row["gene_name"]) == (gene, version, name)
    assert (row["gene_type"], row["start"], row["end"], row["strand"]) == ("protein_coding", 101, 400, "-")
    assert (row["n_donors"], row["n_acceptors"], row["rep_transcript_id"]) == (2, 2, transcript)
    (tx,) = built.tables.transcripts.to_pylist()
    assert (tx["transcript_id"], tx["transcript_type"], tx["tags"], tx["cds_length"]) == (transcript, kind, tags, 31)
    assert sorted((e["start"], e["end"]) for e in built.tables.exons.to_pylist()) == sorted(TOY_EXONS)
    assert built.ledger.rejections == []


def test_what_the_file_says_of_its_genome_is_kept(tmp_path):
    assert build(tmp_path, ENSEMBL_GTF).annotation.header["genome-build"] == "GRCh38.p14"
    assert build(tmp_path, ENSEMBL_GFF3).annotation.regions == {"1": 5000}
    assert "GRCh38" in build(tmp_path, GENCODE_GTF).annotation.header["description"]


EXON_ONLY = {
    "gtf": gtf(Transcript("T1", "G1"), genes=False, lines=False),
    "gtf with names": gtf(
        Transcript("T1", "G1", extra={"gene_name": "N1", "gene_biotype": "lncRNA"}), genes=False, lines=False
    ),
    "gff3 with gene_id": exon_lines("ID=e1;gene_id=G1;transcript_id=T1"),
    "gff3 with parent and gene_id": exon_lines("Parent=T1;gene_id=G1"),
    "gff3 with transcripts": gff3(Transcript("T1", "G1"), genes=False),
}


@pytest.mark.parametrize("form", EXON_ONLY)
def test_files_without_gene_lines_are_read_and_the_lack_is_counted(tmp_path, form):
    built = build(tmp_path, EXON_ONLY[form])
    gene = built.row("genes", gene_id="G1")
    assert (gene["start"], gene["end"], gene["n_donors"]) == (101, 400, 2)
    assert built.row("transcripts", gene_id="G1")["transcript_id"] == "T1"
    assert built.rejected("gene_line") == {"no_gene_line": 1}
    if "names" in form:
        assert (gene["gene_name"], gene["gene_type"]) == ("N1", "lncRNA")
    elif form in ("gtf", "gff3 with gene_id"):
        assert gene["gene_type"] == "unknown"
        assert built.rejected("gene_type") == {"no_gene_type": 1}


@pytest.mark.parametrize("name", ["2L", "chrUn_KI270302v1", "HLA*01:01", "gi|1|gb|X.1|"])
def test_odd_contig_names_stay_as_they_are(tmp_path, name):
    assert build(tmp_path, gtf(Transcript("T", "G", contig=name))).row("genes", gene_id="G")["chrom"] == name


PACKINGS = {
    "gzip": gzip.compress,
    "gzip in members": lambda data: gzip.compress(data[:900]) + gzip.compress(data[900:]),
    "CRLF": lambda data: data.replace(b"\n", b"\r\n"),
    "no last newline": lambda data: data.rstrip(b"\n"),
    "comments and empty lines": lambda data: b"#!x\n\n" + data.replace(b"\n", b"\n# said in between\n\n"),
    "FASTA behind": lambda data: data + b"##FASTA\n>1\nACGT\nACGT\n",
    "FASTA behind, unannounced": lambda data: data + b">1\nACGT\n",
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_packing_and_comments_change_nothing(tmp_path, packing):
    plain = build(tmp_path, GENCODE_GTF)
    other = build(tmp_path, PACKINGS[packing](GENCODE_GTF.encode()))
    assert other.tables.genes.equals(plain.tables.genes)
    assert other.tables.sites.equals(plain.tables.sites)
    assert other.ledger.to_dict() == plain.ledger.to_dict()


@pytest.mark.parametrize("block", [64, 300, 1000])
def test_where_blocks_end_changes_nothing(tmp_path, monkeypatch, block):
    text = gtf(*(Transcript(f"T{i}", f"G{i % 3}", extra={"gene_name": f"N{i % 3}"}) for i in range(9)))
    whole = build(tmp_path, text)
    monkeypatch.setattr(reader, "_BLOCK", block)
    pieces = build(tmp_path, text)
    assert pieces.tables.genes.equals(whole.tables.genes)
    assert pieces.tables.sites.equals(whole.tables.sites)


MALFORMED = {
    "too few columns": "1\ttest\texon\t101\t150\n",
    "spaces for tabs": "1 test exon 101 150 . + . gene_id G\n",
    "no number": line("1", "exon", 1, 2, "+", 'gene_id "G1"; transcript_id "T1";').replace("\t1\t", "\tone\t"),
    "negative": line("1", "exon", -5, 20, "+", 'gene_id "G1"; transcript_id "T1";'),
    "from zero": line("1", "exon", 0, 20, "+", 'gene_id "G1"; transcript_id "T1";'),
    "ends before it starts": line("1", "exon", 20, 10, "+", 'gene_id "G1"; transcript_id "T1";'),
    "beyond all numbers": line("1", "exon", 1, 10**25, "+", 'gene_id "G1"; transcript_id "T1";'),
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_malformed_lines_are_counted_and_left_out(tmp_path, kind):
    text = gtf(Transcript("T1", "G1"))
    built = build(tmp_path, text + MALFORMED[kind])
    assert built.tables.sites.equals(build(tmp_path, text).tables.sites)
    assert built.rejected("line") == {"malformed_line": 1}
    assert built.ledger.expected("line") == 6
    assert built.annotation.lines == 6


def test_exons_that_name_nothing_they_belong_to_are_counted(tmp_path):
    for text, orphan in (
        (gtf(Transcript("T1", "G1")), line("1", "exon", 1, 9, "+", 'exon_id "E";')),
        (gff3(Transcript("T1", "G1")), line("1", "exon", 1, 9, "+", "ID=E")),
    ):
        built = build(tmp_path, text + orphan)
        assert built.rejected("exon") == {"no_gene_id": 1}
        assert built.tables.exons.num_rows == 3


def test_a_transcript_without_gene_is_counted(tmp_path):
    built = build(tmp_path, gtf(Transcript("T1", "G1")) + line("1", "exon", 1, 9, "+", 'transcript_id "T2";'))
    assert built.rejected("transcript") == built.rejected("exon") == {"no_gene_id": 1}


def test_an_exon_of_several_parents_belongs_to_each(tmp_path):
    text = gff3(Transcript("T1", "G1"), Transcript("T2", "G1")).replace("Parent=T1\n", "Parent=T1,T2\n", 3)
    text = "".join(row + "\n" for row in text.splitlines() if not row.endswith("\tParent=T2"))
    built = build(tmp_path, text)
    assert built.row("genes", gene_id="G1")["num_transcripts"] == 2
    assert {tuple(row["transcript_ids"]) for row in built.tables.sites.to_pylist()} == {("T1", "T2")}
    assert built.ledger.kept("exon") == 6


def test_the_gene_is_found_at_the_top_of_a_chain(tmp_path):
    text = (
        line("1", "gene", 101, 400, "+", "ID=gene-MIR1;gene=MIR1;gene_biotype=miRNA")
        + line("1", "primary_transcript", 101, 400, "+", "ID=rna-NR_1;Parent=gene-MIR1")
        + line("1", "miRNA", 101, 300, "+", "ID=rna-MI1;Parent=rna-NR_1")
        + "".join(line("1", "exon", *exon, "+", "Parent=rna-MI1") for exon in TOY_EXONS[:2])
        + "".join(line("1", "exon", *exon, "+", "Parent=rna-NR_1") for exon in TOY_EXONS)
    )
    built = build(tmp_path, text)
    (gene,) = built.tables.genes.to_pylist()
    assert (gene["gene_id"], gene["gene_type"], gene["num_transcripts"]) == ("MIR1", "miRNA", 2)


def test_a_gene_may_carry_exons_itself_and_a_chain_may_bite_its_tail(tmp_path):
    text = (
        line("1", "pseudogene", 101, 400, "+", "ID=gene-P1")
        + "".join(line("1", "exon", *exon, "+", "Parent=gene-P1") for exon in TOY_EXONS)
        + line("1", "mRNA", 101, 400, "+", "ID=a;Parent=b")
        + line("1", "mRNA", 101, 400, "+", "ID=b;Parent=a")
        + line("1", "exon", 101, 150, "+", "Parent=a")
    )
    built = build(tmp_path, text)
    assert built.row("genes", gene_id="P1")["gene_type"] == "pseudogene"
    assert built.tables.genes.num_rows == 2


def test_the_pseudoautosomal_copy_on_y_is_a_gene_of_its_own(tmp_path):
    x = Transcript("ENST00000000002.1", "ENSG00000000001.7", contig="X")
    y = Transcript("ENST00000000002.1_PAR_Y", "ENSG00000000001.7_PAR_Y", contig="Y")
    for text in (
        gtf(x, y),
        gff3(x, y),
        gff3(x, y).replace("ID=ENSG00000000001.7_PAR_Y", "ID=ENSG00000000001.7_PAR_Y;gene_id=ENSG00000000001.7"),
    ):
        genes = build(tmp_path, text).tables.genes
        assert genes["gene_id"].to_pylist() == ["ENSG00000000001", "ENSG00000000001_PAR_Y"]
        assert genes["gene_version"].to_pylist() == ["7", "7"]
        assert genes["chrom"].to_pylist() == ["X", "Y"]


@pytest.mark.parametrize(
    ("identifier", "expected"),
    [
        ("ENSG00000182378.14", ("ENSG00000182378", "14")),
        ("ENSMUSG00000000001.5", ("ENSMUSG00000000001", "5")),
        ("ENSG00000182378.14_PAR_Y", ("ENSG00000182378_PAR_Y", "14")),
        ("ENSG00000182378", ("ENSG00000182378", "")),
        ("AT1G01010.1", ("AT1G01010.1", "")),
        ("MSTRG.12", ("MSTRG.12", "")),
        ("Y74C9A.3.1", ("Y74C9A.3.1", "")),
    ],
)
def test_only_known_ids_have_versions(identifier, expected):
    assert split_version(identifier) == expected


def test_prefixes_go_but_never_a_whole_name():
    assert [
        without_prefix(name) for name in ("gene-BRCA1", "rna-NM_1.2", "Gene:WB1", "transcript:E1", "gene", "genetics")
    ] == ["BRCA1", "NM_1.2", "WB1", "E1", "gene", "genetics"]
    assert without_prefix("gene-") == "gene-"


def test_reserved_characters_and_foreign_letters_are_read(tmp_path):
    text = gff3(Transcript("T%2C1", "G1", extra={"Note": "caf\xe9"}))
    built = build(tmp_path, text.encode("latin-1"))
    assert built.row("transcripts", gene_id="G1")["transcript_id"] == "T,1"


@pytest.mark.parametrize("spaced", ["ID=T1 ; Parent= G1", " ID=T1;  Parent=G1 ;"])
def test_spaces_around_names_do_not_count(tmp_path, spaced):
    text = gff3(Transcript("T1", "G1"))
    assert build(tmp_path, text.replace("ID=T1;Parent=G1", spaced)).tables.sites.equals(
        build(tmp_path, text).tables.sites
    )


def test_two_transcripts_are_never_given_one_name(tmp_path):
    built = build(tmp_path, gff3(Transcript("rna-T1", "G1"), Transcript("T1", "G2")))
    assert sorted(built.tables.transcripts["transcript_id"].to_pylist()) == ["T1", "rna-T1"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no exon"),
        (b"hello world\n" * 5, "no exon"),
        (line("1", "exon", 1, 9, "+", ".").encode(), "neither GTF"),
        (line("1", "gene", 1, 9, "+", "ID=G1").encode(), "no exon"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\tx", "no exon"),
        (gzip.compress(GENCODE_GTF.encode())[:-20], "may be incomplete"),
    ],
)
def test_what_is_no_annotation_is_refused_by_name(tmp_path, data, problem):
    path = tmp_path / "their.gtf"
    path.write_bytes(data)
    with pytest.raises(InputError, match=problem) as caught:
        load_annotation(path, Ledger("splice", Reason))
    assert "their.gtf" in str(caught.value)


@pytest.mark.parametrize("cut", ["attributes", "columns"])
def test_a_file_that_ends_in_the_middle_of_a_line_is_refused(tmp_path, cut):
    path, text = tmp_path / "their.gtf", GENCODE_GTF.rstrip()
    path.write_text(text[: text.rindex('"')] if cut == "attributes" else text[: text.rindex("\t") - 3])
    with pytest.raises(InputError, match=r"their\.gtf: ends in the middle of a line .* may be incomplete"):
        load_annotation(path, Ledger("splice", Reason))


def test_a_missing_file_says_what_to_set(tmp_path):
    with pytest.raises(InputError, match=r"splice\.inputs\.annotation"):
        load_annotation(tmp_path / "none.gtf", Ledger("splice", Reason))
    with pytest.raises(InputError, match="folder"):
        load_annotation(tmp_path, Ledger("splice", Reason))
