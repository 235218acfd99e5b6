from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_scores import small_reference, transcript

from trainyard.splice.offset import RADIUS, OffsetReport, check, offset_gate, peak_offsets
from trainyard.splice.reasons import Reason
from trainyard.splice.scorestore import Entry, ScoreStore, score_key
from trainyard.yard.errors import InputError
from trainyard.yard.files import read_json
from workflow_scripts.splice_offset_gate import main as offset_gate_command

LENGTH = 1000
DONORS, ACCEPTORS = np.arange(50, 950, 45), np.arange(70, 950, 45)


def peaks(at, height=0.9):
    """A track with a peak and its flanks at some places."""
    track = np.full(LENGTH, 0.001, np.float32)
    for t in at:
        track[t - 1 : t + 2] = 0.1
    track[at] = height
    return track


def report(*, donor=(0, 0), acceptor=(0, 0), height=0.9, n=20):
    """Peaks moved by so much from the sites, on the + and on the - strand, in transcript direction."""
    found = OffsetReport()
    for strand, move_donor, move_acceptor in (("+", donor[0], acceptor[0]), ("-", donor[1], acceptor[1])):
        sites = {"donor": DONORS[:n], "acceptor": ACCEPTORS[:n]}
        tracks = {
            "donor": peaks(sites["donor"] + move_donor, height),
            "acceptor": peaks(sites["acceptor"] + move_acceptor, height),
        }
        found.add(strand, tracks, sites)
    return found


@settings(deadline=None)
@given(st.integers(-RADIUS, RADIUS))
def test_the_offset_of_a_peak_counts_from_the_site_in_transcript_direction(offset):
    counts = peak_offsets(peaks(DONORS + offset), DONORS)
    assert counts.shape == (2 * RADIUS + 1,)
    assert counts[RADIUS + offset] == counts.sum() == len(DONORS)


def test_sites_at_the_ends_of_a_gene_are_looked_at_as_far_as_it_goes():
    track = np.zeros(8, np.float32)
    track[[0, 6]] = 0.8
    counts = peak_offsets(track, np.array([0, 7]))
    assert (counts[RADIUS], counts[RADIUS - 1]) == (1, 1)


def test_weak_sites_are_not_counted_and_a_tie_goes_to_the_site():
    track = peaks(DONORS, height=0.4)
    assert peak_offsets(track, DONORS).sum() == 0
    track[100:103] = 0.7
    assert peak_offsets(track, np.array([101]))[RADIUS] == 1
    assert peak_offsets(track, np.zeros(0, np.int32)).sum() == 0


def test_exact_peaks_pass():
    found = report()
    check(found, min_share=0.95, what="x")
    assert found.exact == 1
    assert found.share(("donor", "+")) == 1


@pytest.mark.parametrize(
    ("donor", "acceptor", "cause"),
    [
        # Coordinates one too low: peaks lie one base on along the genome, which is one back on the - strand.
        ((1, -1), (1, -1), r"all coordinates are -1 off: 0-based coordinates were written as 1-based ones"),
        ((-1, 1), (-1, 1), r"all coordinates are \+1 off: 1 was added to coordinates twice"),
        ((-3, 3), (-3, 3), r"all coordinates are \+3 off: annotation or genome were cut or moved"),
        ((-1, -1), (1, 1), "the annotation gives the bases next to the exons, not their ends"),
        ((2, 0), (2, 0), "converted wrongly, or is of another build"),
    ],
)
def test_shifted_annotations_are_named_with_their_offset(donor, acceptor, cause):
    with pytest.raises(InputError, match=cause) as error:
        check(report(donor=donor, acceptor=acceptor), min_share=0.95, what="genes.gtf with genome.fa")
    message = str(error.value)
    assert message.startswith("genes.gtf with genome.fa: the base model does not peak on the annotated sites: ")
    assert f"donors on strand +: 100.0 % of 20 peaks at offset {donor[0]:+d}" in message
    assert "splice.inputs.min_offset_share" in message


