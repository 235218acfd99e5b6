"""Gene files: every line ends as a gene, a repetition, or with a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from gene_tables import gene, gene_table

from trainyard.splice.genelist import Entry, GeneNames, check_failed, read_gene_file, resolve, spellings
from trainyard.splice.reasons import Reason
from trainyard.yard.errors import InputError

NAMES = GeneNames.of(
    gene_table(
        gene("ENSG01", gene_name="ABC1"),
        gene("ENSG02", gene_name="TWIN"),
        gene("ENSG03", gene_name="TWIN"),
        gene("ENSG04_PAR_Y", gene_name="PARSY"),
        gene("AT1G01010.1", gene_name=""),
        gene("ABC9", gene_name="ENSG01"),
    ),
    {"ENSG99": Reason.CONTIG_NOT_IN_GENOME},
)


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_bytes(text.encode())
    return path


def resolved(*texts: str) -> list[tuple[str | None, str, str]]:
    table = resolve([Entry(i, text) for i, text in enumerate(texts, start=1)], NAMES, source="genes.txt")
    return [(row["gene_id"], row["matched_by"], row["status"]) for row in table.to_pylist()]


def test_a_list_is_read_line_by_line_with_comments_and_blank_lines_left_out(tmp_path: Path) -> None:
    path = written(tmp_path, "genes.txt", "\ufeff# mine\nENSG01\r\n\n  TP53 \n")
    assert read_gene_file(path, gene_col="gene_id") == [Entry(2, "ENSG01"), Entry(4, "TP53")]


@pytest.mark.parametrize(("name", "comma"), [("g.csv", ","), ("g.tsv", "\t"), ("G.TSV", "\t")])
def test_a_table_is_read_by_its_column(tmp_path: Path, name: str, comma: str) -> None:
    text = comma.join(["n", "symbol"]) + "\n" + comma.join(["1", '"A ""B"""']) + "\n" + comma.join(["2", "C"]) + "\n"
    entries = read_gene_file(written(tmp_path, name, text), gene_col="symbol")
    assert entries == [Entry(2, 'A "B"'), Entry(3, "C")]


def test_a_row_without_value_stays_on_record(tmp_path: Path) -> None:
    path = written(tmp_path, "g.tsv", "type\tgene_id\ngene\tENSG01\ntranscript\t\nshort\n\n")
    entries = read_gene_file(path, gene_col="gene_id")
    assert [(e.line, e.text) for e in entries] == [(2, "ENSG01"), (3, ""), (4, "")]
    statuses = resolve(entries, NAMES, source="g.tsv")["status"].to_pylist()
    assert statuses == ["taken", Reason.MALFORMED_LINE, Reason.MALFORMED_LINE]


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("g.csv", "gene,name\nA,B\n", r"0 columns 'gene_id', of gene, name; set selection.gene_col"),
        ("g.csv", "", r"of none"),
        ("g.tsv", "gene_id,name\nA,B\n", r"has tabs between its columns"),
        ("g.csv", "gene_id,gene_id\nA,B\n", r"2 columns 'gene_id'"),
        ("g.csv", "gene_id\n", r"names no gene"),
        ("g.txt", "# nothing\n", r"names no gene"),
        ("g.txt", "A\nB,C\n", r"line 2 holds more than one word"),
        ("g.txt", "A B\n", r"must end in .csv or .tsv"),
    ],
)
def test_a_file_that_cannot_be_meant_is_refused(tmp_path: Path, name: str, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        read_gene_file(written(tmp_path, name, text), gene_col="gene_id")


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no.txt: no such gene file"):
        read_gene_file(tmp_path / "no.txt", gene_col="gene_id")
    (tmp_path / "b.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="not UTF-8"):
        read_gene_file(tmp_path / "b.txt", gene_col="gene_id")


def test_ids_match_with_and_without_version_and_before_symbols() -> None:
    assert resolved("ENSG01", "ENSG02.14", "ENSG04.3_PAR_Y", "AT1G01010.1", "ABC1", "nope") == [
        ("ENSG01", "gene_id", "taken"),
        ("ENSG02", "gene_id_version", "taken"),
        ("ENSG04_PAR_Y", "gene_id_version", "taken"),
        ("AT1G01010.1", "gene_id", "taken"),
        ("ENSG01", "gene_name", Reason.REPEATED_GENE),
        (None, "", Reason.NOT_IN_ANNOTATION),
    ]


def test_a_gene_that_the_reference_left_out_keeps_its_reason() -> None:
    assert resolved("ENSG99.2") == [("ENSG99", "gene_id_version", Reason.CONTIG_NOT_IN_GENOME)]


def test_a_symbol_of_several_genes_is_an_error_that_names_them() -> None:
    with pytest.raises(InputError, match=r"genes.txt: 1 symbols .* \(line 2: TWIN is ENSG02, ENSG03\)"):
        resolved("ENSG01", "TWIN")


def test_an_id_is_tried_as_it_stands_then_without_prefix_then_without_version() -> None:
    texts = ("A.1", "A", "A.b", ".1", "A.1.2", "A.15_PAR_Y", "gene:ENSG00000182378.14_PAR_Y", "gene-BRCA1")
    assert [spellings(text)[-1] for text in texts] == [
        *("A", "A", "A.b", ".1", "A.1", "A_PAR_Y", "ENSG00000182378_PAR_Y", "BRCA1")
    ]
    assert spellings("gene:A.1") == ["gene:A.1", "A.1", "A"]
    assert resolved("gene:ENSG01") == [("ENSG01", "gene_id_version", "taken")]


def test_more_failed_genes_than_allowed_stop_the_plan() -> None:
    table = resolve([Entry(1, "ENSG01"), Entry(2, "x"), Entry(3, "x"), Entry(4, "ABC1")], NAMES, source="genes.txt")
    check_failed(table, 0.7, source="genes.txt")
    with pytest.raises(InputError, match=r"2 of 3 genes cannot be taken.*= 0.5 allows: x \(not_in_annotation\), x"):
        check_failed(table, 0.5, source="genes.txt")
