# SPDX-License-Identifier: Apache-2.0
"""A fresh address of an export's file: only of a finished one, and a secret (promises 6 and 9)."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.errors import ExportFailed, InvalidArgument, NotFound, UnexpectedResponse
from airflow_provider_connectif.api.file_url import fresh_file_url
from tests.api.simulated_time import BASE

ADDRESS = "https://files.test/e1.zip?signed=abcdefgh12345678"
FINISHED = {"id": "e1", "status": "finished"}


def answers(api, *bodies):
    api.get(f"{BASE}/exports/e1", [{"json": body} for body in bodies])
    return api


def test_it_is_the_one_of_this_moment(requests_mock, client, simulated_time):
    answers(requests_mock, {**FINISHED, "fileUrl": ADDRESS}, {**FINISHED, "fileUrl": ADDRESS + "9"})
    assert fresh_file_url(client, "e1", sleep=simulated_time.sleep) == ADDRESS
    assert fresh_file_url(client, "e1", sleep=simulated_time.sleep) == ADDRESS + "9"
    assert simulated_time.slept == []


def test_a_finished_export_without_one_is_asked_again(requests_mock, client, simulated_time):
    answers(requests_mock, FINISHED, FINISHED, {**FINISHED, "fileUrl": ADDRESS})
    assert fresh_file_url(client, "e1", pause=2.0, sleep=simulated_time.sleep) == ADDRESS
    assert simulated_time.slept == [2.0, 4.0]


def test_one_that_never_gets_one_is_told_within_a_bound(requests_mock, client, simulated_time):
    api = answers(requests_mock, FINISHED)
    with pytest.raises(UnexpectedResponse, match="in 3 responses"):
        fresh_file_url(client, "e1", attempts=3, sleep=simulated_time.sleep)
    assert api.call_count == 3
    assert len(simulated_time.slept) == 2


def test_an_address_that_comes_before_the_end_is_not_given(requests_mock, client, simulated_time):
    answers(requests_mock, {"id": "e1", "status": "inProgress", "progress": 1, "total": 4, "fileUrl": ADDRESS})
    with pytest.raises(InvalidArgument, match=r"not finished \(inProgress, 1 of 4") as raised:
        fresh_file_url(client, "e1", sleep=simulated_time.sleep)
    assert "ConnectifExportSensor" in str(raised.value)
    assert "signed" not in str(raised.value)


def test_a_failed_export_has_none(requests_mock, client, simulated_time):
    answers(requests_mock, {"id": "e1", "status": "error", "fileUrl": ADDRESS})
    with pytest.raises(ExportFailed):
        fresh_file_url(client, "e1", sleep=simulated_time.sleep)


def test_an_export_that_does_not_exist_has_none(requests_mock, client, simulated_time):
    requests_mock.get(f"{BASE}/exports/e1", status_code=404)
    with pytest.raises(NotFound):
        fresh_file_url(client, "e1", sleep=simulated_time.sleep)


def test_it_is_not_logged(requests_mock, client, simulated_time, caplog):
    answers(requests_mock, FINISHED, {**FINISHED, "fileUrl": ADDRESS})
    fresh_file_url(client, "e1", sleep=simulated_time.sleep)
    assert "requesting it again" in caplog.text
    assert "signed=" not in caplog.text
