# SPDX-License-Identifier: Apache-2.0
"""Waiting inside a task: where it was deferred to, and what the trigger's event means when it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    conf,
)

if TYPE_CHECKING:
    from airflow_provider_connectif.api.client import RetryPolicy


def looking_patience() -> RetryPolicy:
    """Give the patience of a look at a waiting export: a look that fails is no matter, the next one is its retry."""
    from airflow_provider_connectif.api.client import RetryPolicy

    return RetryPolicy(attempts=2, seconds=60.0)


def default_deferrable(deferrable: bool | None) -> bool:
    """Give the author's choice, or Airflow's ``[operators] default_deferrable``."""
    return conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable


def timed_out(waited_for: str, timeout: float) -> AirflowSensorTimeout:
    """Make the error of a wait that is over before its exports are.

    :param waited_for: words.
    :param timeout: seconds.
    """
    return AirflowSensorTimeout(
        f"Waited {timeout:.0f} s, the task's timeout, for {waited_for}. "
        "Raise timeout, or look at the export in the Connectif application."
    )


def result_of(event: Mapping[str, Any] | None, timeout: float) -> list[str]:
    """Take a trigger's event apart.

    :param event: what :class:`~airflow_provider_connectif.triggers.connectif.ConnectifExportTrigger` yields.
    :param timeout: seconds, for the error.
    :return: the finished exports' ids.
    :raises AirflowSensorTimeout: where the time was over.
    :raises AirflowFailException: where trying again cannot help.
    :raises AirflowException: where it may.
    """
    if not event or "status" not in event:
        raise AirflowException("The trigger came back without an event of its own; the task can be retried.")
    if event["status"] == "finished":
        return list(event["export_ids"])
    if event["status"] == "timeout":
        raise timed_out(str(event["message"]), timeout)
    kind = AirflowFailException if event.get("final", True) else AirflowException
    raise kind(str(event["message"]))
