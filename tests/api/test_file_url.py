# SPDX-License-Identifier: Apache-2.0
"""A new signed URL of an export's file: only if the export is finished, and never logged (promises 6 and 9)."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.errors import ExportFailed, InvalidArgument, NotFound, UnexpectedResponse
from airflow_provider_connectif.api.file_url import fresh_file_url
from tests.api.simulated_time import BASE

URL = "https://files.test/e1.zip?signed=abcdefgh12345678"
FINISHED = {"id": "e1", "status": "finished"}


def respond_with(api, *bodies):
    api.get(f"{BASE}/exports/e1", [{"json": body} for body in bodies])
    return api


def test_each_call_returns_the_current_url(requests_mock, client, simulated_time):
    respond_with(requests_mock, {**FINISHED, "fileUrl": URL}, {**FINISHED, "fileUrl": URL + "9"})
    assert fresh_file_url(client, "e1", sleep=simulated_time.sleep) == URL
    assert fresh_file_url(client, "e1", sleep=simulated_time.sleep) == URL + "9"
    assert simulated_time.slept == []


def test_a_finished_export_without_a_url_is_requested_again(requests_mock, client, simulated_time):
    respond_with(requests_mock, FINISHED, FINISHED, {**FINISHED, "fileUrl": URL})
    assert fresh_file_url(client, "e1", pause=2.0, sleep=simulated_time.sleep) == URL
    assert simulated_time.slept == [2.0, 4.0]


def test_the_number_of_requests_is_limited(requests_mock, client, simulated_time):
    api = respond_with(requests_mock, FINISHED)
    with pytest.raises(UnexpectedResponse, match="in 3 responses"):
        fresh_file_url(client, "e1", attempts=3, sleep=simulated_time.sleep)
    assert api.call_count == 3
    assert len(simulated_time.slept) == 2


def test_a_url_of_an_unfinished_export_is_not_returned(requests_mock, client, simulated_time):
    respond_with(requests_mock, {"id": "e1", "status": "inProgress", "progress": 1, "total": 4, "fileUrl": URL})
    with pytest.raises(InvalidArgument, match=r"not finished \(inProgress, 1 of 4") as raised:
        fresh_file_url(client, "e1", sleep=simulated_time.sleep)
    assert "ConnectifExportSensor" in str(raised.value)
    assert "signed" not in str(raised.value)


def test_a_failed_export_raises_an_error(requests_mock, client, simulated_time):
    respond_with(requests_mock, {"id": "e1", "status": "error", "fileUrl": URL})
    with pytest.raises(ExportFailed):
        fresh_file_url(client, "e1", sleep=simulated_time.sleep)


NOT_FOUND = {"status_code": 404, "json": {"status": 404, "title": "Not found"}}


def test_a_missing_export_raises_an_error(requests_mock, client, simulated_time):
    requests_mock.get(f"{BASE}/exports/e1", **NOT_FOUND)
    with pytest.raises(NotFound):
        fresh_file_url(client, "e1", sleep=simulated_time.sleep)
    assert sum(simulated_time.slept) == 60


def test_a_single_404_is_not_believed(requests_mock, client, simulated_time):
    requests_mock.get(f"{BASE}/exports/e1", [NOT_FOUND, NOT_FOUND, {"json": {**FINISHED, "fileUrl": URL}}])
    assert fresh_file_url(client, "e1", sleep=simulated_time.sleep) == URL


def test_the_url_is_not_logged(requests_mock, client, simulated_time, caplog):
    respond_with(requests_mock, FINISHED, {**FINISHED, "fileUrl": URL})
    fresh_file_url(client, "e1", sleep=simulated_time.sleep)
    assert "requesting it again" in caplog.text
    assert "signed=" not in caplog.text
