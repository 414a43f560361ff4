# SPDX-License-Identifier: Apache-2.0
"""The responses have the fields that the vendor documents for the list resource."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest

# Name, type, and whether the vendor's page marks it as optional. "date-time" and "uri" are strings of that form.
VENDOR_FIELDS = {
    "createdAt": ("date-time", False),
    "dateFormat": ("string", False),
    "delimiter": ("string", False),
    "exportType": ("string", False),
    "fileExtension": ("string", True),
    "fileName": ("string", True),
    "fileUrl": ("uri", True),
    "filters": ("object", True),
    "finishedAt": ("date-time", True),
    "id": ("string", False),
    "origin": ("string", False),
    "progress": ("integer", True),
    "status": ("string", False),
    "total": ("integer", True),
    "version": ("string", False),
}
VENDOR_FILTERS = {
    "activityTypes": "array of string",
    "fromDate": "date-time",
    "reportId": "string",
    "segmentId": "string",
    "toDate": "date-time",
}
DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
URI = re.compile(r"http://[\w.:]+/\S+")


def assert_is(value: Any, kind: str) -> None:
    if kind == "integer":
        assert type(value) is int
    elif kind == "object":
        assert isinstance(value, dict)
    elif kind == "array of string":
        assert isinstance(value, list)
        assert all(isinstance(part, str) for part in value)
    else:
        assert isinstance(value, str)
        assert value
        if kind == "date-time":
            assert DATE_TIME.fullmatch(value)
            datetime.fromisoformat(value.replace("Z", "+00:00"))
        if kind == "uri":
            assert URI.fullmatch(value)


def assert_is_vendors(export: dict[str, Any]) -> None:
    assert set(export) <= set(VENDOR_FIELDS)
    assert {name for name, (_, optional) in VENDOR_FIELDS.items() if not optional} <= set(export)
    for name, value in export.items():
        assert_is(value, VENDOR_FIELDS[name][0])
    for name, value in export.get("filters", {}).items():
        assert_is(value, VENDOR_FILTERS[name])


BODIES = {
    "contacts": lambda client: client.contacts(filters={"segmentId": "s1"}),
    "activities": lambda client: client.activities(),
    "data-explorer": lambda client: client.report(),
}


@pytest.mark.parametrize("export_type", BODIES)
def test_each_response_has_exactly_the_documented_fields(sandbox, client, export_type: str) -> None:
    sandbox.set(filter_dates="date-time")
    created = client.create(BODIES[export_type](client))
    listed = client.get("/exports").json()
    assert set(listed) == {"links", "results"}
    for export in (created, client.export(created["id"]), *listed["results"]):
        assert_is_vendors(export)


def test_a_finished_export_has_every_documented_field(client) -> None:
    body = client.activities()
    body["filters"].update(segmentId="s1", activityTypes=["purchase"])
    assert set(client.create(body)) == set(VENDOR_FIELDS)


@pytest.mark.parametrize("kind", ["queued", "inProgress", "error"])
def test_an_unfinished_export_has_no_file(sandbox, client, clock, kind: str) -> None:
    sandbox.set(queue_seconds=10, seconds_per_export=10, fail=1.0)
    export_id = client.create()["id"]
    clock.move({"queued": 5, "inProgress": 15, "error": 25}[kind])
    export = client.export(export_id)
    assert export["status"] == kind
    assert_is_vendors(export)
    assert not {"fileUrl", "fileName", "fileExtension"} & set(export)
    assert ("finishedAt" in export) == (kind == "error")


def test_an_export_reports_what_was_requested(client) -> None:
    body = client.activities(delimiter=";", dateFormat="LL", version="v3")
    body["filters"] = {
        "fromDate": "2023-03-01T01:00:00+01:00",
        "toDate": "2023-03-02T00:00:00.5Z",
        "segmentId": "s1",
        "activityTypes": ["purchase", "login"],
    }
    export = client.create(body)
    assert [export[name] for name in ("exportType", "delimiter", "dateFormat", "version", "origin")] == [
        "activities",
        ";",
        "LL",
        "v3",
        "api",
    ]
    assert export["filters"] == {
        "fromDate": "2023-03-01T00:00:00.000Z",
        "toDate": "2023-03-02T00:00:00.500Z",
        "segmentId": "s1",
        "activityTypes": ["purchase", "login"],
    }


def test_the_version_is_v1_by_default(client) -> None:
    assert client.create()["version"] == "v1"


@pytest.mark.parametrize(
    ("style", "report_date", "activity_date"),
    [
        ("normal", "2023-03-26", "2023-02-28T23:00:00.000Z"),
        ("as-sent", "2023-03-26", "2023-03-01T00:00:00+01:00"),
        ("date-time", "2023-03-26T00:00:00.000Z", "2023-02-28T23:00:00.000Z"),
    ],
)
def test_dates_are_reported_in_the_configured_style(
    sandbox, client, style: str, report_date: str, activity_date: str
) -> None:
    sandbox.set(filter_dates=style)
    activities = client.activities()
    activities["filters"].update(fromDate="2023-03-01T00:00:00+01:00", toDate="2023-03-31T00:00:00Z")
    assert client.create(client.report())["filters"]["fromDate"] == report_date
    assert client.create(activities)["filters"]["fromDate"] == activity_date


def test_ids_are_24_hex_digits_and_unique(client) -> None:
    ids = [client.create()["id"] for _ in range(5)]
    assert all(re.fullmatch("[0-9a-f]{24}", export_id) for export_id in ids)
    assert len(set(ids)) == 5


def test_every_request_creates_new_signed_urls(client) -> None:
    created = client.create()
    again, listed = client.export(created["id"]), client.get("/exports").json()["results"][0]
    assert len({created["fileUrl"], again["fileUrl"], listed["fileUrl"]}) == 3


def test_a_reports_file_name_is_lower_case_with_dates_and_an_identifier(sandbox, client) -> None:
    sandbox.set(report_titles=["r1=V! Carrito abandonado"])
    export = client.create(client.report())
    pattern = r"v! carrito abandonado-20230326-20230425-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.zip"
    assert re.fullmatch(pattern, export["fileName"])
    assert export["fileExtension"] == "zip"


def test_the_file_name_may_lack_its_extension(sandbox, client) -> None:
    sandbox.set(file_name_extension=False)
    assert not client.create()["fileName"].endswith(".zip")


def test_progress_and_total_may_be_omitted(sandbox, client) -> None:
    sandbox.set(hide_progress=True)
    assert not {"progress", "total"} & set(client.create())