def test_a_one_sided_shift_names_the_side_that_is_off():
    with pytest.raises(InputError) as error:
        check(report(donor=(1, 0)), min_share=0.95, what="x")
    assert "donors on strand +" in str(error.value)
    assert "strand -" not in str(error.value)


def with_strays(found, strays):
    """Move the peaks of some donors of the + strand two bases on."""
    found.peaks["donor", "+"][RADIUS] -= strays
    found.peaks["donor", "+"][RADIUS + 2] += strays
    return found


def test_the_share_is_judged_per_type_and_strand_and_one_stray_is_always_allowed():
    check(with_strays(report(), 1), min_share=0.95, what="x")
    check(with_strays(report(n=5), 1), min_share=0.95, what="x")
    with pytest.raises(InputError, match=r"90.0 % of 20 peaks at the site .* many sites lie beside a stronger one"):
        check(with_strays(report(), 2), min_share=0.95, what="x")
    check(with_strays(report(), 2), min_share=0.9, what="x")


def test_too_few_sites_to_judge_pass():
    check(report(donor=(2, 2), n=4), min_share=0.95, what="x")
    check(OffsetReport(), min_share=0.95, what="x")


def test_a_model_that_recognises_next_to_nothing_is_refused():
    found = report(height=0.4)
    found.sites["donor", "+"] = 300
    with pytest.raises(InputError, match=r"recognises 0 of 360 annotated sites. Likely cause: .* different builds"):
        check(found, min_share=0.95, what="x")


EXON_ENDS = {"donor": np.array([39, 149, 259]), "acceptor": np.array([100, 220, 340])}


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    genes = [transcript(f"G{i}", 1 + 400 * i, "+-"[i % 2]) for i in range(4)]
    return small_reference(tmp_path_factory.mktemp("reference"), genes)


def stored(reference, folder, *, move=0):
    """Scores with peaks on the sites of each gene, or beside them; the last gene was not scored."""
    store = ScoreStore(folder)
    scores = np.zeros((2, 380), np.float32)
    scores[0, EXON_ENDS["donor"] + move] = scores[1, EXON_ENDS["acceptor"] + move] = 0.9
    key = score_key("model", "n_pad", np.zeros(1, np.uint8))
    entries = [Entry(f"G{i}", 380, key, store.put(key, scores), None) for i in range(3)]
    entries.append(Entry("G3", 380, None, None, Reason.NO_SCORES))
    store.write_index(folder / "index_00001.parquet", entries, model_id="model")
    return folder / "index_00001.parquet"


def test_the_gate_reads_sites_and_scores_and_writes_what_it_found(reference, tmp_path):
    stored(reference, tmp_path)
    found = offset_gate(reference, ScoreStore(tmp_path), tmp_path / "offset.json", min_share=0.95)
    assert found.genes == 3
    written = read_json(tmp_path / "offset.json")
    assert written["exact_share"] == 1
    assert written["min_offset_share"] == 0.95
    groups = {(group["site_type"], group["strand"]): group for group in written["groups"]}
    assert groups["donor", "+"]["sites"] == groups["donor", "+"]["peaks_by_offset"]["0"] == 6
    assert groups["acceptor", "-"]["sites"] == 3


def test_the_command_stops_a_shifted_build_and_leaves_the_numbers(reference, tmp_path, capsys):
    index, out = stored(reference, tmp_path / "good"), tmp_path / "offset.json"
    arguments = ["--reference", str(reference.folder), "--min-share", "0.95", "--out", str(out), "--index"]
    offset_gate_command([*arguments, str(index)])
    assert "3 genes, 100.0 % of well-scored sites" in capsys.readouterr().out
    index = stored(reference, tmp_path / "shifted", move=1)
    with pytest.raises(InputError, match=r"genes.gtf with .*genome.fa: .*at offset \+1"):
        offset_gate_command([*arguments, str(index)])
    assert read_json(out.with_name("offset_refused.json"))["groups"][0]["mode"] == 1
