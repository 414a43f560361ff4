# SPDX-License-Identifier: Apache-2.0
"""Fields in destinations: checked when the DAG is parsed, filled in, and never able to leave the folder (promise 7)."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.sdk import DAG
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.tasks.destination import (
    DATE_FIELDS,
    TEXT_FIELDS,
    check_destination,
    fill_fields,
    find_fields,
    find_zone_mismatch,
    safe_path_part,
)

try:
    from airflow.sdk import CronDataIntervalTimetable
except ImportError:  # before Airflow 3.2
    from airflow.timetables.interval import CronDataIntervalTimetable

UTC = timezone.utc
VALUES = {
    "export_id": "64aa",
    "export_type": "activities",
    "report_id": None,
    "file_name": "Ventas añadidas!",
    "from_date": datetime(2026, 10, 31, 23, tzinfo=UTC),
    "to_date": date(2026, 11, 2),
}


class TestSlashes:
    """Stores write ``a//b`` under one key and look for it under another."""

    @pytest.mark.parametrize(
        "destination",
        [
            "s3://lake//a",
            "s3://lake/a//b",
            "s3://lake/{export_id}//b",
            "s3://lake/{{ params.x }}//b",
            "s3://{{ var.value.bucket }}//b",
            "gs://lake/a//{export_id}",
            "abfs://lake/a//b/",
            "file:///data//lake",
            "/data//lake",
            "//data/lake",
            "file:////data",
        ],
    )
    def test_an_empty_folder_name_is_rejected(self, destination):
        with pytest.raises(InvalidArgument, match="write one slash instead of '//'"):
            check_destination(destination)

    @pytest.mark.parametrize("destination", ["file://data/lake", "file://localhost/data", "local://data", "file://./x"])
    def test_a_path_that_is_not_absolute_is_rejected(self, destination):
        with pytest.raises(InvalidArgument, match=r"write three slashes, as in '\w+:///data/lake'"):
            check_destination(destination)

    @pytest.mark.parametrize(
        "destination",
        [
            "s3://lake/a",
            "s3://lake/a/",
            "s3://lake",
            " s3://lake/a ",
            "file:///data/lake",
            "/data/lake",
            "file://{{ var.value.folder }}",
            "{{ var.value.base }}/a/{export_id}",
            "{{ var.value.scheme }}://lake/a",
            "s3://{{ var.value.bucket }}/{{ ds }}/{from_date:%Y/%m}",
        ],
    )
    def test_others_are_accepted(self, destination):
        check_destination(destination)


class TestChecking:
    def test_returns_the_fields_that_are_used(self):
        assert find_fields("s3://lake/{export_id}/{from_date:%Y-%m}") == ["export_id", "from_date"]
        assert find_fields("s3://lake/out") == []

    @pytest.mark.parametrize("field", TEXT_FIELDS + DATE_FIELDS)
    def test_knows_every_field(self, field):
        assert find_fields(f"s3://lake/{{{field}}}") == [field]

    def test_ignores_the_braces_of_jinja(self):
        assert find_fields("s3://{{ var.value.lake }}/{% if x %}{export_id}{% endif %}{# {nothing} #}") == ["export_id"]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{color}", "{color} is not a field of an export; use one of {export_id}, {export_type}"),
            ("{}", "{} is not a field"),
            ("{ export_id }", "{ export_id } is not a field"),
            ("{export_id.__class__}", "is not a field"),
            ("{export_id!r}", "is not a field"),
            ("{export_id:%Y}", "{export_id} has a format, which only dates accept"),
            ("{export_id", "unmatched brace"),
            ("export_id}", "unmatched brace"),
        ],
    )
    def test_rejects_what_is_not_a_field(self, text, words):
        with pytest.raises(InvalidArgument) as caught:
            find_fields(text)
        assert words in str(caught.value)


