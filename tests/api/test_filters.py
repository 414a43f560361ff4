# SPDX-License-Identifier: Apache-2.0
"""Selecting exports from the list, which may be in any order."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.filters import LATEST_PER, ExportFilter, latest_of_each, select
from airflow_provider_connectif.api.models import FINISHED, Export

FINISHED_EXPORTS = ExportFilter(status=FINISHED)
NOON = datetime(2026, 11, 25, 12, tzinfo=timezone.utc)
UUIDS = [f"6ba7b810-9dad-41d1-80b4-00c04fd4{number:04x}" for number in range(9)]


def export(number: int, hours: float = 0, **fields: Any) -> Export:
    """Return a finished export that was created some hours after noon and took ten minutes."""
    created = NOON + timedelta(hours=hours)
    defaults = {"status": "finished", "created_at": created, "finished_at": created + timedelta(minutes=10)}
    return Export(id=f"{number:024x}", **{**defaults, **fields})


def numbers(exports: Any) -> list[int]:
    return [int(each.id, 16) for each in exports]


def named(number: int, name: str, hours: float = 0, **fields: Any) -> Export:
    return export(number, hours, file_name=f"{name}-20261101-20261107-{UUIDS[number]}.zip", **fields)


class TestStatus:
    def test_is_compared_if_it_is_given(self):
        statuses = ["queued", "inProgress", "finished", "error", "archiving"]
        exports = [export(number, status=status) for number, status in enumerate(statuses)]
        assert numbers(select(exports, FINISHED_EXPORTS)) == [2]
        assert numbers(select(exports, ExportFilter(status="error"))) == [3]
        assert numbers(select(exports, ExportFilter())) == [0, 1, 2, 3, 4]

    def test_is_compared_ignoring_case(self):
        assert numbers(select([export(1, status="FINISHED")], ExportFilter(status="Finished"))) == [1]


class TestTimes:
    def test_finished_after_is_exclusive(self):
        exports = [export(1, -1, finished_at=NOON), export(2, -1, finished_at=NOON + timedelta(milliseconds=1))]
        assert numbers(select(exports, ExportFilter(finished_after=NOON, status=FINISHED))) == [2]

    def test_created_after_is_exclusive(self):
        exports = [export(1, -0.1), export(2, 0), export(3, 0.1)]
        assert numbers(select(exports, ExportFilter(created_after=NOON, status=FINISHED))) == [3]

    def test_a_finished_export_without_finished_at_uses_created_at(self):
        exports = [export(1, 1, finished_at=None), export(2, -1, finished_at=None)]
        assert numbers(select(exports, ExportFilter(finished_after=NOON, status=FINISHED))) == [1]

    def test_an_unfinished_export_does_not_match_finished_after(self):
        running = export(1, 1, finished_at=None, status="inProgress")
        assert select([running], ExportFilter(finished_after=NOON)) == []

    def test_an_export_without_times_does_not_match_finished_after(self):
        without_times = export(1, created_at=None, finished_at=None)
        assert select([without_times], ExportFilter(finished_after=NOON, status=FINISHED)) == []
        assert numbers(select([without_times], FINISHED_EXPORTS)) == [1]

    @pytest.mark.parametrize(
        "value", ["2026-11-25T12:00:00Z", "2026-11-25 13:00:00+01:00", NOON, NOON.astimezone(timezone.max)]
    )
    def test_may_have_every_form_with_a_time_zone(self, value):
        assert ExportFilter.from_arguments({"finished_after": value}).finished_after == NOON

    @pytest.mark.parametrize("value", ["2026-11-25T12:00:00", "2026-11-25", NOON.replace(tzinfo=None)])
    def test_without_a_time_zone_raise_an_error_with_a_remedy(self, value):
        message = (
            r"finished_after: .* has no time zone; use a date-time with a time zone, such as '2026-11-01T00:00:00\+"
        )
        with pytest.raises(InvalidArgument, match=message):
            ExportFilter.from_arguments({"finished_after": value})


class TestOrder:
    def test_is_that_of_creation_whatever_the_order_of_the_list(self):
        exports = [export(1, 3), export(2, 1), export(3, 2), export(4, 1)]
        for order in itertools.permutations(exports):
            assert numbers(select(order, FINISHED_EXPORTS)) == [2, 4, 3, 1]


class TestLatestOfEach:
    def test_report(self):
        filters = [{"reportId": "a"}, {"reportId": "ab"}, {"reportId": "a"}]
        exports = [export(number, number, filters=each) for number, each in enumerate(filters)]
        for order in itertools.permutations(exports):
            assert numbers(select(order, FINISHED_EXPORTS, latest_per="report_id")) == [1, 2]

    def test_type(self):
        types = ["contacts", "activities", "contacts"]
        exports = [export(number, number, export_type=each) for number, each in enumerate(types)]
        assert numbers(select(exports, FINISHED_EXPORTS, latest_per="export_type")) == [1, 2]

    def test_file_name_compares_whole_titles(self):
        exports = [
            named(0, "V! Carrito", 0),
            named(1, "V! Carrito abandonado", 1),
            named(2, "v! carrito", 2),
            named(3, "Carrito", 3),
            named(4, "V! Carrito-20261101", 4),
        ]
        for order in itertools.permutations(exports):
            assert numbers(select(order, FINISHED_EXPORTS, latest_per="file_name")) == [1, 2, 3, 4]

    def test_file_name_ignores_dates_identifier_and_extension_in_every_form(self):
        names = [
            f"purchases-20230326-20230425-{UUIDS[1]}.zip",
            f"Purchases-{UUIDS[2]}.csv.gz",
            "purchases-20230326-20230425",
            f"purchases-20230326-{UUIDS[4]}",
        ]
        exports = [export(number, number, file_name=name) for number, name in enumerate(names)]
        assert numbers(select(exports, FINISHED_EXPORTS, latest_per="file_name")) == [3]

    def test_file_name_ignores_an_extension_that_the_api_reports_separately(self):
        first = export(1, 1, file_name="purchases-20230326.xlsx", file_extension="xlsx")
        assert numbers(
            select([first, export(2, 2, file_name="purchases")], FINISHED_EXPORTS, latest_per="file_name")
        ) == [2]

    def test_file_name_keeps_numbers_that_are_not_dates(self):
        names = [f"order-12345678-{UUIDS[0]}.zip", f"order-87654321-{UUIDS[1]}.zip", "top-20261399"]
        exports = [export(number, number, file_name=name) for number, name in enumerate(names)]
        assert numbers(select(exports, FINISHED_EXPORTS, latest_per="file_name")) == [0, 1, 2]

    @pytest.mark.parametrize("per", LATEST_PER)
    def test_keeps_all_exports_without_the_field(self, per):
        exports = [export(number, number) for number in range(3)]
        assert numbers(select(exports, FINISHED_EXPORTS, latest_per=per)) == [0, 1, 2]

    def test_considers_only_matching_exports(self):
        exports = [named(0, "sales"), named(1, "sales", 1, status="error"), named(2, "sales", 2, status="inProgress")]
        assert numbers(select(exports, FINISHED_EXPORTS, latest_per="file_name")) == [0]
        assert numbers(select(exports, ExportFilter(), latest_per="file_name")) == [2]

    def test_is_the_one_created_last_not_the_one_finished_last(self):
        early, late = named(1, "sales", 0, finished_at=NOON + timedelta(hours=9)), named(2, "sales", 1)
        assert numbers(select([early, late], FINISHED_EXPORTS, latest_per="file_name")) == [2]

    def test_keeps_no_more_exports_in_memory_than_it_yields(self):
        alive: set[int] = set()

        class Counted(Export):
            def __del__(self) -> None:
                alive.discard(id(self))

        maximum = 0

        def listed() -> Iterator[Export]:
            nonlocal maximum
            for number in range(1000):
                created = NOON + timedelta(minutes=number)
                report = {"reportId": str(number % 7)}
                each = Counted(id=str(number), status="finished", created_at=created, filters=report)
                alive.add(id(each))
                maximum = max(maximum, len(alive))
                yield each

        assert len(list(latest_of_each(listed(), "report_id"))) == 7
        assert maximum <= 7 + 3


class TestExportFilter:
    def test_without_fields_matches_any_export(self):
        assert ExportFilter().matches(Export("a", "queued"))

    @pytest.mark.parametrize("reported", ["app", "APP", "application", "Application"])
    def test_finds_exports_of_the_application_however_the_api_spells_it(self, reported):
        assert ExportFilter(origin="app").matches(Export("a", "queued", origin=reported))
        assert not ExportFilter(origin="api").matches(Export("a", "queued", origin=reported))

    def test_compares_every_field(self):
        wanted = ExportFilter(
            export_type="data-explorer",
            origin="app",
            report_id="r",
            segment_id="s",
            status="finished",
            file_name="Purchases",
        )
        fields = {
            "status": "FINISHED",
            "export_type": "data-explorer",
            "origin": "APP",
            "filters": {"reportId": "r", "segmentId": "s"},
            "file_name": f"purchases-20261101-{UUIDS[0]}.zip",
        }
        assert wanted.matches(export(1, **fields))
        others = {
            "status": "error",
            "export_type": "contacts",
            "origin": "api",
            "filters": {"reportId": "s", "segmentId": "s"},
            "file_name": "sales.zip",
        }
        for name, value in others.items():
            assert not wanted.matches(export(1, **{**fields, name: value})), name

    def test_for_finished_exports_matches_neither_running_nor_failed_ones(self):
        assert FINISHED_EXPORTS.matches(export(1))
        assert not FINISHED_EXPORTS.matches(Export("a", "inProgress"))
        assert not FINISHED_EXPORTS.matches(Export("a", "error", finished_at=NOON))

    def test_is_created_from_an_operators_arguments(self):
        arguments = {"export_type": "contacts", "created_after": "2026-11-25T13:00:00+01:00", "finished_after": None}
        assert ExportFilter.from_arguments(arguments) == ExportFilter("contacts", created_after=NOON)

    def test_survives_serialization(self):
        for each in (ExportFilter(), ExportFilter(report_id="r1", created_after=NOON, origin="app", status="error")):
            assert ExportFilter.from_arguments(json.loads(json.dumps(each.as_arguments()))) == each

    def test_is_serialized_as_stored_triggers_expect_it(self):
        assert ExportFilter(report_id="r1", created_after=NOON).as_arguments() == {
            "export_type": None,
            "created_after": "2026-11-25T12:00:00+00:00",
            "origin": None,
            "report_id": "r1",
            "segment_id": None,
        }

    @pytest.mark.parametrize(
        ("export_filter", "words"),
        [
            (ExportFilter(), "any export"),
            (ExportFilter(report_id="r1", origin="app"), "origin=app, report_id=r1"),
        ],
    )
    def test_is_described_in_words(self, export_filter, words):
        assert str(export_filter) == words
