# SPDX-License-Identifier: Apache-2.0
"""This package's errors as Airflow's: final ones are not retried, others are, as often as the task's ``retries``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout

from airflow_provider_connectif.api.errors import ConnectifError, InvalidArgument, WaitTimeout
from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError, describe_task

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator


@contextmanager
def airflow_errors(operator: BaseOperator | None = None) -> Iterator[None]:
    """Raise this package's errors as Airflow's.

    Always ``from None``: the original error's context may contain the signed URL of a file.

    :param operator: the task, which the messages about arguments then name
    :raises AirflowSensorTimeout: if a wait reached its deadline
    :raises AirflowFailException: if a retry cannot help
    :raises AirflowException: if a retry may help
    """
    try:
        yield
    except InvalidArgument as error:
        raise ConnectifArgumentError(f"{describe_task(operator)}{error}") from None
    except WaitTimeout as error:
        raise AirflowSensorTimeout(str(error)) from None
    except (ConnectifError, FileError) as error:
        raise (AirflowFailException if error.final else AirflowException)(str(error)) from None