class TestFilling:
    @pytest.mark.parametrize(
        ("text", "filled"),
        [
            ("s3://lake/{export_type}/{export_id}", "s3://lake/activities/64aa"),
            ("{from_date:%Y-%m-%d}", "2026-11-01"),
            ("{from_date}", "2026-11-01T000000"),
            ("{from_date:%Y/%m/%d}", "2026/11/01"),
            ("{from_date:%H:%M}", "00_00"),
            ("{to_date}", "2026-11-02"),
            ("{to_date:%d.%m.%y}", "02.11.26"),
            ("{file_name}", "Ventas añadidas!"),
        ],
    )
    def test_converts_datetimes_to_the_zone_and_keeps_dates(self, text, filled):
        assert fill_fields(text, VALUES, ZoneInfo("Europe/Madrid")) == filled

    def test_a_missing_value_is_named_with_the_export(self):
        with pytest.raises(InvalidArgument, match=r"names \{report_id\}, which export 64aa does not have"):
            fill_fields("{report_id}", VALUES, UTC)

    def test_a_value_with_braces_is_not_filled_in_again(self):
        assert fill_fields("{file_name}", {**VALUES, "file_name": "{export_id}"}, UTC) == "_export_id_"


class TestSafety:
    @given(st.text())
    def test_no_text_leaves_its_part_of_the_path(self, text):
        part = safe_path_part(text)
        assert part
        assert part not in (".", "..")
        assert not set(part) & set('/\\<>:|?*#%"[]{}@\0\n')
        assert not part.startswith((".", " "))
        assert len(part.encode()) <= 150

    @pytest.mark.parametrize("text", ["..", ". .. .", " .. ", "./..", "../../etc/passwd", "", "\0", "...", ". ."])
    def test_neither_do_texts_made_for_it(self, text):
        assert ".." not in safe_path_part(text).split("/")
        assert not safe_path_part(text).startswith(".")
        assert "/" not in safe_path_part(text)

    @given(st.text(st.characters(codec="utf-8"), min_size=160))
    def test_long_texts_stay_distinct(self, text):
        assert safe_path_part(text + "a") != safe_path_part(text + "b") or not safe_path_part(text).strip("_")

    @given(st.text(st.sampled_from("%YmdHM/.\\ -:_"), max_size=12))
    def test_no_date_format_leaves_the_folder(self, style):
        try:
            filled = fill_fields(f"a/{{from_date:{style}}}/b", VALUES, UTC)
        except InvalidArgument:
            return
        assert not {"", ".", ".."} & set(filled.split("/"))

    def test_the_day_of_a_datetime_is_that_in_the_zone(self):
        late = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
        for zone, day in ((UTC, "29"), (ZoneInfo("America/New_York"), "28"), (timezone(timedelta(hours=14)), "29")):
            assert fill_fields("{from_date:%d}", {"from_date": late}, zone) == day


class TestZones:
    """A day that is shown in another time zone than the schedule's may get the folder of another day."""

    EXPORT = Export("a", "finished", "activities", filters={"fromDate": "2026-11-22T23:00:00Z"})
    REPORT = Export("a", "finished", "data-explorer", filters={"fromDate": "2026-11-23"})

    @staticmethod
    def dag(zone: str, schedule: object) -> DAG:
        return DAG("lake", schedule=schedule, start_date=pendulum.datetime(2026, 1, 1, tz=zone))

    @pytest.mark.parametrize("destination", ["s3://lake/{from_date:%Y-%m-%d}", "s3://lake/{export_id}/{from_date}"])
    def test_a_different_zone_of_the_schedule_is_a_warning(self, destination):
        dag = self.dag("UTC", CronDataIntervalTimetable("@daily", timezone="Europe/Madrid"))
        warning = find_zone_mismatch(destination, self.EXPORT, dag)
        assert warning is not None
        assert "{from_date} is shown in UTC" in warning
        assert warning.endswith("Use a start_date in Europe/Madrid.")

    @pytest.mark.parametrize(
        ("zone", "schedule"),
        [
            ("Europe/Madrid", CronDataIntervalTimetable("@daily", timezone="Europe/Madrid")),
            ("UTC", CronDataIntervalTimetable("@daily", timezone="UTC")),
            ("Europe/Madrid", "@daily"),
            ("UTC", None),
        ],
    )
    def test_the_same_zone_is_not_worth_one(self, zone, schedule):
        assert find_zone_mismatch("s3://lake/{from_date}", self.EXPORT, self.dag(zone, schedule)) is None

    def test_neither_are_dates_of_the_account_and_folders_without_dates(self):
        dag = self.dag("UTC", CronDataIntervalTimetable("@daily", timezone="Europe/Madrid"))
        assert find_zone_mismatch("s3://lake/{from_date}", self.REPORT, dag) is None
        assert find_zone_mismatch("s3://lake/{export_id}", self.EXPORT, dag) is None
