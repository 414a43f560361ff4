# SPDX-License-Identifier: Apache-2.0
"""The errors: one base class, picklable, and each says whether a retry can help."""

from __future__ import annotations

import pickle

import pytest

from airflow_provider_connectif.api import errors
from airflow_provider_connectif.api.errors import (
    ApiError,
    AuthenticationFailed,
    ConnectifError,
    ConnectionProblem,
    ConnectionUnusable,
    CreationOutcomeUnknown,
    ExportFailed,
    InvalidArgument,
    InvalidConnection,
    NotFound,
    PermissionDenied,
    RateLimited,
    Refused,
    RequestRejected,
    ServerError,
    Unavailable,
    UnexpectedResponse,
    WaitTimeout,
)

EXAMPLES = [
    InvalidArgument("to_date", "is missing."),
    InvalidConnection("no key"),
    ConnectionUnusable("no connection"),
    AuthenticationFailed("no", status=401),
    PermissionDenied("no", status=403),
    NotFound("no", status=404),
    RequestRejected("no", status=422),
    UnexpectedResponse("html", status=200),
    RateLimited("slow down", retry_after=7.5),
    ServerError("down", status=503, retry_after=3.0),
    ConnectionProblem("refused", sent=False),
    CreationOutcomeUnknown("no response"),
    ExportFailed("e1", "error"),
    WaitTimeout("e1 (queued)", 60.0),
]
FINAL = {
    InvalidArgument,
    InvalidConnection,
    AuthenticationFailed,
    PermissionDenied,
    NotFound,
    RequestRejected,
    ExportFailed,
    WaitTimeout,
}


def all_errors():
    return {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ConnectifError)}


def test_every_error_is_tested_here():
    assert {type(error) for error in EXAMPLES} == all_errors() - {ConnectifError, ApiError, Refused, Unavailable}


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda error: type(error).__name__)
class TestEach:
    def test_survives_pickling(self, error):
        copy = pickle.loads(pickle.dumps(error))
        assert type(copy) is type(error)
        assert str(copy) == str(error)
        assert vars(copy) == vars(error)

    def test_says_whether_a_retry_can_help(self, error):
        assert error.final is (type(error) in FINAL)

    def test_is_documented(self, error):
        assert type(error).__doc__


def test_a_wrong_argument_is_a_value_error_that_names_it():
    error = InvalidArgument("to_date", "is missing.")
    assert isinstance(error, ValueError)
    assert (str(error), error.argument, error.problem) == ("to_date: is missing.", "to_date", "is missing.")


def test_a_failed_export_is_reported_with_its_status_and_a_remedy():
    assert "e1" in str(ExportFailed("e1", "cancelled"))
    assert "'cancelled'" in str(ExportFailed("e1", "cancelled"))
    assert "new export" in str(ExportFailed("e1", "cancelled"))


def test_the_module_docstring_shows_every_error():
    assert [kind.__name__ for kind in all_errors() if kind.__name__ not in (errors.__doc__ or "")] == []
