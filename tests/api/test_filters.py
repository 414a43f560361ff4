# SPDX-License-Identifier: Apache-2.0
"""Choosing from the list of exports, which comes in any order."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.filters import LATEST_PER, Selection, latest_of_each
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.survey import Match

NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
UUIDS = [f"6ba7b810-9dad-41d1-80b4-00c04fd4{number:04x}" for number in range(9)]


def export(number: int, hours: float = 0, **fields: Any) -> Export:
    """A finished export, made some hours after noon, which took ten minutes."""
    made = NOON + timedelta(hours=hours)
    defaults = {"status": "finished", "created_at": made, "finished_at": made + timedelta(minutes=10)}
    return Export(id=f"{number:024x}", **{**defaults, **fields})


def numbers(exports: Any) -> list[int]:
    return [int(each.id, 16) for each in exports]


def named(number: int, name: str, hours: float = 0, **fields: Any) -> Export:
    return export(number, hours, file_name=f"{name}-20261101-20261107-{UUIDS[number]}.zip", **fields)


class TestStatus:
    def test_the_finished_ones_are_meant_unless_something_else_is_said(self):
        statuses = ["queued", "inProgress", "finished", "error", "archiving"]
        exports = [export(number, status=status) for number, status in enumerate(statuses)]
        assert numbers(Selection().choose(exports)) == [2]
        assert numbers(Selection(status="error").choose(exports)) == [3]
        assert numbers(Selection(status=None).choose(exports)) == [0, 1, 2, 3, 4]

    def test_its_case_is_no_matter(self):
        assert numbers(Selection(status="Finished").choose([export(1, status="FINISHED")])) == [1]


class TestMoments:
    def test_finished_after_counts_from_the_finishing_and_leaves_out_the_moment_itself(self):
        exports = [export(1, -1, finished_at=NOON), export(2, -1, finished_at=NOON + timedelta(milliseconds=1))]
        assert numbers(Selection(finished_after=NOON).choose(exports)) == [2]

    def test_created_after_counts_from_the_creation(self):
        exports = [export(1, -0.1), export(2, 0), export(3, 0.1)]
        assert numbers(Selection(Match(created_after=NOON)).choose(exports)) == [3]

    def test_a_finished_export_without_a_finishing_moment_counts_from_its_creation(self):
        exports = [export(1, 1, finished_at=None), export(2, -1, finished_at=None)]
        assert numbers(Selection(finished_after=NOON).choose(exports)) == [1]

    def test_one_that_is_not_finished_has_not_finished_after_anything(self):
        running = export(1, 1, finished_at=None, status="inProgress")
        assert Selection(status=None, finished_after=NOON).choose([running]) == []

    def test_one_without_any_moment_is_after_nothing(self):
        timeless = export(1, created_at=None, finished_at=None)
        assert Selection(finished_after=NOON).choose([timeless]) == []
        assert numbers(Selection().choose([timeless])) == [1]

    @pytest.mark.parametrize(
        "moment", ["2026-11-25T12:00:00Z", "2026-11-25 13:00:00+01:00", NOON, NOON.astimezone(timezone.max)]
    )
    def test_is_taken_in_every_form_that_has_a_zone(self, moment):
        assert Selection.of({}, finished_after=moment).finished_after == NOON

    @pytest.mark.parametrize("moment", ["2026-11-25T12:00:00", "2026-11-25", NOON.replace(tzinfo=None)])
    def test_without_a_zone_is_refused_with_what_would_be_right(self, moment):
        right = r"finished_after: .* names no time zone; write a date-time with a zone, such as '2026-11-01T00:00:00\+"
        with pytest.raises(InvalidArgument, match=right):
            Selection.of({}, finished_after=moment)


class TestOrder:
    def test_is_that_of_creation_whatever_the_lists(self):
        exports = [export(1, 3), export(2, 1), export(3, 2), export(4, 1)]
        for order in itertools.permutations(exports):
            assert numbers(Selection().choose(order)) == [2, 4, 3, 1]


class TestTheLatestOfEach:
    def test_report(self):
        filters = [{"reportId": "a"}, {"reportId": "ab"}, {"reportId": "a"}]
        exports = [export(number, number, filters=each) for number, each in enumerate(filters)]
        for order in itertools.permutations(exports):
            assert numbers(Selection(latest_per="report_id").choose(order)) == [1, 2]

    def test_type(self):
        types = ["contacts", "activities", "contacts"]
        exports = [export(number, number, export_type=each) for number, each in enumerate(types)]
        assert numbers(Selection(latest_per="export_type").choose(exports)) == [1, 2]

    def test_file_name_is_that_of_each_whole_name(self):
        exports = [
            named(0, "V! Carrito", 0),
            named(1, "V! Carrito abandonado", 1),
            named(2, "v! carrito", 2),
            named(3, "Carrito", 3),
            named(4, "V! Carrito-20261101", 4),
        ]
        for order in itertools.permutations(exports):
            assert numbers(Selection(latest_per="file_name").choose(order)) == [1, 2, 3, 4]

    def test_file_name_forgets_dates_identifier_and_extension_in_every_form(self):
        names = [
            f"purchases-20230326-20230425-{UUIDS[1]}.zip",
            f"Purchases-{UUIDS[2]}.csv.gz",
            "purchases-20230326-20230425",
            f"purchases-20230326-{UUIDS[4]}",
        ]
        exports = [export(number, number, file_name=name) for number, name in enumerate(names)]
        assert numbers(Selection(latest_per="file_name").choose(exports)) == [3]

    def test_file_name_forgets_an_extension_that_the_api_tells_by_itself(self):
        first = export(1, 1, file_name="purchases-20230326.xlsx", file_extension="xlsx")
        assert numbers(Selection(latest_per="file_name").choose([first, export(2, 2, file_name="purchases")])) == [2]

    def test_file_name_keeps_numbers_that_are_no_dates(self):
        names = [f"order-12345678-{UUIDS[0]}.zip", f"order-87654321-{UUIDS[1]}.zip", "top-20261399"]
        exports = [export(number, number, file_name=name) for number, name in enumerate(names)]
        assert numbers(Selection(latest_per="file_name").choose(exports)) == [0, 1, 2]

    @pytest.mark.parametrize("per", LATEST_PER)
    def test_keeps_apart_what_has_none(self, per):
        exports = [export(number, number) for number in range(3)]
        assert numbers(Selection(latest_per=per).choose(exports)) == [0, 1, 2]

    def test_is_of_those_that_fit_so_that_a_newer_one_that_failed_or_runs_takes_no_place(self):
        exports = [named(0, "sales"), named(1, "sales", 1, status="error"), named(2, "sales", 2, status="inProgress")]
        assert numbers(Selection(latest_per="file_name").choose(exports)) == [0]
        assert numbers(Selection(latest_per="file_name", status=None).choose(exports)) == [2]

    def test_is_by_creation_not_by_finishing(self):
        early, late = named(1, "sales", 0, finished_at=NOON + timedelta(hours=9)), named(2, "sales", 1)
        assert numbers(Selection(latest_per="file_name").choose([early, late])) == [2]

    def test_holds_no_more_than_it_gives(self):
        alive: set[int] = set()

        class Counted(Export):
            def __del__(self) -> None:
                alive.discard(id(self))

        most = 0

        def listed() -> Iterator[Export]:
            nonlocal most
            for number in range(1000):
                made = NOON + timedelta(minutes=number)
                report = {"reportId": str(number % 7)}
                each = Counted(id=str(number), status="finished", created_at=made, filters=report)
                alive.add(id(each))
                most = max(most, len(alive))
                yield each

        assert len(list(latest_of_each(listed(), "report_id"))) == 7
        assert most <= 7 + 3
