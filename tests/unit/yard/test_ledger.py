"""Every item ends kept or rejected, and the sums say so."""

from __future__ import annotations

import json
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainyard.yard.errors import IntegrityError
from trainyard.yard.ledger import Ledger


class Reason(StrEnum):
    NO_DATA = "no_data"
    TOO_SHORT = "too_short"


FATES = st.lists(st.tuples(st.sampled_from(["star", "window"]), st.sampled_from([None, *Reason])), max_size=30)


def ledger_of(fates: list[tuple[str, Reason | None]], limit: int = 1000) -> Ledger:
    ledger = Ledger("transit", Reason, limit=limit)
    for number, (kind, reason) in enumerate(fates):
        ledger.expect(kind)
        if reason is None:
            ledger.keep(kind, number)
        else:
            ledger.reject(kind, number, reason, f"detail {number}")
    return ledger


@given(FATES)
def test_complete_ledgers_add_up(fates: list[tuple[str, Reason | None]]) -> None:
    ledger = ledger_of(fates)
    ledger.check()
    for kind in ("star", "window"):
        assert ledger.kept(kind) == fates.count((kind, None))
        assert ledger.rejected(kind) == sum(ledger.rejected(kind, reason) for reason in Reason)
        assert ledger.expected(kind) == sum(k == kind for k, _ in fates)


@given(FATES)
def test_ledger_survives_json(fates: list[tuple[str, Reason | None]]) -> None:
    data = ledger_of(fates).to_dict()
    assert Ledger.from_dict(json.loads(json.dumps(data)), Reason).to_dict() == data


@given(FATES, FATES)
def test_merged_counts_are_the_sums(
    first: list[tuple[str, Reason | None]], second: list[tuple[str, Reason | None]]
) -> None:
    parts = [ledger_of(first), ledger_of(second)]
    merged, swapped = Ledger.merge(parts), Ledger.merge(parts[::-1])
    merged.check()
    assert merged.to_dict() == swapped.to_dict()
    for kind in ("star", "window"):
        assert merged.expected(kind) == sum(part.expected(kind) for part in parts)
        assert merged.kept(kind) == sum(part.kept(kind) for part in parts)
        assert merged.rejected(kind) == sum(part.rejected(kind) for part in parts)
    assert len(merged.rejections) == sum(len(part.rejections) for part in parts)


@pytest.mark.parametrize("excess", [-1, 1])
def test_lost_and_doubled_items_are_found(excess: int) -> None:
    ledger = ledger_of([("star", None), ("star", Reason.NO_DATA)])
    ledger.expect("star", excess)
    with pytest.raises(IntegrityError, match=f"star: expected {2 + excess}, kept 1, rejected 1"):
        ledger.check()


def test_kind_that_nobody_expected_is_found() -> None:
    ledger = Ledger("transit", Reason)
    ledger.keep("window", 1)
    with pytest.raises(IntegrityError, match="window: expected 0, kept 1"):
        ledger.check()


def test_many_can_be_expected_and_kept_at_once() -> None:
    ledger = Ledger("transit", Reason)
    ledger.expect("window", 10)
    ledger.keep("window", "TIC 1", 9)
    ledger.reject("window", "TIC 1", Reason.TOO_SHORT)
    ledger.check()


def test_rejections_name_item_reason_and_detail() -> None:
    assert ledger_of([("star", None), ("star", Reason.NO_DATA)]).rejections == [
        {"kind": "star", "item": "1", "reason": "no_data", "detail": "detail 1"}
    ]


def test_limit_cuts_what_is_stored_and_never_what_is_counted() -> None:
    fates: list[tuple[str, Reason | None]] = [("star", Reason.NO_DATA)] * 5 + [("star", Reason.TOO_SHORT)]
    ledger = ledger_of(fates, limit=2)
    merged = Ledger.merge([ledger, ledger])
    assert [ledger.rejected("star"), len(ledger.rejections)] == [6, 3]
    assert [merged.rejected("star"), len(merged.rejections)] == [12, 4]
    assert Ledger.from_dict(ledger.to_dict(), Reason).rejected("star", Reason.NO_DATA) == 5


def test_reason_outside_the_closed_list_is_refused() -> None:
    with pytest.raises(ValueError, match="bad_luck"):
        Ledger("transit", Reason).reject("star", 1, "bad_luck")  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"kinds": None}, {"rejections": [{}]}, {"kinds": {"star": {"expected": 1}}}])
def test_broken_ledger_files_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(IntegrityError, match="not a ledger"):
        Ledger.from_dict(ledger_of([]).to_dict() | change, Reason)


def test_ledger_with_a_reason_of_another_version_is_refused() -> None:
    data = ledger_of([("star", Reason.NO_DATA)]).to_dict()
    data["kinds"]["star"]["rejected"] = {"bad_luck": 1}
    with pytest.raises(IntegrityError, match="bad_luck"):
        Ledger.from_dict(data, Reason)


def test_ledgers_of_different_lines_do_not_merge() -> None:
    with pytest.raises(ValueError, match="splice"):
        Ledger.merge([Ledger("transit", Reason), Ledger("splice", Reason)])
    with pytest.raises(ValueError, match="merge"):
        Ledger.merge([])
