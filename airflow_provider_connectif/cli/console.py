# SPDX-License-Identifier: Apache-2.0
"""What the commands print: results to standard output, everything else to standard error."""

from __future__ import annotations

import functools
import os
import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from airflow.providers.common.compat.sdk import AirflowException
from airflow.utils.cli import suppress_logs_and_warning
from airflow.utils.providers_configuration_loader import providers_configuration_loaded

from airflow_provider_connectif.api.errors import ConnectifError, InvalidArgument
from airflow_provider_connectif.files.errors import FileError

_POSITIONAL = ("destination", "export_id", "export_type")
_CONTEXT = "_AIRFLOW_PROCESS_CONTEXT"


def command(work: Callable[[Namespace], None]) -> Callable[[Namespace], None]:
    """Make a command of a function: without log lines unless ``--verbose``, and with messages instead of tracebacks.

    :param work: called with the parsed arguments
    """

    @suppress_logs_and_warning
    @providers_configuration_loaded
    @functools.wraps(work)
    def run(args: Namespace) -> None:
        with exit_with_message(), database_connections():
            work(args)

    return run


class ConsoleLog:
    """A log whose messages are printed, without level and time.

    :param stream: where to print; the current standard error by default
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def info(self, message: str, *args: object) -> None:
        """Print a line."""
        self._stream.write(f"{message % args if args else message}\n")
        self._stream.flush()

    warning = info


@contextmanager
def exit_with_message() -> Iterator[None]:
    """Exit with code 1 and one message instead of a traceback.

    The context of this package's errors, and the text of any other error, may contain the signed URL of a file.
    """
    try:
        yield
    except InvalidArgument as error:
        raise SystemExit(f"{_option_name(error.argument)}: {error.problem}") from None
    except (ConnectifError, FileError, AirflowException) as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of the output, such as `head`, is done. Python would report an error when it flushes the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as error:
        raise SystemExit(_unexpected(error)) from None


@contextmanager
def database_connections() -> Iterator[None]:
    """Find connections in Airflow's database too, not only in the environment and in secrets backends.

    Airflow's own ``airflow connections test`` sets the same variable.
    """
    before = os.environ.get(_CONTEXT)
    os.environ[_CONTEXT] = "server"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_CONTEXT]
        else:
            os.environ[_CONTEXT] = before


def _option_name(argument: str) -> str:
    return argument if argument in _POSITIONAL else f"--{argument.replace('_', '-')}"


def _unexpected(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return (
        f"Unexpected error: {type(error).__name__}{place}. "
        "Its message is not shown because it may contain a secret. Please report this."
    )
