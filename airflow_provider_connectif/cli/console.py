# SPDX-License-Identifier: Apache-2.0
"""How a command speaks with people: its result on the standard output, all other words on the standard error."""

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
    """Make a command of a function: without Airflow's log lines unless ``--verbose``, and with errors for people.

    :param work: takes the parsed arguments.
    """

    @suppress_logs_and_warning
    @providers_configuration_loaded
    @functools.wraps(work)
    def run(args: Namespace) -> None:
        with exit_with_message(), database_connections():
            work(args)

    return run


class ConsoleLog:
    """Takes what the package tells its log, and writes it for people.

    :param stream: where to; the standard error of the moment when not given.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def info(self, words: str, *values: object) -> None:
        """Write a line."""
        self._stream.write(f"{words % values if values else words}\n")
        self._stream.flush()

    warning = info


@contextmanager
def exit_with_message() -> Iterator[None]:
    """End with exit code 1 and one sentence in place of a traceback.

    What lies below an error of the package, and the text of any other error, may hold the address of a file.
    """
    try:
        yield
    except InvalidArgument as problem:
        raise SystemExit(f"{_as_typed(problem.argument)}: {problem.problem}") from None
    except (ConnectifError, FileError, AirflowException) as problem:
        raise SystemExit(str(problem)) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except BrokenPipeError:
        # Whoever read the output has seen enough; Python would complain when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except Exception as problem:
        raise SystemExit(_unexpected(problem)) from None


@contextmanager
def database_connections() -> Iterator[None]:
    """Have connections of Airflow's database found, and not those of the environment and secrets backends alone.

    Airflow's own ``airflow connections test`` says in this same way that it runs where the database is.
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


def _as_typed(argument: str) -> str:
    return argument if argument in _POSITIONAL else f"--{argument.replace('_', '-')}"


def _unexpected(problem: Exception) -> str:
    frames = traceback.extract_tb(problem.__traceback__)
    place = f" in {Path(frames[-1].filename).name}, line {frames[-1].lineno}" if frames else ""
    return (
        f"Something unexpected went wrong: {type(problem).__name__}{place}. "
        "Its text is left out, for it may hold a secret. Please report this."
    )
