# SPDX-License-Identifier: Apache-2.0
"""Which exports can be created, and the errors for the others."""

from __future__ import annotations

from typing import Any

import pytest

INVALID = "Value is not valid"
DATE_TIME = "Value must be a date-time in ISO8601 format"
DATE = "Value must be a date in YYYY-MM-DD format"
NOT_FOR_TYPE = "Property is not allowed for this export type"
TOO_LONG = "The date range must not be greater than 31 days"
REQUIRED = "Value is required"
UNKNOWN = "Unknown property"


def rejected(client, body: Any, path: str = "/exports") -> dict[str, str]:
    """Return the reasons for the rejection by the path of the field."""
    response = client.post(path, body)
    assert response.status_code == 422, response.text
    error = response.json()
    assert set(error) == {"status", "title", "detail", "code", "validationErrors"}
    assert (error["status"], error["title"]) == (422, "Unprocessable entity")
    for entry in error["validationErrors"]:
        assert set(entry) == {"name", "path", "reason"}
        assert entry["path"].endswith("/" + entry["name"])
    assert client.running.stats.created_by_api == 0
    return {entry["path"]: entry["reason"] for entry in error["validationErrors"]}


def spanning(start: str, end: str) -> dict[str, Any]:
    return {"filters": {"fromDate": start, "toDate": end}}


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"exportType": "data-explorer"}, {"/exportType": INVALID}),
        ({"exportType": ["contacts"]}, {"/exportType": INVALID}),
        ({"delimiter": "\t"}, {"/delimiter": INVALID}),
        ({"dateFormat": "iso"}, {"/dateFormat": INVALID}),
        ({"version": "v7"}, {"/version": INVALID}),
        ({"version": 1}, {"/version": INVALID}),
        ({"filters": []}, {"/filters": "Value must be an object"}),
        ({"colour": "red"}, {"/colour": UNKNOWN}),
        ({"filters": {"colour": "red"}}, {"/filters/colour": UNKNOWN}),
        ({"filters": {"segmentId": ""}}, {"/filters/segmentId": INVALID}),
        ({"filters": {"segmentId": 7}}, {"/filters/segmentId": INVALID}),
        ({"filters": {"fromDate": "2023-03-01T00:00:00Z"}}, {"/filters/fromDate": NOT_FOR_TYPE}),
        ({"filters": {"toDate": "2023-03-01T00:00:00Z"}}, {"/filters/toDate": NOT_FOR_TYPE}),
        ({"filters": {"activityTypes": ["login"]}}, {"/filters/activityTypes": NOT_FOR_TYPE}),
        ({"filters": {"reportId": "r1"}}, {"/filters/reportId": NOT_FOR_TYPE}),
        ({"version": "v9", "delimiter": "|"}, {"/version": INVALID, "/delimiter": INVALID}),
    ],
)
def test_invalid_contacts_are_rejected(client, changes: dict[str, Any], reasons: dict[str, str]) -> None:
    assert rejected(client, client.contacts(**changes)) == reasons


@pytest.mark.parametrize("name", ["exportType", "delimiter", "dateFormat"])
def test_a_missing_required_field_is_rejected(client, name: str) -> None:
    body = client.contacts()
    del body[name]
    assert rejected(client, body) == {f"/{name}": REQUIRED}


@pytest.mark.parametrize("filters", [None, {}, {"segmentId": "s1"}])
@pytest.mark.parametrize("version", [None, "v1", "v6"])
def test_contacts_are_created(client, filters: dict[str, str] | None, version: str | None) -> None:
    more = {"filters": filters, "version": version}
    client.create(client.contacts(**{name: value for name, value in more.items() if value is not None}))


@pytest.mark.parametrize(
    ("filters", "reasons"),
    [
        ({}, {"/filters/fromDate": REQUIRED, "/filters/toDate": REQUIRED}),
        (spanning("2023-03-01", "2023-03-02T00:00:00Z")["filters"], {"/filters/fromDate": DATE_TIME}),
        (spanning("2023-03-01T00:00:00", "2023-03-02T00:00:00Z")["filters"], {"/filters/fromDate": DATE_TIME}),
        (spanning("2023-03-01T00:00:00Z", "2023-02-30T00:00:00Z")["filters"], {"/filters/toDate": DATE_TIME}),
        (
            spanning("2023-03-02T00:00:00Z", "2023-03-01T00:00:00Z")["filters"],
            {"/filters/toDate": "Value must not be before fromDate"},
        ),
        (spanning("2023-03-01T00:00:00Z", "2023-04-01T00:00:00.001Z")["filters"], {"/filters/toDate": TOO_LONG}),
        (spanning("2023-03-01T00:00:00+02:00", "2023-04-01T00:00:00Z")["filters"], {"/filters/toDate": TOO_LONG}),
    ],
)
def test_invalid_activities_are_rejected(client, filters: dict[str, Any], reasons: dict[str, str]) -> None:
    assert rejected(client, client.activities(filters=filters)) == reasons


@pytest.mark.parametrize("value", ["login", [7], [""], {}])
def test_activity_types_must_be_strings(client, value: Any) -> None:
    body = client.activities()
    body["filters"]["activityTypes"] = value
    assert rejected(client, body) == {"/filters/activityTypes": "Value must be an array of strings"}


