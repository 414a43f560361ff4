# SPDX-License-Identifier: Apache-2.0
"""Destinations that name fields: filled in, checked early, and never a way out of the folder (promise 7)."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.tasks.uri_fields import (
    DATE_FIELDS,
    TEXT_FIELDS,
    DestinationInvalid,
    check_destination,
    fill_destination,
    safe_part,
)

UTC = timezone.utc
VALUES = {
    "export_id": "64aa",
    "export_type": "activities",
    "report_id": None,
    "file_name": "Ventas añadidas!",
    "from_date": datetime(2026, 10, 31, 23, tzinfo=UTC),
    "to_date": date(2026, 11, 2),
}


class TestChecking:
    def test_names_the_fields_that_are_used(self):
        assert check_destination("s3://lake/{export_id}/{from_date:%Y-%m}") == ["export_id", "from_date"]
        assert check_destination("s3://lake/out") == []

    @pytest.mark.parametrize("field", TEXT_FIELDS + DATE_FIELDS)
    def test_knows_every_field(self, field):
        assert check_destination(f"s3://lake/{{{field}}}") == [field]

    def test_leaves_jinjas_own_braces_alone(self):
        assert check_destination("s3://{{ var.value.lake }}/{% if x %}{export_id}{% endif %}{# {nothing} #}") == [
            "export_id"
        ]

    @pytest.mark.parametrize(
        ("text", "words"),
        [
            ("{color}", "unknown field, {color}; the known ones are {export_id}, {export_type}"),
            ("{}", "unknown field, {}"),
            ("{ export_id }", "unknown field, { export_id }"),
            ("{export_id.__class__}", "unknown field"),
            ("{export_id!r}", "unknown field"),
            ("{export_id:%Y}", "gives {export_id} a format, which only dates take"),
            ("{export_id", "lone brace"),
            ("export_id}", "lone brace"),
        ],
    )
    def test_refuses_what_is_no_field(self, text, words):
        with pytest.raises(DestinationInvalid) as caught:
            check_destination(text)
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
    def test_shows_moments_in_the_zone_and_dates_as_they_are(self, text, filled):
        assert fill_destination(text, VALUES, ZoneInfo("Europe/Madrid")) == filled

    def test_a_value_that_is_not_there_is_named_with_the_export(self):
        with pytest.raises(DestinationInvalid, match=r"names \{report_id\}, which export 64aa does not have"):
            fill_destination("{report_id}", VALUES, UTC)

    def test_a_value_with_braces_is_not_filled_in_again(self):
        assert fill_destination("{file_name}", {**VALUES, "file_name": "{export_id}"}, UTC) == "_export_id_"


class TestSafety:
    @given(st.text())
    def test_no_text_leads_out_of_its_place(self, text):
        part = safe_part(text)
        assert part
        assert part not in (".", "..")
        assert not set(part) & set('/\\<>:|?*#%"[]{}@\0\n')
        assert not part.startswith((".", " "))
        assert len(part.encode()) <= 150

    @pytest.mark.parametrize("text", ["..", ". .. .", " .. ", "./..", "../../etc/passwd", "", "\0", "...", ". ."])
    def test_nor_one_that_tries(self, text):
        assert ".." not in safe_part(text).split("/")
        assert not safe_part(text).startswith(".")
        assert "/" not in safe_part(text)

    @given(st.text(st.characters(codec="utf-8"), min_size=160))
    def test_long_texts_stay_apart(self, text):
        assert safe_part(text + "a") != safe_part(text + "b") or not safe_part(text).strip("_")

    @given(st.text(st.sampled_from("%YmdHM/.\\ -:_"), max_size=12))
    def test_no_format_leads_out_either(self, style):
        filled = fill_destination(f"a/{{from_date:{style}}}/b", VALUES, UTC)
        assert not {"", ".", ".."} & set(filled.split("/"))

    def test_the_moments_day_is_the_zones(self):
        late = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)
        for zone, day in ((UTC, "29"), (ZoneInfo("America/New_York"), "28"), (timezone(timedelta(hours=14)), "29")):
            assert fill_destination("{from_date:%d}", {"from_date": late}, zone) == day
