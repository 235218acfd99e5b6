"""Contig names: matched where there is no doubt, otherwise one message that says what to set."""

from __future__ import annotations

import pytest

from trainyard.splice.contigs import check_placed, check_used, length_conflicts, match_contigs, suggest_aliases
from trainyard.yard.errors import ConfigError, InputError


def matched(annotation, genome, **aliases):
    return match_contigs(annotation, genome, aliases=aliases)


def test_equal_names_match():
    match = matched(["1", "X", "lost"], ["X", "1", "other"])
    assert match.names == {"1": "1", "X": "X"}
    assert match.how == {"1": "same", "X": "same"}


@pytest.mark.parametrize(
    ("annotation", "genome"), [(["chr1", "chrX"], ["1", "X"]), (["1", "X"], ["chr1", "chrX"]), (["Chr1"], ["chr1"])]
)
def test_the_chr_prefix_is_seen_through(annotation, genome):
    match = matched(annotation, genome)
    assert match.names == dict(zip(annotation, genome, strict=True))
    assert set(match.how.values()) == {"chr_prefix"}


@pytest.mark.parametrize(
    ("annotation", "genome"),
    [(["chr1", "1"], ["Chr1"]), (["1"], ["chr1", "Chr1"]), (["chr1", "1"], ["1", "Chr1", "CHR1"])],
)
def test_the_chr_prefix_is_left_alone_where_two_would_fit(annotation, genome):
    assert "chr_prefix" not in matched(annotation, genome).how.values()


def test_an_equal_name_is_not_taken_by_another_with_prefix():
    assert matched(["chr1", "1"], ["1"]).names == {"1": "1"}


def test_configured_aliases_come_first():
    match = matched(["chr1", "NC_1"], ["1", "one"], chr1="one", NC_1="1")
    assert match.names == {"chr1": "one", "NC_1": "1"}
    assert set(match.how.values()) == {"alias"}


def test_an_alias_to_nowhere_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match=r"contig_aliases: chr1 -> cr1: the FASTA has no cr1, did you mean chr1\?"):
        matched(["chr1"], ["chr1"], chr1="cr1")


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("NC_000001.11", "chr1"),
        ("NC_000023.10", "chrX"),
        ("NC_012920.1", "chrM"),
        ("MT", "chrM"),
        ("MtDNA", "chrM"),
        ("chromosome_7", "chr7"),
        ("Chr07", "chr7"),
        ("KI270706.1", "chr1_KI270706v1_random"),
        ("GL000195.1", "chrUn_GL000195v1"),
    ],
)
def test_known_spellings_are_suggested(name, alias):
    genome = dict.fromkeys(["chr1", "chr7", "chrX", "chrM", "chr1_KI270706v1_random", "chrUn_GL000195v1"], 9)
    assert suggest_aliases([name], genome, regions={}) == {name: alias}


def test_unique_lengths_suggest_too():
    genome = {"a": 100, "b": 200, "c": 300, "d": 300}
    regions = {"CM1": 200, "CM2": 300, "CM3": 12}
    assert suggest_aliases(["CM1", "CM2", "CM3"], genome, regions=regions) == {"CM1": "b"}


def refusal(genes, genome, *, off_end=0, regions=None):
    with pytest.raises(InputError) as caught:
        check_placed(
            genes, off_end, matched(list(genes), genome), genome, what="a.gtf with b.fa", regions=regions or {}
        )
    return str(caught.value)


def test_one_message_says_what_is_wrong_and_what_to_set():
    message = refusal({"NC_000001.11": 60, "NC_000002.12": 39, "1": 1}, {"1": 9, "2": 9})
    assert message.startswith("a.gtf with b.fa: 99 of 100 genes are on contigs that the FASTA lacks.")
    assert "set splice.inputs.contig_aliases: {NC_000001.11: '1', NC_000002.12: '2'}" in message


def test_without_a_suggestion_the_message_still_says_what_to_do():
    message = refusal({f"scaffold{i}": 1 for i in range(9)}, {"chrA": 5})
    assert "scaffold4, ... (9 in all); the FASTA has chrA" in message
    assert "splice.inputs.contig_aliases (annotation: FASTA)" in message
    assert "splice.inputs.contigs" in message


def test_genes_past_the_end_point_to_another_build():
    assert "different builds" in refusal({"1": 100}, {"1": 9}, off_end=30)


def test_a_few_lost_genes_are_no_reason_to_stop():
    genes = {"1": 90, "lost": 10}
    check_placed(genes, 5, matched(list(genes), ["1"]), {"1": 9}, what="", regions={})


def test_contigs_asked_for_must_exist_and_hold_something():
    genome = {"1": 9, "22": 9}
    match = matched(["NC_000022.11", "1"], genome)
    check_used(["1"], match, ["NC_000022.11", "1"], genome, what="a")
    check_used([], match, [], genome, what="a")
    with pytest.raises(ConfigError, match="the FASTA has no chr22, did you mean 22"):
        check_used(["chr22"], match, [], genome, what="a")
    with pytest.raises(InputError, match=r"nothing on 22 .* set splice.inputs.contig_aliases: \{NC_000022.11: '22'\}"):
        check_used(["22"], match, ["NC_000022.11", "1"], genome, what="a")


def test_other_lengths_than_stated_are_noticed():
    genome = {"1": 100, "2": 200}
    assert length_conflicts(matched(["chr1", "chr2"], genome), genome, {"chr1": 100, "chr2": 201, "chr3": 5}) == ["2"]
