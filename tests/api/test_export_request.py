# SPDX-License-Identifier: Apache-2.0
"""Promise 7: wrong arguments fail early, naming the argument. Promise 1: a request recognizes its own exports."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_connectif.api.argument_checks import UNKNOWN
from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.export_request import ExportRequest, check_request
from airflow_provider_connectif.api.models import Export

FROM, TO = "2026-11-01T00:00:00+00:00", "2026-11-02T00:00:00+00:00"
ACTIVITIES = {"export_type": "activities", "from_date": FROM, "to_date": TO}
REPORT = {"export_type": "data-explorer", "report_id": "r1", "from_date": "2026-11-01", "to_date": "2026-11-01"}
CONTACTS = {"export_type": "contacts"}
few_examples = settings(max_examples=60, deadline=None)


def as_parsed(value):
    """Replace templates, as the operators do when a DAG is parsed."""
    if isinstance(value, dict):
        return {name: as_parsed(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_parsed(each) for each in value]
    return UNKNOWN if isinstance(value, str) and "{{" in value else value


class TestBody:
    @pytest.mark.parametrize(
        ("arguments", "body"),
        [
            (
                CONTACTS,
                {"exportType": "contacts", "delimiter": ",", "dateFormat": "ISO", "filters": {}},
            ),
            (
                {**CONTACTS, "segment_id": "s1", "delimiter": ";", "date_format": "LL", "version": "v5"},
                {
                    "exportType": "contacts",
                    "delimiter": ";",
                    "dateFormat": "LL",
                    "version": "v5",
                    "filters": {"segmentId": "s1"},
                },
            ),
            (
                {**ACTIVITIES, "segment_id": "s1", "activity_types": ["purchase", "login"]},
                {
                    "exportType": "activities",
                    "delimiter": ",",
                    "dateFormat": "ISO",
                    "filters": {
                        "segmentId": "s1",
                        "fromDate": "2026-11-01T00:00:00.000Z",
                        "toDate": "2026-11-02T00:00:00.000Z",
                        "activityTypes": ["purchase", "login"],
                    },
                },
            ),
            (
                {**REPORT, "delimiter": ";"},
                {
                    "delimiter": ";",
                    "filters": {"reportId": "r1", "fromDate": "2026-11-01", "toDate": "2026-11-01"},
                },
            ),
        ],
        ids=["contacts", "contacts, all", "activities, all", "data-explorer, all"],
    )
    def test_each_type_has_its_own_body(self, arguments, body):
        assert ExportRequest.of(**arguments).body() == body

    @pytest.mark.parametrize(
        ("arguments", "path"),
        [(CONTACTS, "/exports"), (ACTIVITIES, "/exports"), (REPORT, "/exports/type/data-explorer")],
    )
    def test_each_type_has_its_own_path(self, arguments, path):
        assert ExportRequest.of(**arguments).path == path

    @pytest.mark.parametrize(
        "value",
        [
            "2026-11-01T01:00:00+01:00",
            "2026-11-01T00:00:00Z",
            " 2026-10-31T19:00:00-05:00 ",
            datetime(2026, 11, 1, tzinfo=timezone.utc),
            datetime(2026, 11, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        ],
    )
    def test_date_times_are_sent_in_utc(self, value):
        request = ExportRequest.of("activities", from_date=value, to_date=TO)
        assert request.from_date == "2026-11-01T00:00:00.000Z"

    @pytest.mark.parametrize("day", ["2026-11-01", " 2026-11-01 ", date(2026, 11, 1)])
    def test_dates_are_sent_unchanged(self, day):
        request = ExportRequest.of("data-explorer", report_id="r1", from_date=day, to_date=day)
        assert request.from_date == request.to_date == "2026-11-01"

    def test_activity_types_may_be_a_generator(self):
        request = ExportRequest.of(**ACTIVITIES, activity_types=(name for name in ["purchase"]))
        assert request.body()["filters"]["activityTypes"] == ["purchase"]


IDS = st.sampled_from(["a1", "b2"])
MIDNIGHT = datetime(2026, 3, 20, tzinfo=timezone.utc)


@st.composite
def requests(draw):
    """Draw any request. Each argument has few possible values, so that two requests often differ in few of them."""
    kind = draw(st.sampled_from(["contacts", "activities", "data-explorer"]))
    drawn = {"delimiter": draw(st.sampled_from([",", ";"]))}
    if kind != "data-explorer":
        drawn["date_format"] = draw(st.sampled_from(["ISO", "LL"]))
        drawn["version"] = draw(st.sampled_from([None, "v5"]))
        drawn["segment_id"] = draw(st.none() | IDS)
    if kind == "activities":
        start = MIDNIGHT + timedelta(seconds=draw(st.integers(0, 2)), milliseconds=draw(st.sampled_from([0, 500])))
        drawn["from_date"] = start
        drawn["to_date"] = start + timedelta(days=draw(st.integers(1, 31)))
        drawn["activity_types"] = draw(st.none() | st.lists(IDS, min_size=1, unique=True))
    if kind == "data-explorer":
        first = MIDNIGHT.date() + timedelta(days=draw(st.integers(-1, 1)))
        drawn["report_id"] = draw(IDS)
        drawn["from_date"], drawn["to_date"] = first, first + timedelta(days=draw(st.integers(0, 31)))
    return ExportRequest.of(kind, **drawn)


def reported(request: ExportRequest, **changes) -> Export:
    """Return the export as the API reports it."""
    filters = {**request.body()["filters"], **changes.pop("filters", {})}
    fields = {
        "id": "e1",
        "status": "queued",
        "origin": "api",
        "exportType": request.export_type,
        "delimiter": request.delimiter,
        "dateFormat": request.date_format,
        "version": request.version or "v1",
        "filters": {name: value for name, value in filters.items() if value is not None},
        **changes,
    }
    return Export.from_json({name: value for name, value in fields.items() if value is not None})


@few_examples
@given(requests())
def test_a_request_can_be_created_from_its_body(request_):
    assert ExportRequest.from_body(request_.body()) == request_


@few_examples
@given(requests())
def test_a_request_matches_its_own_export(request_):
    assert request_.matches(reported(request_))


@few_examples
@given(requests(), requests())
def test_a_request_matches_no_other_export(one, other):
    assert one.matches(reported(other)) is (essence(one) == essence(other))


def essence(request: ExportRequest):
    """Return what is requested, without fractions of a second, which the API may drop."""
    types = frozenset(request.activity_types or ())
    dates = tuple(str(each)[:19] for each in (request.from_date, request.to_date))
    return replace(request, activity_types=None, from_date=None, to_date=None), types, dates


class TestMatches:
    activities = ExportRequest.of(**ACTIVITIES, activity_types=["purchase", "login"])
    contacts = ExportRequest.of("contacts")
    segment = ExportRequest.of("contacts", segment_id="s1", version="v5")
    report = ExportRequest.of("data-explorer", report_id="r1", from_date="2026-11-01", to_date="2026-11-10")

    @pytest.mark.parametrize(
        ("request_", "changes"),
        [
            (activities, {"filters": {"fromDate": "2026-11-01T00:00:00Z", "toDate": "2026-11-02T00:00:00Z"}}),
            (activities, {"filters": {"fromDate": "2026-11-01T01:00:00+01:00"}}),
            (activities, {"filters": {"activityTypes": ["login", "purchase"]}}),
            (activities, {"origin": None, "delimiter": None, "dateFormat": None, "version": None}),
            (contacts, {"filters": None}),
            (contacts, {"filters": {"activityTypes": []}}),
            (segment, {"origin": "API"}),
            (report, {"exportType": "data-explorer", "dateFormat": None, "version": None}),
            (report, {"version": "v6", "dateFormat": "LL"}),
            (report, {"filters": {"fromDate": "2026-11-01T00:00:00.000Z", "toDate": "2026-11-10T00:00:00.000Z"}}),
            (report, {"filters": {"fromDate": "2026-10-31T23:00:00.000Z", "toDate": "2026-11-10T22:59:59.999Z"}}),
            (report, {"filters": {"fromDate": "2026-11-01T05:00:00.000Z", "toDate": "2026-11-11T04:59:59.000Z"}}),
        ],
    )
    def test_an_export_that_the_api_reports_in_another_form(self, request_, changes):
        if changes.get("filters", {}) is None:
            changes = {**changes, "filters": {}}
        assert request_.matches(reported(request_, **changes))

    @pytest.mark.parametrize(
        ("request_", "changes"),
        [
            (activities, {"exportType": "contacts"}),
            (activities, {"origin": "app"}),
            (activities, {"origin": "Application"}),
            (activities, {"delimiter": ";"}),
            (activities, {"dateFormat": "L"}),
            (activities, {"version": "v2"}),
            (activities, {"filters": {"segmentId": "s1"}}),
            (activities, {"filters": {"activityTypes": ["purchase"]}}),
            (activities, {"filters": {"activityTypes": None}}),
            (activities, {"filters": {"activityTypes": "purchase"}}),
            (activities, {"filters": {"activityTypes": [{}]}}),
            (activities, {"filters": {"fromDate": "2026-10-31T00:00:00Z"}}),
            (activities, {"filters": {"toDate": None}}),
            (activities, {"filters": {"toDate": 5}}),
            (contacts, {"filters": {"segmentId": "s1"}}),
            (contacts, {"filters": {"activityTypes": ["login"]}}),
            (segment, {"filters": {"segmentId": None}}),
            (segment, {"version": "v1"}),
            (report, {"filters": {"reportId": "r2"}}),
            (report, {"filters": {"fromDate": "2026-11-02"}}),
            (report, {"filters": {"toDate": "2026-11-09T00:00:00.000Z"}}),
            (report, {"filters": {"toDate": None}}),
        ],
    )
    def test_not_an_export_that_differs(self, request_, changes):
        assert not request_.matches(reported(request_, **changes))


class TestWrongArguments:
    @pytest.mark.parametrize(
        ("arguments", "name", "words"),
        [
            ({**CONTACTS, "export_type": "banner-stats"}, "export_type", "'contacts', 'activities' or 'data-explorer'"),
            ({**CONTACTS, "export_type": None}, "export_type", "not supported"),
            ({**CONTACTS, "export_type": ["contacts"]}, "export_type", "not supported"),
            ({**CONTACTS, "from_date": FROM}, "from_date", "not supported for export_type='contacts'"),
            ({**CONTACTS, "to_date": TO}, "to_date", "not supported for"),
            ({**CONTACTS, "activity_types": ["login"]}, "activity_types", "only for 'activities'"),
            ({**CONTACTS, "report_id": "r1"}, "report_id", "only for 'data-explorer'"),
            ({**ACTIVITIES, "report_id": "r1"}, "report_id", "only for 'data-explorer'"),
            ({**REPORT, "segment_id": "s1"}, "segment_id", "only for 'contacts' and 'activities'"),
            ({**REPORT, "activity_types": ["login"]}, "activity_types", "only for 'activities'"),
            ({**REPORT, "version": "v5"}, "version", "only for 'contacts' and 'activities'"),
            ({**REPORT, "date_format": "L"}, "date_format", "omit it"),
            ({"export_type": "activities", "to_date": TO}, "from_date", "is missing"),
            ({"export_type": "activities", "from_date": FROM}, "to_date", "is missing"),
            ({**REPORT, "report_id": None}, "report_id", "is missing"),
            ({**REPORT, "from_date": None}, "from_date", "is missing"),
            ({**REPORT, "to_date": None}, "to_date", "is missing"),
            ({**CONTACTS, "delimiter": "\t"}, "delimiter", "use ',' or ';'"),
            ({**CONTACTS, "delimiter": None}, "delimiter", "use ',' or ';'"),
            ({**CONTACTS, "date_format": "iso"}, "date_format", "'ISO', 'L', 'LL' or 'LLL'"),
            ({**CONTACTS, "version": "5"}, "version", "'v5'"),
            ({**CONTACTS, "version": 5}, "version", "'v5'"),
            ({**CONTACTS, "version": "v5\n"}, "version", "'v5'"),
            ({**CONTACTS, "segment_id": ""}, "segment_id", "not a segment id"),
            ({**CONTACTS, "segment_id": "s 1"}, "segment_id", "not a segment id"),
            ({**CONTACTS, "segment_id": 5}, "segment_id", "not a segment id"),
            ({**REPORT, "report_id": "r1\n"}, "report_id", "not a report id"),
            ({**ACTIVITIES, "activity_types": "purchase"}, "activity_types", "use a list"),
            ({**ACTIVITIES, "activity_types": []}, "activity_types", "is an empty list"),
            ({**ACTIVITIES, "activity_types": [" "]}, "activity_types", "not a name"),
            ({**ACTIVITIES, "activity_types": [5]}, "activity_types", "not a name"),
            ({**ACTIVITIES, "activity_types": {"login": 1}}, "activity_types", "not a list"),
            ({**ACTIVITIES, "activity_types": 5}, "activity_types", "not a list"),
            ({**ACTIVITIES, "from_date": "2026-11-01"}, "from_date", "no time zone"),
            ({**ACTIVITIES, "from_date": date(2026, 11, 1)}, "from_date", "not a date-time"),
            ({**ACTIVITIES, "from_date": "yesterday"}, "from_date", "not an ISO 8601 date-time"),
            ({**ACTIVITIES, "from_date": ""}, "from_date", "not an ISO 8601 date-time"),
            ({**ACTIVITIES, "from_date": "2026-11-01T00:00:00"}, "from_date", "no time zone"),
            ({**ACTIVITIES, "to_date": datetime(2026, 11, 2)}, "to_date", "no time zone"),  # noqa: DTZ001
            ({**ACTIVITIES, "from_date": "0001-01-01T00:00:00+14:00"}, "from_date", "out of range"),
            ({**ACTIVITIES, "to_date": FROM}, "to_date", "CronDataIntervalTimetable"),
            ({**ACTIVITIES, "to_date": "2026-11-01T01:00:00+01:00"}, "to_date", "always be empty"),
            ({**ACTIVITIES, "to_date": "2026-10-31T00:00:00Z"}, "to_date", "before from_date"),
            ({**ACTIVITIES, "to_date": "2026-12-11T00:00:00Z"}, "to_date", "more than 31 days"),
            ({**ACTIVITIES, "to_date": "2026-12-02T00:00:00.001Z"}, "to_date", "more than 31 days"),
            ({**REPORT, "from_date": "2026-11-01T00:00:00Z"}, "from_date", "not a date (YYYY"),
            (
                {**REPORT, "from_date": datetime(2026, 11, 1, tzinfo=timezone.utc)},
                "from_date",
                "not a date (YYYY",
            ),
            ({**REPORT, "to_date": "2026-11-31"}, "to_date", "not a day of the calendar"),
            ({**REPORT, "to_date": "20261101"}, "to_date", "not a date (YYYY"),
            ({**REPORT, "to_date": 20261101}, "to_date", "not a date (YYYY"),
            ({**REPORT, "to_date": "2026-10-31"}, "to_date", "before from_date"),
            ({**REPORT, "to_date": "2026-12-03"}, "to_date", "more than 31 days"),
        ],
    )
    def test_raise_an_error_that_names_the_argument_and_the_remedy(self, arguments, name, words):
        with pytest.raises(InvalidArgument) as raised:
            ExportRequest.of(**arguments)
        assert raised.value.argument == name
        assert str(raised.value).startswith(f"{name}: ")
        assert words in str(raised.value)

    @pytest.mark.parametrize(
        "arguments",
        [
            {**ACTIVITIES, "to_date": "2026-12-02T00:00:00Z"},
            {**REPORT, "to_date": "2026-12-01"},
            {**CONTACTS, "version": "v17"},
            {**ACTIVITIES, "activity_types": ("purchase",)},
        ],
    )
    def test_values_at_the_limits_are_accepted(self, arguments):
        ExportRequest.of(**arguments)


class TestUnknownValues:
    """When a DAG is parsed, some values are not known yet; everything that does not depend on them is checked."""

    @pytest.mark.parametrize(
        "arguments",
        [
            {**ACTIVITIES, "from_date": "{{ data_interval_start }}", "to_date": "{{ data_interval_end }}"},
            {**ACTIVITIES, "to_date": "{{ data_interval_end }}"},
            {**ACTIVITIES, "activity_types": "{{ params.types }}"},
            {**ACTIVITIES, "activity_types": ["purchase", "{{ params.type }}"]},
            {"export_type": "{{ params.type }}", "from_date": "x", "report_id": "r1", "segment_id": "s1"},
            {**REPORT, "from_date": "{{ ds }}", "to_date": "{{ ds }}", "report_id": "{{ params.report }}"},
            {**CONTACTS, "segment_id": "{{ params.segment }}", "version": "{{ params.version }}"},
            {**CONTACTS, "delimiter": "{{ params.delimiter }}", "date_format": "{{ params.format }}"},
            {**REPORT, "date_format": "{{ params.format }}"},
        ],
    )
    def test_are_not_checked(self, arguments):
        check_request(as_parsed(arguments))

    @pytest.mark.parametrize(
        ("arguments", "name"),
        [
            ({**CONTACTS, "from_date": "{{ ds }}"}, "from_date"),
            ({"export_type": "activities", "from_date": "{{ ds }}"}, "to_date"),
            ({**ACTIVITIES, "from_date": "{{ ds }}", "delimiter": "|"}, "delimiter"),
            ({**ACTIVITIES, "from_date": "{{ ds }}", "to_date": "soon"}, "to_date"),
            ({"export_type": "{{ params.type }}", "version": "5"}, "version"),
            ({"export_type": "{{ params.type }}", "segment_id": ""}, "segment_id"),
            ({"export_type": "{{ params.type }}", "activity_types": "login"}, "activity_types"),
        ],
    )
    def test_do_not_prevent_checks_of_other_values(self, arguments, name):
        with pytest.raises(InvalidArgument) as raised:
            check_request(as_parsed(arguments))
        assert raised.value.argument == name