def test_activities_need_filters(client) -> None:
    body = client.activities()
    del body["filters"]
    assert rejected(client, body) == {"/filters": REQUIRED}


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("2023-03-01T00:00:00Z", "2023-04-01T00:00:00Z"),
        ("2023-03-01T00:00:00Z", "2023-03-01T00:00:00Z"),
        ("2023-03-01T00:00:00+02:00", "2023-03-31T22:00:00.000000+00:00"),
    ],
)
def test_activities_of_up_to_31_days_are_created(client, start: str, end: str) -> None:
    client.create(client.activities(**spanning(start, end)))


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"fromDate": "2023-04-01T00:00:00Z"}, {"/filters/fromDate": DATE}),
        ({"toDate": "2023-4-25"}, {"/filters/toDate": DATE}),
        ({"toDate": "2023-04-26"}, {"/filters/toDate": TOO_LONG}),
        ({"toDate": "2023-03-25"}, {"/filters/toDate": "Value must not be before fromDate"}),
        ({"reportId": ""}, {"/filters/reportId": INVALID}),
        ({"segmentId": "s1"}, {"/filters/segmentId": NOT_FOR_TYPE}),
        ({"activityTypes": ["login"]}, {"/filters/activityTypes": NOT_FOR_TYPE}),
    ],
)
def test_an_invalid_report_is_rejected(client, changes: dict[str, Any], reasons: dict[str, str]) -> None:
    assert rejected(client, client.report(**changes), "/exports/type/data-explorer") == reasons


@pytest.mark.parametrize("name", ["dateFormat", "version", "exportType"])
def test_a_report_accepts_only_delimiter_and_filters(client, name: str) -> None:
    body = {**client.report(), name: "ISO"}
    assert rejected(client, body, "/exports/type/data-explorer") == {f"/{name}": UNKNOWN}


@pytest.mark.parametrize("name", ["reportId", "fromDate", "toDate"])
def test_a_report_needs_all_of_its_filters(client, name: str) -> None:
    body = client.report()
    del body["filters"][name]
    assert rejected(client, body, "/exports/type/data-explorer") == {f"/filters/{name}": REQUIRED}


def test_a_report_from_the_1st_to_the_31st_is_created(client) -> None:
    export = client.create(client.report(fromDate="2023-03-01", toDate="2023-03-31"))
    assert (export["exportType"], export["filters"]["reportId"]) == ("data-explorer", "r1")


def test_only_known_segments_and_reports_are_accepted_if_configured(sandbox, client) -> None:
    sandbox.set(known_segments=["s1"], known_reports=["r2"])
    assert rejected(client, client.contacts(filters={"segmentId": "s2"})) == {"/filters/segmentId": INVALID}
    assert rejected(client, client.report(), "/exports/type/data-explorer") == {"/filters/reportId": INVALID}
    client.create(client.contacts(filters={"segmentId": "s1"}))
    client.create(client.report(reportId="r2"))


def test_only_known_activity_types_are_accepted(sandbox, client) -> None:
    unknown = client.activities(filters={**client.activities()["filters"], "activityTypes": ["purchase", "buy"]})
    assert rejected(client, unknown) == {"/filters/activityTypes": INVALID}
    client.create(
        client.activities(filters={**client.activities()["filters"], "activityTypes": ["purchase", "contact-merged"]})
    )
    sandbox.set(known_activity_types=())
    client.create(unknown)


@pytest.mark.parametrize("path", ["/exports", "/exports/type/data-explorer"])
def test_a_write_requires_json_as_its_content_type(client, path: str) -> None:
    response = client.call("POST", path, data=b"{}", headers={"Content-Type": "text/plain"})
    assert response.status_code == 415
    assert set(response.json()) == {"status", "title", "detail"}


def test_a_charset_after_the_content_type_is_accepted(client) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert client.post("/exports", client.contacts(), headers=headers).status_code == 201


@pytest.mark.parametrize("body", [b"{", b"", b"[]", b"\xff", b'"x"'])
def test_a_body_that_is_not_a_json_object_is_a_bad_request(client, body: bytes) -> None:
    response = client.call("POST", "/exports", data=body, headers={"Content-Type": "application/json"})
    assert response.status_code == 400
    assert response.json()["title"] == "Bad request"


@pytest.mark.parametrize("end", ["", "/"])
def test_paths_match_with_and_without_a_trailing_slash(client, end: str) -> None:
    export = client.post(f"/exports{end}", client.contacts()).json()
    report = client.post(f"/exports/type/data-explorer{end}", client.report()).json()
    assert client.get(f"/exports/{export['id']}{end}").json()["id"] == export["id"]
    assert len(client.get(f"/exports{end}").json()["results"]) == 2
    assert client.call("DELETE", f"/exports/{report['id']}{end}").status_code == 204


def test_a_deleted_export_is_gone_with_its_file(client) -> None:
    export = client.create()
    deleted = client.call("DELETE", f"/exports/{export['id']}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert client.get(f"/exports/{export['id']}").status_code == 404
    assert client.call("DELETE", f"/exports/{export['id']}").status_code == 404
    assert client.get("/exports").json()["results"] == []


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/exports/0123", 404), ("PUT", "/exports", 405)],
)
def test_an_unknown_path_is_an_http_error(client, method: str, path: str, status: int) -> None:
    response = client.call(method, path)
    assert response.status_code == status
    assert (response.json()["status"], set(response.json())) == (status, {"status", "title", "detail"})
