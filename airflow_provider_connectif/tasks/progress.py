# SPDX-License-Identifier: Apache-2.0
"""Progress in the log at sensible moments: not at every block, and not in silence for minutes."""

from __future__ import annotations

import time
from collections.abc import Callable


class Progress:
    """Says how far the storing of each object is.

    :param say: takes a line for the log.
    :param every: seconds between two lines of one object.
    :param clock: seconds, from any beginning.
    """

    def __init__(
        self,
        say: Callable[[str], None],
        *,
        every: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say = say
        self._every = every
        self._clock = clock
        self._name: str | None = None
        self._began = 0.0
        self._said = 0.0

    def __call__(self, name: str, done: int, total: int | None) -> None:
        """Take note.

        :param name: the object's.
        :param done: bytes written so far.
        :param total: bytes that there will be, where known. An upper bound of what is written, for compressed objects.
        """
        now = self._clock()
        if name != self._name:
            self._name, self._began, self._said = name, now, now
        if now - self._said < self._every:
            return
        self._said = now
        speed = done / max(now - self._began, 0.001)
        line = f"{name}: {size(done)}"
        if total and done <= total:
            line += f" of {size(total)} ({100 * done // total}%)"
        line += f", {size(int(speed))}/s"
        if total and speed and done <= total:
            line += f", about {(total - done) / speed:.0f} s to go"
        self._say(line + ".")


def size(count: int) -> str:
    """Write a number of bytes for people, such as ``1.4 GB``."""
    if count < 1000:
        return f"{count} bytes"
    number = float(count)
    for unit in ("kB", "MB", "GB"):
        number /= 1000
        if number < 1000:
            return f"{number:.1f} {unit}"
    return f"{number / 1000:.1f} TB"
