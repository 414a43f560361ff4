# SPDX-License-Identifier: Apache-2.0
"""Which exports are new: out of order, several in one millisecond, late, and going only by the vendor's clock."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.cursor import MAX_IDS, Cursor

BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)


def done(name: str, seconds: float | None = 0.0, **fields: object) -> Export:
    finished_at = None if seconds is None else BEGIN + timedelta(seconds=seconds)
    return Export(name, "finished", finished_at=finished_at, **fields)  # type: ignore[arg-type]


def failed(name: str, created: float, ended: float | None = None, status: str = "error") -> Export:
    created_at = BEGIN + timedelta(seconds=created)
    return Export(name, status, created_at=created_at, finished_at=ended and BEGIN + timedelta(seconds=ended))


def ids(exports: list[Export]) -> list[str]:
    return [export.id for export in exports]


def stored(cursor: Cursor) -> Cursor:
    """Return the cursor as it is read back from a store."""
    return Cursor.from_json(json.loads(json.dumps(cursor.to_json())))


class TestNewExports:
    def test_are_not_those_that_finished_before_the_start(self):
        assert Cursor.start([done("a"), done("b", 5)]).new_exports([done("b", 5), done("a")]) == []

    def test_are_all_exports_if_there_were_none_at_the_start(self):
        assert ids(Cursor.start([]).new_exports([done("b", 5), done("a")])) == ["a", "b"]

    def test_are_new_once(self):
        cursor = Cursor.start([])
        listed = [done("a"), done("b", 5)]
        assert stored(cursor.advance(listed)).new_exports(listed) == []

    def test_are_distinguished_within_one_millisecond(self):
        cursor = Cursor.start([done("a", 1.001)])
        assert ids(stored(cursor).new_exports([done("a", 1.001), done("b", 1.001), done("c", 1.001)])) == [
            "b",
            "c",
        ]

    def test_are_in_the_order_of_their_finishing_times(self):
        listed = [done(str(second), second) for second in range(50)]
        random.Random(1).shuffle(listed)
        assert ids(Cursor.start([]).new_exports(listed)) == [str(second) for second in range(50)]

    def test_may_have_finished_before_others_that_have_been_seen(self):
        cursor = Cursor.start([]).advance([done("later", 3600)])
        assert ids(stored(cursor).new_exports([done("later", 3600), done("skipped", 10)])) == ["skipped"]

    def test_are_not_affected_by_a_finishing_time_in_the_far_future(self):
        cursor = Cursor.start([]).advance([done("crazy", 1e9)])
        for second in range(3):
            new = [done(str(second), second)]
            assert ids(cursor.new_exports(new)) == [str(second)]
            cursor = stored(cursor.advance(new))

    def test_may_have_no_finishing_time(self):
        cursor = Cursor.start([done("old", None)])
        listed = [done("old", None), done("new", None), done("dated", 1)]
        assert ids(cursor.new_exports(listed)) == ["dated", "new"]
        assert stored(cursor.advance(listed)).new_exports(listed) == []

    def test_are_not_repeated_if_the_list_repeats_them(self):
        assert ids(Cursor.start([]).new_exports([done("a"), done("a")])) == ["a"]

    def test_are_distinguished_to_the_microsecond(self):
        cursor = Cursor.start([done("a", 1.000001)], max_ids=0)
        assert ids(stored(cursor).new_exports([done("a", 1.000001), done("b", 1.000002)])) == ["b"]


class TestFailedExports:
    """It is not known whether the API reports when an export failed."""

    def test_are_in_the_order_in_which_they_failed(self):
        listed = [failed("late", 1, 9), failed("early", 2, 3)]
        assert ids(Cursor.start([]).new_exports(listed)) == ["early", "late"]

    def test_count_as_ended_when_they_were_created_if_no_time_is_reported(self):
        listed = [failed("b", 2), failed("d", 1, 4), failed("a", 1), failed("c", 3)]
        assert ids(Cursor.start([]).new_exports(listed)) == ["a", "b", "c", "d"]

    def test_are_new_although_exports_created_later_failed_before(self):
        cursor = Cursor.start([failed("later", 3600)])
        assert ids(stored(cursor).new_exports([failed("later", 3600), failed("slow", 0)])) == ["slow"]

    def test_are_limited_in_the_cursor_without_a_time_too(self):
        listed = [failed(f"{number:024x}", number, status="cancelled") for number in range(3 * MAX_IDS)]
        cursor = stored(Cursor.start(listed))
        assert len(cursor.seen) == MAX_IDS
        assert len(json.dumps(cursor.to_json())) < 65535
        assert cursor.new_exports(listed) == []
        assert ids(cursor.new_exports([*listed, failed("new", 3 * MAX_IDS)])) == ["new"]

    def test_are_new_once_if_the_time_is_reported_later_or_no_longer(self):
        cursor = Cursor.start([]).advance([failed("a", 1), failed("b", 1, 5)])
        assert cursor.new_exports([failed("a", 1, 9), failed("b", 1)]) == []
        cursor = stored(cursor.advance([failed("a", 1, 9), failed("b", 1)]))
        assert cursor.new_exports([failed("a", 1), failed("b", 1, 5)]) == []

    def test_without_any_time_are_remembered_while_they_are_listed(self):
        cursor = Cursor.start([Export("a", "error")])
        assert ids(stored(cursor).new_exports([Export("a", "error"), Export("b", "error")])) == ["b"]


class TestRememberedIds:
    def test_are_limited(self):
        cursor = Cursor.start([done(str(second), second) for second in range(10)], max_ids=4)
        assert set(cursor.seen) == {"6", "7", "8", "9"}
        assert cursor.floor == BEGIN + timedelta(seconds=5)

    def test_are_limited_even_if_many_exports_finish_at_the_same_time(self):
        cursor = Cursor.start([done(str(number), 1.0) for number in range(10)], max_ids=4)
        assert cursor.seen == {}
        assert ids(cursor.new_exports([done("0", 1.0), done("new", 1.001)])) == ["new"]

    def test_are_not_needed_for_exports_that_finished_before_them(self):
        cursor = stored(Cursor.start([done(str(second), second) for second in range(10)], max_ids=4))
        assert ids(cursor.new_exports([done("late", 5), done("not so late", 5.5)])) == ["not so late"]

    def test_that_are_forgotten_do_not_become_new_again(self):
        listed = [done(str(second), second) for second in range(10)]
        assert Cursor.start(listed, max_ids=4).new_exports(listed) == []

    def test_do_not_limit_a_burst_of_new_exports(self):
        cursor = Cursor.start([done("first", 0)], max_ids=4)
        burst = [done(str(second), second) for second in range(1, 30)]
        assert len(cursor.new_exports(burst)) == 29

    def test_include_exports_that_the_list_left_out_once(self):
        cursor = Cursor.start([done("a", 1), done("b", 2)]).advance([done("b", 2)])
        assert cursor.new_exports([done("a", 1), done("b", 2)]) == []

    def test_exclude_undated_exports_that_are_no_longer_listed(self):
        assert Cursor.start([done("a", None)]).advance([done("b", 1)]).seen == {"b": BEGIN + timedelta(seconds=1)}

    def test_fit_into_the_size_that_airflow_advises_for_a_value(self):
        exports = [done(f"{number:024x}", number + 0.001) for number in range(3 * MAX_IDS)]
        assert len(json.dumps(Cursor.start(exports).to_json())) < 65535


@given(st.lists(st.lists(st.integers(0, 6), max_size=8), max_size=8), st.integers(0, 1000))
def test_each_export_is_new_once_whatever_the_order_of_finishing(batches, seed):
    """Rounds of exports with few different finishing times, which remain listed after their round."""
    chance = random.Random(seed)
    listed: list[Export] = []
    new: list[str] = []
    cursor = Cursor.start([])
    for batch in batches:
        listed += [done(str(len(listed) + number), second) for number, second in enumerate(batch)]
        chance.shuffle(listed)
        new += ids(cursor.new_exports(listed))
        cursor = stored(cursor.advance(listed))
    assert sorted(new) == sorted(export.id for export in listed)


@pytest.mark.parametrize("body", [None, [], {}, {"floor": None}, {"floor": "x", "seen": {}}, {"floor": 3, "seen": {}}])
def test_anything_but_a_cursor_is_rejected(body):
    with pytest.raises(ValueError, match=r"not a cursor|not a timestamp"):
        Cursor.from_json(body)
