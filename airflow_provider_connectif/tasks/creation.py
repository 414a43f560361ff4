# SPDX-License-Identifier: Apache-2.0
"""The export that a task instance creates: one, however often the task is retried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_connectif.api.creation import create_once, mark_done
from airflow_provider_connectif.api.errors import ExportFailed, NotFound
from airflow_provider_connectif.tasks.generation import TaskGeneration
from airflow_provider_connectif.tasks.state_store import get_creation_record, get_record

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context

    from airflow_provider_connectif.api.client import ConnectifClient
    from airflow_provider_connectif.api.export_request import ExportRequest


def create_export(context: Context, client: ConnectifClient, request: ExportRequest) -> str:
    """Create the task instance's export, or find the one that an earlier attempt created, and return its id."""
    return create_once(client, request, get_creation_record(context), generation=TaskGeneration.of(context))


def mark_succeeded(context: Context) -> None:
    """Record that the task has succeeded, so that it creates another export if it is cleared."""
    mark_done(get_record(context), TaskGeneration.of(context))


@contextmanager
def new_export_on_retry(context: Context) -> Iterator[None]:
    """If the task instance's export has failed or was deleted, let a retry create another one.

    :raises AirflowException: instead of the final error, so that Airflow retries the task
    """
    try:
        yield
    except (ExportFailed, NotFound) as error:
        get_record(context).drop()
        raise AirflowException(str(error)) from None
