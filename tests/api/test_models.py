# SPDX-License-Identifier: Apache-2.0
"""An export is read forgivingly, and never shows its file's address."""

from __future__ import annotations

import json
from datetime import datetime, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_connectif.api.errors import UnexpectedResponse
from airflow_provider_connectif.api.models import Export

ADDRESS = "https://files.test/e1.zip?signed=abcdefgh12345678"
WHOLE = {
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
    "fileUrl": ADDRESS,
    "dateFormat": "ISO",
    "delimiter": ",",
    "version": "v1",
    "filters": {"segmentId": "s1", "reportId": "r1"},
}


def test_every_documented_field_is_read():
    export = Export.from_json(WHOLE)
    assert export.id == "e1"
    assert export.created_at == datetime(2026, 11, 1, tzinfo=timezone.utc)
    assert export.finished_at == datetime(2026, 11, 1, 0, 10, tzinfo=timezone.utc)
    assert (export.export_type, export.origin, export.status) == ("activities", "api", "finished")
    assert (export.progress, export.total) == (400, 400)
    assert (export.file_name, export.file_extension) == ("export-activities-1.zip", "zip")
    assert export.file_url == ADDRESS
    assert (export.date_format, export.delimiter, export.version) == ("ISO", ",", "v1")
    assert (export.segment_id, export.report_id) == ("s1", "r1")


def test_only_the_id_and_the_status_are_needed():
    export = Export.from_json({"id": "e1", "status": "queued"})
    assert export == Export(id="e1", status="queued")
    assert export.filters == {}
    assert export.report_id is None


def test_unknown_fields_are_ignored():
    assert Export.from_json({**WHOLE, "owner": {"name": "x"}}) == Export.from_json(WHOLE)


ODD = st.sampled_from([None, True, 5, -1, float("inf"), float("nan"), "", "x", [], ["x", 5], {}, {"a": None}])


@settings(max_examples=60, deadline=None)
@given(st.fixed_dictionaries({}, optional={name: ODD for name in WHOLE if name not in ("id", "status")}))
def test_fields_of_any_other_type_do_no_harm(fields):
    export = Export.from_json({**fields, "id": "e1", "status": "queued"})
    export.describe_progress()
    assert export.describe()["id"] == "e1"
    assert export.created_in_application in (True, False)


@pytest.mark.parametrize(
    "body", [None, [], "e1", {}, {"id": "", "status": "x"}, {"id": "e1"}, {"id": 1, "status": "x"}]
)
def test_without_an_id_and_a_status_it_is_no_export(body):
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
def test_the_status_alone_decides_and_an_unknown_one_is_not_yet(status, finished, failed, known):
    export = Export.from_json({**WHOLE, "status": status})
    assert (export.finished, export.failed, export.status_is_known) == (finished, failed, known)


@pytest.mark.parametrize(
    ("origin", "so"), [("app", True), ("APP", True), ("application", True), ("api", False), (None, False)]
)
def test_an_export_of_the_application_is_known(origin, so):
    assert Export.from_json({**WHOLE, "origin": origin}).created_in_application is so


def test_the_files_address_is_neither_represented_nor_described():
    export = Export.from_json(WHOLE)
    for shown in (repr(export), str(export), json.dumps(export.describe()), export.describe_progress()):
        assert "files.test" not in shown
        assert "signed=" not in shown


def test_a_new_address_makes_no_other_export():
    assert Export.from_json(WHOLE) == Export.from_json({**WHOLE, "fileUrl": ADDRESS + "9"})


def test_its_description_is_json_in_the_apis_names():
    described = json.loads(json.dumps(Export.from_json(WHOLE).describe()))
    assert described["createdAt"] == "2026-11-01T00:00:00+00:00"
    assert described["filters"] == {"segmentId": "s1", "reportId": "r1"}
    assert set(described) <= set(WHOLE)
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
def test_its_progress_is_told_as_far_as_it_is_known(fields, words):
    assert Export.from_json({**WHOLE, "status": "inProgress", **fields}).describe_progress() == words
