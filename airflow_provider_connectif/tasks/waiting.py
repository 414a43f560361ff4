# SPDX-License-Identifier: Apache-2.0
"""Waiting inside a task: in the worker or in the triggerer, and the trigger's event when the task resumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.providers.common.compat.sdk import AirflowException, conf

from airflow_provider_connectif.api import errors
from airflow_provider_connectif.api.errors import ConnectifError, Unavailable, WaitTimeout

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import RetryPolicy


def poll_retry_policy() -> RetryPolicy:
    """Return how a poll is retried: once, since the next poll is soon."""
    from airflow_provider_connectif.api.client import RetryPolicy

    return RetryPolicy(attempts=2, seconds=60.0)


def one_attempt() -> RetryPolicy:
    """Return the policy of a client that never sleeps: its caller waits and retries without blocking a thread."""
    from airflow_provider_connectif.api.client import RetryPolicy

    return RetryPolicy(attempts=1, seconds=0.0)


def default_deferrable(deferrable: bool | None) -> bool:
    """Return the argument, or Airflow's ``[operators] default_deferrable`` if it is None."""
    return conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable


def finished_event(export_ids: Sequence[str]) -> dict[str, Any]:
    """Return the event of a wait whose exports are finished."""
    return {"status": "finished", "export_ids": list(export_ids)}


def timeout_event(description: str, export_ids: Sequence[str] | None) -> dict[str, Any]:
    """Return the event of a wait that reached its deadline.

    :param description: what was waited for, and its progress
    :param export_ids: the ids, unless the wait was for an export that matches a filter
    """
    return {"status": "timeout", "message": description, "export_ids": export_ids}


def error_event(error: ConnectifError) -> dict[str, Any]:
    """Return the event of a wait that an error ended; :func:`finished_exports` raises the same error."""
    kind, arguments = cast("tuple[Any, ...]", error.__reduce__())[:2]
    return {
        "status": "error",
        "kind": kind.__name__,
        "arguments": list(arguments),
        "message": str(error),
        "final": error.final,
    }


def finished_exports(event: Mapping[str, Any] | None, timeout: float) -> list[str]:
    """Return the ids of the finished exports of a trigger's event, or raise its error.

    :param event: the event of a :class:`~airflow_provider_connectif.triggers.connectif.ConnectifExportTrigger`
    :param timeout: seconds, for the error message
    :raises WaitTimeout: if the wait reached its deadline
    :raises ConnectifError: the error that ended the wait
    :raises AirflowException: if there is no event
    """
    if not event or "status" not in event:
        raise AirflowException("The trigger ended without an event; the task can be retried.")
    if event["status"] == "finished":
        return list(event["export_ids"])
    if event["status"] == "timeout":
        raise WaitTimeout(str(event["message"]), timeout)
    raise _error_of(event)


def _error_of(event: Mapping[str, Any]) -> ConnectifError:
    kind = getattr(errors, str(event.get("kind")), None)
    if isinstance(kind, type) and issubclass(kind, ConnectifError) and "arguments" in event:
        return kind(*event["arguments"])
    # A triggerer with another version of this package may know other errors.
    kind = ConnectifError if event.get("final", True) else Unavailable
    return kind(str(event["message"]))
