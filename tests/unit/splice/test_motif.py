"""The motif gate: right annotations pass, wrong ones are refused with what is wrong with them."""

from __future__ import annotations

import numpy as np
import pytest
from small_annotations import fasta, genome_for, many_transcripts

from trainyard.splice import motif
from trainyard.splice.genome import Genome
from trainyard.splice.motif import check, measure, odd_contigs, unique_introns
from trainyard.yard.errors import InputError

TRANSCRIPTS = [*many_transcripts(24), *many_transcripts(24, contig="2")]


@pytest.fixture(scope="module")
def genome(tmp_path_factory):
    folder = tmp_path_factory.mktemp("motif")
    (folder / "g.fa").write_text(fasta(genome_for(TRANSCRIPTS, length=13_000)))
    return Genome(folder / "g.fa", cache=folder)


def introns(transcripts=TRANSCRIPTS, *, starts=0, ends=0, strand="+-", contig="12", swap=False):
    """Introns of transcripts whose exon starts and ends are off, on some strands and contigs."""
    rows = []
    for tx in transcripts:
        off = tx.strand in strand and tx.contig in contig
        sign = (1 if tx.strand == "+" else -1) * (-1 if swap else 1)
        for left, right in tx.introns:
            rows.append(("12".index(tx.contig), left + ends * off, right + starts * off, sign))
    contigs, left, right, sign = (np.array(column) for column in zip(*rows, strict=True))
    return unique_introns(["1", "2"], contigs.astype(np.int32), left, right, sign.astype(np.int8))


def refusal(genome, found, **options):
    with pytest.raises(InputError) as caught:
        check(measure(genome, found), min_share=0.95, what="a.gtf with g.fa", **options)
    return str(caught.value)


def test_a_right_annotation_passes(genome):
    report = measure(genome, introns())
    assert report.introns == 48 * 3
    assert report.counts == {"GT-AG": 144, "GC-AG": 0, "AT-AC": 0, "other": 0}
    assert report.by_strand == {"+": 1.0, "-": 1.0}
    assert report.by_contig == {"1": (72, 1.0), "2": (72, 1.0)}
    assert {(s.starts, s.ends) for s in report.shifts.values()} == {(0, 0)}
    check(report, min_share=0.95, what="a.gtf")


def test_an_intron_of_many_transcripts_counts_once(genome):
    assert len(introns([*TRANSCRIPTS, *TRANSCRIPTS])) == len(introns())


@pytest.mark.parametrize("offset", [-3, -2, -1, 1, 2, 3])
def test_a_shift_is_refused_with_its_offset(genome, offset):
    message = refusal(genome, introns(starts=offset, ends=offset))
    assert message.startswith("a.gtf with g.fa: ")
    for strand in "+-":
        assert (
            f"strand {strand}: offset {offset:+d} (add {-offset:+d} to the coordinates and 100.0 % are GT-AG)"
            in message
        )
    assert "Likely cause: " in message


def test_causes_are_named(genome):
    assert "0-based" in refusal(genome, introns(starts=-1, ends=-1))
    assert "1 was added twice" in refusal(genome, introns(starts=1, ends=1))
    assert "lift-over" in refusal(genome, introns(starts=3, ends=3))


def test_starts_taken_from_bed_are_named(genome):
    message = refusal(genome, introns(starts=-1))
    assert "offset of exon starts -1, of exon ends +0 (add +1 to starts, +0 to ends and 100.0 % are GT-AG)" in message
    assert "BED" in message


def test_exons_that_reach_into_introns_are_named(genome):
    assert "first and last base of introns" in refusal(genome, introns(starts=-1, ends=1))


@pytest.mark.parametrize("strand", "+-")
def test_a_shift_of_one_strand_is_named_with_the_strand(genome, strand):
    message = refusal(genome, introns(starts=2, ends=2, strand=strand))
    assert f"off: strand {strand}: offset +2" in message
    assert message.count("offset") == 1
    assert "this one was not" in message


def test_shifts_in_transcript_direction_are_named_by_strand(genome):
    rows = introns(starts=1, ends=1, strand="+"), introns(starts=-1, ends=-1, strand="-")
    plus, minus = (found.sign == sign for found, sign in zip(rows, (1, -1), strict=True))
    mixed = unique_introns(
        ["1", "2"],
        *(
            np.concatenate([getattr(rows[0], name)[plus], getattr(rows[1], name)[minus]])
            for name in ("contig", "left", "right", "sign")
        ),
    )
    message = refusal(genome, mixed)
    assert "strand +: offset +1" in message
    assert "strand -: offset -1" in message
    assert "more or less often than needed" in message


def test_swapped_strands_are_named(genome):
    assert "strands are swapped" in refusal(genome, introns(swap=True))


def test_a_single_wrong_contig_is_named(genome):
    report = measure(genome, introns(starts=70, ends=70, contig="2"))
    assert odd_contigs(report) == ["2"]
    message = refusal(genome, introns(starts=70, ends=70, contig="2"))
    assert "Only some contigs are off: 2 " in message
    assert "contig_aliases" in message


def test_another_build_is_suspected_where_nothing_helps(genome):
    found = introns(starts=70, ends=70)
    message = refusal(genome, found, conflicts=["1"])
    assert "No shift of up to 3 bases puts it right. The lengths of 1 differ" in message
    assert "different builds" in message


def test_unusual_introns_are_no_shift(genome):
    few = unique_introns(["1"], np.zeros(8, np.int32), np.arange(50, 58), np.arange(90, 98), np.ones(8, np.int8))
    right = introns()
    both = unique_introns(
        ["1", "2"],
        *(np.concatenate([getattr(right, name), getattr(few, name)]) for name in ("contig", "left", "right", "sign")),
    )
    assert "unusual introns" in refusal(genome, both)


def test_nothing_to_look_at_is_refused(genome):
    none = unique_introns(["1"], *(np.zeros(0, np.int64) for _ in range(4)))
    assert "not one intron" in refusal(genome, none)


def test_unknown_bases_are_left_out_of_the_share(tmp_path):
    (tmp_path / "g.fa").write_text(">1\nAAGTAAAAAGAANNAAAAAGAAGTAAAAAGAA\n")
    starts, ends = np.array([3, 13, 23]), np.array([10, 20, 30])
    found = unique_introns(["1"], np.zeros(3, np.int32), starts, ends, np.ones(3, np.int8))
    report = measure(Genome(tmp_path / "g.fa", cache=tmp_path), found)
    assert (report.introns, report.unknown, report.share) == (2, 1, 1.0)


@pytest.mark.parametrize(
    ("first", "last", "name"), [("GC", "AG", "GC-AG"), ("AT", "AC", "AT-AC"), ("CT", "AC", "other")]
)
def test_other_motifs_are_counted_in_transcript_direction(tmp_path, first, last, name):
    complement = str.maketrans("ACGT", "TGCA")
    intron = f"{first}AAAA{last}"
    (tmp_path / "g.fa").write_text(f">1\nTT{intron}TT{intron[::-1].translate(complement)}TT\n")
    found = unique_introns(
        ["1"], np.zeros(2, np.int32), np.array([3, 13]), np.array([10, 20]), np.array([1, -1], np.int8)
    )
    counts = measure(Genome(tmp_path / "g.fa", cache=tmp_path), found).counts
    assert counts[name] == 2


def test_where_pieces_of_the_genome_end_changes_nothing(genome, monkeypatch):
    whole = measure(genome, introns())
    monkeypatch.setattr(motif, "_WINDOW", 7)
    assert measure(genome, introns()) == whole
