# SPDX-License-Identifier: Apache-2.0
"""The trigger's event when the task resumes, and which errors Airflow retries."""

from __future__ import annotations

import json

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_connectif.api.errors import (
    AuthenticationFailed,
    ExportFailed,
    InvalidArgument,
    NotFound,
    ServerError,
)
from airflow_provider_connectif.files.errors import ArchiveCorrupt, RemoteFileUnavailable
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.tasks.errors import airflow_errors
from airflow_provider_connectif.tasks.waiting import error_event, finished_exports


def test_a_finished_event_contains_the_ids():
    assert finished_exports({"status": "finished", "export_ids": ["a", "b"]}, 5) == ["a", "b"]


@pytest.mark.parametrize(
    ("event", "kind", "message"),
    [
        ({"status": "timeout", "message": "a (queued)"}, AirflowSensorTimeout, "Timed out after 5 s.*for a .queued"),
        ({"status": "error", "message": "no", "final": True}, AirflowFailException, "no"),
        ({"status": "error", "message": "no", "final": False}, AirflowException, "no"),
        (None, AirflowException, "without an event"),
        ({}, AirflowException, "without an event"),
    ],
)
def test_any_other_event_raises_an_error(event, kind, message):
    with pytest.raises(AirflowException, match=message) as caught, airflow_errors():
        finished_exports(event, 5)
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    "error",
    [
        ExportFailed("a", "cancelled"),
        NotFound("no a", status=404),
        AuthenticationFailed("no", status=401),
        InvalidArgument("a", "is missing."),
        ServerError("down", status=503),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_event_raises_the_same_error(error):
    event = json.loads(json.dumps(error_event(error)))
    with pytest.raises(type(error)) as caught:
        finished_exports(event, 5)
    assert type(caught.value) is type(error)
    assert str(caught.value) == str(error)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (InvalidArgument("a", "b"), ConnectifArgumentError),
        (ExportFailed("a", "error"), AirflowFailException),
        (ServerError("500", status=500), AirflowException),
        (ArchiveCorrupt("broken"), AirflowFailException),
        (RemoteFileUnavailable("away"), AirflowException),
    ],
)
def test_errors_become_airflows_and_hide_their_context(error, kind):
    """The context may contain the signed URL of a file."""
    with pytest.raises(AirflowException) as caught, airflow_errors():
        raise error
    assert type(caught.value) is kind
    assert str(caught.value) == str(error)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_other_errors_are_unchanged():
    with pytest.raises(ZeroDivisionError), airflow_errors():
        raise ZeroDivisionError
