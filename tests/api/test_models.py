# SPDX-License-Identifier: Apache-2.0
"""An export tolerates missing and invalid fields, and never shows the signed URL of its file."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_connectif.api.errors import UnexpectedResponse
from airflow_provider_connectif.api.models import Export

URL = "https://files.test/e1.zip?signed=abcdefgh12345678"
COMPLETE = {
    "id": "e1",
    "createdAt": "2026-11-01T00:00:00.000Z",
    "finishedAt": "2026-11-01T00:10:00.000Z",
    "exportType": "activities",
    "origin": "api",
    "status": "finished",
    "progress": 400,
    "total": 400,
    "fileName": "export-activities-1.zip",
    "fileExtension": "zip",
    "fileUrl": URL,
    "dateFormat": "ISO",
    "delimiter": ",",
    "version": "v1",
    "filters": {"segmentId": "s1", "reportId": "r1"},
}


def test_every_documented_field_is_parsed():
    export = Export.from_json(COMPLETE)
    assert export.id == "e1"
    assert export.created_at == datetime(2026, 11, 1, tzinfo=timezone.utc)
    assert export.finished_at == datetime(2026, 11, 1, 0, 10, tzinfo=timezone.utc)
    assert (export.export_type, export.origin, export.status) == ("activities", "api", "finished")
    assert (export.progress, export.total) == (400, 400)
    assert (export.file_name, export.file_extension) == ("export-activities-1.zip", "zip")
    assert export.file_url == URL
    assert (export.date_format, export.delimiter, export.version) == ("ISO", ",", "v1")
    assert (export.segment_id, export.report_id) == ("s1", "r1")


def test_only_the_id_and_the_status_are_required():
    export = Export.from_json({"id": "e1", "status": "queued"})
    assert export == Export(id="e1", status="queued")
    assert export.filters == {}
    assert export.report_id is None


def test_unknown_fields_are_ignored():
    assert Export.from_json({**COMPLETE, "owner": {"name": "x"}}) == Export.from_json(COMPLETE)


INVALID = st.sampled_from([None, True, 5, -1, float("inf"), float("nan"), "", "x", [], ["x", 5], {}, {"a": None}])


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional={name: INVALID for name in COMPLETE if name not in ("id", "status")}))
def test_fields_of_other_types_are_tolerated(fields):
    export = Export.from_json({**fields, "id": "e1", "status": "queued"})
    export.describe_progress()
    assert export.describe()["id"] == "e1"
    assert export.created_in_application in (True, False)


@pytest.mark.parametrize(
    "body", [None, [], "e1", {}, {"id": "", "status": "x"}, {"id": "e1"}, {"id": 1, "status": "x"}]
)
def test_an_id_and_a_status_are_required(body):
    with pytest.raises(UnexpectedResponse):
        Export.from_json(body)


@pytest.mark.parametrize(
    ("status", "finished", "failed", "known"),
    [
        ("queued", False, False, True),
        ("inProgress", False, False, True),
        ("INPROGRESS", False, False, True),
        ("finished", True, False, True),
        ("Finished", True, False, True),
        ("error", False, True, True),
        ("failed", False, True, True),
        ("cancelled", False, True, True),
        ("canceled", False, True, True),
        ("paused", False, False, False),
        ("", False, False, False),
    ],
)
def test_only_the_status_decides_and_an_unknown_one_means_not_finished(status, finished, failed, known):
    export = Export.from_json({**COMPLETE, "status": status})
    assert (export.finished, export.failed, export.status_is_known) == (finished, failed, known)


@pytest.mark.parametrize(
    ("origin", "expected"), [("app", True), ("APP", True), ("application", True), ("api", False), (None, False)]
)
def test_an_export_of_the_application_is_recognized(origin, expected):
    assert Export.from_json({**COMPLETE, "origin": origin}).created_in_application is expected


def test_the_signed_url_is_in_neither_the_representation_nor_the_description():
    export = Export.from_json(COMPLETE)
    for shown in (repr(export), str(export), json.dumps(export.describe()), export.describe_progress()):
        assert "files.test" not in shown
        assert "signed=" not in shown


def test_exports_that_differ_only_in_the_url_are_equal():
    assert Export.from_json(COMPLETE) == Export.from_json({**COMPLETE, "fileUrl": URL + "9"})


def test_the_description_is_json_with_the_apis_names():
    described = json.loads(json.dumps(Export.from_json(COMPLETE).describe()))
    assert described["createdAt"] == "2026-11-01T00:00:00+00:00"
    assert described["filters"] == {"segmentId": "s1", "reportId": "r1"}
    assert set(described) <= set(COMPLETE)
    assert Export.from_json({"id": "e1", "status": "queued"}).describe() == {"id": "e1", "status": "queued"}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"progress": None, "total": None}, "inProgress"),
        ({"progress": None, "total": 400}, "inProgress"),
        ({"progress": 120, "total": 400}, "inProgress, 120 of 400 (30%)"),
        ({"progress": 120, "total": 0}, "inProgress, 120 done"),
        ({"progress": 120, "total": None}, "inProgress, 120 done"),
        ({"progress": 0, "total": 400}, "inProgress, 0 of 400 (0%)"),
        ({"progress": float("nan"), "total": float("inf")}, "inProgress"),
    ],
)
def test_the_progress_is_described_as_far_as_it_is_known(fields, words):
    assert Export.from_json({**COMPLETE, "status": "inProgress", **fields}).describe_progress() == words
