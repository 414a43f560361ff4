# SPDX-License-Identifier: Apache-2.0
"""How far a download is: a bar for each file on a terminal, and a line now and then elsewhere."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from airflow_provider_connectif.cli.console import ConsoleLog
from airflow_provider_connectif.tasks.progress import Progress

if TYPE_CHECKING:
    from rich.progress import TaskID

OnProgress = Callable[[str, int, "int | None"], None]
"""Takes an object's name, the bytes written of it so far, and how many there will be, where that is known."""


@contextmanager
def show_progress(stream: TextIO) -> Iterator[OnProgress]:
    """Show progress while the context lasts.

    :param stream: where to, such as the standard error.
    """
    if stream.isatty() and os.environ.get("TERM") != "dumb":
        with _bars(stream) as on_progress:
            yield on_progress
    else:
        yield Progress(ConsoleLog(stream).info)


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
    ) as shown:
        bars: dict[str, TaskID] = {}
        sizes: dict[str, int] = {}

        def end(names: list[str]) -> None:
            # The size that was known before is an upper bound only, for files that are compressed.
            for name in names:
                shown.update(bars[name], total=sizes[name], completed=sizes[name])

        def on_progress(name: str, done: int, total: int | None) -> None:
            if name not in bars:
                end(list(bars)[-1:])
                bars[name] = shown.add_task(name, total=total)
            sizes[name] = done
            shown.update(bars[name], completed=done)

        yield on_progress
        end(list(bars)[-1:])
