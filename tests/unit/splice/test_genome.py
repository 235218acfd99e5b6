"""The genome: the same bases however the FASTA is packed, and nothing written beside it."""

from __future__ import annotations

import gzip
import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_annotations import bgzip, fasta

from trainyard.splice.genome import UNKNOWN, Genome, encode, reverse_complement
from trainyard.yard.errors import InputError

LETTERS = "ACGTNacgtnRYxACGGTTAC"
CODES = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 4, 4, 4, 0, 1, 2, 2, 3, 3, 0, 1]


@pytest.fixture
def opened(tmp_path):
    """Write a FASTA and open it, with the cache elsewhere."""

    def open_text(text, name="genome.fa"):
        folder = tmp_path / "theirs"
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return Genome(folder / name, cache=tmp_path / "ours")

    return open_text


@pytest.mark.parametrize("pack", [bytes, gzip.compress, bgzip], ids=["plain", "gzip", "bgzip"])
def test_codes_are_the_same_however_the_file_is_packed(opened, tmp_path, pack):
    text = fasta({"1": LETTERS, "X": "ACGT" * 100}, width=7)
    genome = opened(pack(text.encode()))
    assert genome.contigs == {"1": len(LETTERS), "X": 400}
    assert genome.fetch("1", 1, len(LETTERS)).tolist() == CODES
    assert genome.fetch("X", 1, 400).tolist() == [0, 1, 2, 3] * 100
    assert [path.name for path in (tmp_path / "theirs").iterdir()] == ["genome.fa"]


def test_lower_case_letters_are_bases():
    assert encode("acgt").tolist() == encode("ACGT").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("text", [">1\r\nACG\r\nTAC\r\nG\r\n", ">1\nACG\nTAC\nG", "\n>1 described\nACG\nTAC\nG\n"])
def test_line_ends_do_not_matter(opened, text):
    assert opened(text).fetch("1", 1, 7).tolist() == [0, 1, 2, 3, 0, 1, 2]


@pytest.mark.parametrize(
    "name", ["HLA-A*01:01:01", "gi|568336023|gb|CM000663.2|", "chrUn_KI270302v1", "2L", "scaffold=1;x", "αβ"]
)
def test_odd_contig_names_are_names(opened, name):
    genome = opened(f">{name} some words\nACGT\n>other\nTTTT\n")
    assert list(genome.contigs) == [name, "other"]
    assert genome.fetch(name, 2, 3).tolist() == [1, 2]


def test_beyond_a_contig_nothing_is_known(opened):
    genome = opened(">1\nACGT\n")
    assert genome.fetch("1", -1, 6).tolist() == [4, 4, 0, 1, 2, 3, 4, 4]
    assert genome.fetch("1", 7, 9).tolist() == [UNKNOWN] * 3
    assert genome.fetch("1", -5, -3).tolist() == [UNKNOWN] * 3
    assert len(genome.fetch("1", 3, 2)) == 0


def test_a_gene_is_read_in_its_direction_with_its_own_flanks(opened):
    genome = opened(">1\nAACGGTTTCA\n")
    assert genome.gene("1", 3, 6, "+").tolist() == encode("CGGT").tolist()
    assert genome.gene("1", 3, 6, "-").tolist() == encode("ACCG").tolist()
    assert genome.flanked("1", 3, 6, "+", left=1, right=2).tolist() == encode("ACGGTTT").tolist()
    assert genome.flanked("1", 3, 6, "-", left=1, right=2).tolist() == encode("AACCGTT").tolist()
    assert genome.flanked("1", 3, 6, "-", left=5, right=3).tolist() == encode("NTGAAACCGTTN").tolist()
    with pytest.raises(ValueError, match="strand"):
        genome.gene("1", 3, 6, ".")


def test_the_complement_keeps_unknown_bases():
    assert reverse_complement(encode("ACGTN")).tolist() == encode("NACGT").tolist()


@settings(deadline=None, max_examples=40)
@given(st.text("ACGTN", min_size=1, max_size=90), st.integers(1, 20), st.data())
def test_any_piece_is_what_stands_there(tmp_path_factory, letters, width, data):
    folder = tmp_path_factory.mktemp("genome")
    (folder / "g.fa").write_text(fasta({"a": "CC", "b": letters}, width=width))
    start = data.draw(st.integers(-5, len(letters) + 5))
    end = data.draw(st.integers(start, len(letters) + 10))
    padded = {i + 1: letter for i, letter in enumerate(letters)}
    with Genome(folder / "g.fa", cache=folder / "cache") as genome:
        found = genome.fetch("b", start, end)
    assert found.dtype == np.uint8
    assert found.tolist() == encode("".join(padded.get(i, "N") for i in range(start, end + 1))).tolist()


def test_a_changed_file_is_read_anew_and_its_old_index_goes(opened, tmp_path):
    assert opened(gzip.compress(b">1\nACGT\n")).contigs == {"1": 4}
    before = set((tmp_path / "ours").iterdir())
    assert len(before) == 2
    os.utime(tmp_path / "theirs" / "genome.fa", ns=(1, 1))
    assert opened(gzip.compress(b">2\nACGTTTT\n")).contigs == {"2": 7}
    assert len(set((tmp_path / "ours").iterdir())) == 2
    assert not before & set((tmp_path / "ours").iterdir())


def test_an_index_is_made_once(opened, tmp_path):
    opened(">1\nACGT\n")
    (index,) = (tmp_path / "ours").iterdir()
    index.write_text("1\t2\t3\t4\t5\n")
    again = Genome(tmp_path / "theirs" / "genome.fa", cache=tmp_path / "ours")
    assert again.contigs == {"1": 2}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b">1\nACGT\nAC\nACGT\n", "lines of one length"),
        (b">1\nACGT\n>1\nAC\n", "a name of its own"),
        (b"ACGT\n", "not a FASTA"),
        (b"", "not a FASTA"),
        (b">\nACGT\n", "not a FASTA"),
        (gzip.compress(b">1\n" + os.urandom(500).hex().encode())[:-30], "cannot be unpacked"),
    ],
)
def test_what_is_no_fasta_is_refused_by_name(opened, text, problem):
    with pytest.raises(InputError, match=problem) as caught:
        opened(text)
    assert "genome.fa" in str(caught.value)


def test_a_missing_file_or_contig_says_what_to_set(opened, tmp_path):
    with pytest.raises(InputError, match=r"splice\.inputs\.fasta"):
        Genome(tmp_path / "none.fa", cache=tmp_path)
    with pytest.raises(InputError, match="contig_aliases"):
        opened(">1\nACGT\n").fetch("chr1", 1, 2)


def test_a_file_that_shrank_while_open_is_noticed(opened, tmp_path):
    genome = opened(">1\n" + "ACGT" * 50 + "\n")
    (tmp_path / "theirs" / "genome.fa").write_text(">1\nAC\n")
    with pytest.raises(InputError, match="changed"):
        genome.fetch("1", 1, 200)
