# SPDX-License-Identifier: Apache-2.0
"""What a trigger's event means when the task comes back, and which errors Airflow retries."""

from __future__ import annotations

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_connectif.api.errors import ExportFailed, InvalidArgument, ServerError
from airflow_provider_connectif.files.errors import ArchiveCorrupt, RemoteFileUnavailable
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.tasks.errors import airflow_errors
from airflow_provider_connectif.tasks.waiting import finished_exports


def test_a_finished_event_contains_the_ids():
    assert finished_exports({"status": "finished", "export_ids": ["a", "b"]}, 5) == ["a", "b"]


@pytest.mark.parametrize(
    ("event", "kind", "words"),
    [
        ({"status": "timeout", "message": "a (queued)"}, AirflowSensorTimeout, "Timed out after 5 s.*for a .queued"),
        ({"status": "error", "message": "no", "final": True}, AirflowFailException, "no"),
        ({"status": "error", "message": "no", "final": False}, AirflowException, "no"),
        (None, AirflowException, "without an event"),
        ({}, AirflowException, "without an event"),
    ],
)
def test_another_is_an_error_of_its_kind(event, kind, words):
    with pytest.raises(AirflowException, match=words) as caught, airflow_errors():
        finished_exports(event, 5)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("problem", "kind"),
    [
        (InvalidArgument("a", "b"), ConnectifArgumentError),
        (ExportFailed("a", "error"), AirflowFailException),
        (ServerError("500", status=500), AirflowException),
        (ArchiveCorrupt("broken"), AirflowFailException),
        (RemoteFileUnavailable("away"), AirflowException),
    ],
)
def test_errors_become_airflows_and_hide_their_context(problem, kind):
    """The context may contain the signed URL of a file."""
    with pytest.raises(AirflowException) as caught, airflow_errors():
        raise problem
    assert type(caught.value) is kind
    assert str(caught.value) == str(problem)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_other_errors_are_unchanged():
    with pytest.raises(ZeroDivisionError), airflow_errors():
        raise ZeroDivisionError
