from __future__ import annotations

import math
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.voxel.settings import VoxelInputSettings, VoxelPlanSettings
from trainyard.voxel.splits import (
    check_disjoint,
    draw_splits,
    leakage_report,
    read_groups,
    read_list,
    shares,
    split_lists,
)
from trainyard.yard.errors import ConfigError, InputError, LeakageError

SHARES = {"seed": 42, "train_share": 0.8, "val_share": 0.1}
IDS = st.sets(st.from_regex(r"[1-9][a-z][a-z][a-z][ABab]0[0-2]", fullmatch=True), max_size=30)


def test_lists_may_have_comments_blank_lines_crlf_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "train.txt"
    path.write_bytes(b"\xef\xbb\xbf# train\r\n 12asA00 \r\n\r\n5gaeN01 # large\r\n5gaea00")
    assert read_list(path) == ["12asA00", "5gaeN01", "5gaea00"]


def test_an_empty_list_is_empty(tmp_path):
    path = tmp_path / "test.txt"
    path.write_text("# none\n")
    assert read_list(path) == []


def test_a_domain_listed_twice_is_refused_with_its_lines(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("a\nb\na\n")
    with pytest.raises(InputError, match="domain a stands in lines 1 and 3"):
        read_list(path)


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.mkdir(), lambda p: p.write_bytes(b"\xff\xfe")])
def test_a_list_that_cannot_be_read_is_refused(tmp_path, make):
    make(tmp_path / "list")
    with pytest.raises(InputError, match="list: "):
        read_list(tmp_path / "list")


def test_a_domain_in_two_lists_is_leakage():
    with pytest.raises(LeakageError, match=r"1 domains .*: b in train and test") as caught:
        check_disjoint({"train": ["a", "b"], "val": ["c"], "test": ["b"]})
    assert caught.value.exit_code == 4


def test_domains_share_an_entry_or_even_a_chain():
    shared = shares(["12asA00", "5gaea00"], ["12asA01", "12asB00", "5gaeA00", "1abcA00"])
    assert shared.pdb == ["12asA01", "12asB00", "5gaeA00"]
    assert shared.chain == ["12asA01"]


def test_sharing_is_reported_or_refused():
    lists = {"train": ["12asA00"], "val": ["12asA01", "1abcA00"], "test": ["12asB00"]}
    report = leakage_report(lists, policy="report")
    assert report["val"] == {
        "domains": 2,
        "same_pdb": 1,
        "same_chain": 1,
        "domains_same_pdb": ["12asA01"],
        "domains_same_chain": ["12asA01"],
    }
    assert (report["test"]["same_pdb"], report["test"]["same_chain"]) == (1, 0)
    with pytest.raises(LeakageError, match=r"1 val and 1 test domains .* \(1 and 0 even the chain\)") as caught:
        leakage_report(lists, policy="error")
    assert caught.value.exit_code == 4


def test_nothing_shared_passes_the_strict_policy():
    assert leakage_report({"train": ["1abcA00"], "val": ["2abcA00"]}, policy="error")["val"]["same_pdb"] == 0


@given(IDS, IDS)
@pytest.mark.parametrize("rule", ["pdb", "chain"])
def test_new_domains_never_move_old_ones(rule, old, new):
    before, after = draw_splits(old, rule, **SHARES), draw_splits(old | new, rule, **SHARES)
    assert all(set(before[split]) <= set(after[split]) for split in before)


@given(IDS)
def test_drawn_by_entry_nothing_is_shared(domains):
    lists = draw_splits(domains, "pdb", **SHARES)
    assert sorted(chain.from_iterable(lists.values())) == sorted(domains)
    leakage_report(lists, policy="error")


@given(IDS)
def test_drawn_by_chain_no_chain_is_shared(domains):
    report = leakage_report(draw_splits(domains, "chain", **SHARES), policy="report")
    assert report["val"]["same_chain"] == report["test"]["same_chain"] == 0


def test_shares_of_groups_hold_to_within_binomial_error():
    n = 4000
    lists = draw_splits([f"{i}" for i in range(n)], "table", table={f"{i}": f"g{i}" for i in range(n)}, **SHARES)
    for split, share in (("train", 0.8), ("val", 0.1), ("test", 0.1)):
        assert len(lists[split]) == pytest.approx(share * n, abs=4 * math.sqrt(n * share * (1 - share)))


def test_domains_of_one_group_of_the_table_stand_together():
    domains = [f"d{i}" for i in range(60)]
    table = {domain: f"family {i % 7}" for i, domain in enumerate(domains)}
    lists = draw_splits(domains, "table", table=table, **SHARES)
    for family in set(table.values()):
        assert sum(any(table[d] == family for d in found) for found in lists.values()) == 1


def test_a_domain_without_group_is_refused():
    with pytest.raises(InputError, match="lacks 1 of 2 domains, among them b"):
        draw_splits(["a", "b"], "table", table={"a": "x"}, **SHARES)


def test_another_seed_draws_other_splits():
    domains = [f"d{i}" for i in range(100)]
    assert draw_splits(domains, "pdb", **SHARES) != draw_splits(domains, "pdb", **{**SHARES, "seed": 43})


@pytest.mark.parametrize(("text", "message"), [("a,x\na,y\n", "groups x and y"), ("a,\n", "empty group")])
def test_group_tables_that_contradict_themselves_are_refused(tmp_path, text, message):
    path = tmp_path / "groups.csv"
    path.write_text(f"domain_id,group\n{text}")
    with pytest.raises(InputError, match=message):
        read_groups(path)


def test_the_settings_say_where_the_splits_come_from(tmp_path):
    for split, text in (("train", "12asA00\n"), ("val", "1abcA00\n"), ("groups", "domain_id,group\na,1\nb,1\n")):
        (tmp_path / split).write_text(text)
    inputs = VoxelInputSettings(train_split_file=tmp_path / "train", val_split_file=tmp_path / "val")
    lists = split_lists(["ignored"], inputs, VoxelPlanSettings())
    assert lists == {"train": ["12asA00"], "val": ["1abcA00"], "test": []}
    drawn = split_lists(["a", "b"], inputs, VoxelPlanSettings(split_rule="table", group_table=tmp_path / "groups"))
    assert ["a", "b"] in drawn.values()
    with pytest.raises(ConfigError, match="train_split_file"):
        split_lists([], VoxelInputSettings(), VoxelPlanSettings())


def test_lists_that_overlap_are_leakage(tmp_path):
    for split in ("train", "val"):
        (tmp_path / split).write_text("12asA00\n")
    inputs = VoxelInputSettings(train_split_file=tmp_path / "train", val_split_file=tmp_path / "val")
    with pytest.raises(LeakageError, match="12asA00 in train and val"):
        split_lists([], inputs, VoxelPlanSettings())
