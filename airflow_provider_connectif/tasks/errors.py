# SPDX-License-Identifier: Apache-2.0
"""The package's errors as Airflow's: final ones are not retried, the others are, as often as the author said."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_connectif.api.errors import ConnectifError, InvalidArgument
from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError


@contextmanager
def airflow_errors() -> Iterator[None]:
    """Raise the package's errors as Airflow's.

    ``from None`` throughout: what lies below may hold the address of a file.

    :raises AirflowFailException: where trying again cannot help.
    :raises AirflowException: where it may.
    """
    try:
        yield
    except InvalidArgument as problem:
        raise ConnectifArgumentError(str(problem)) from None
    except (ConnectifError, FileError) as problem:
        kind = AirflowFailException if problem.final else AirflowException
        raise kind(str(problem)) from None
