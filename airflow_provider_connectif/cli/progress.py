# SPDX-License-Identifier: Apache-2.0
"""The progress of a download: a bar for each file in a terminal, and a line every few seconds elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from airflow_provider_connectif.cli.console import ConsoleLog
from airflow_provider_connectif.tasks.progress import ProgressLog

if TYPE_CHECKING:
    from rich.progress import TaskID

#: Called with an object's name, the bytes written so far, and its size, if known.
OnProgress = Callable[[str, int, "int | None"], None]


@contextmanager
def show_progress(stream: TextIO) -> Iterator[OnProgress]:
    """Show progress while the context is active.

    :param stream: where to show it, such as standard error
    """
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        with _bars(stream) as on_progress:
            yield on_progress
    else:
        yield ProgressLog(ConsoleLog(stream).info)


@contextmanager
def _bars(stream: TextIO) -> Iterator[OnProgress]:
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    with progress.Progress(
        progress.TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        progress.BarColumn(bar_width=20),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
        console=Console(file=stream),
    ) as display:
        bars: dict[str, TaskID] = {}
        sizes: dict[str, int] = {}

        def complete_last_bar() -> None:
            # For files that are compressed, the total was only an upper bound.
            for name in list(bars)[-1:]:
                display.update(bars[name], total=sizes[name], completed=sizes[name])

        def on_progress(name: str, done: int, total: int | None) -> None:
            if name not in bars:
                complete_last_bar()
                bars[name] = display.add_task(name, total=total)
            sizes[name] = done
            display.update(bars[name], completed=done)

        yield on_progress
        complete_last_bar()
