# SPDX-License-Identifier: Apache-2.0
"""What is recorded about a piece of work beyond the end of its processes, and about the request that it belongs to."""

from __future__ import annotations

from typing import Any, Protocol


class Record(Protocol):
    """Stores the state of one piece of work beyond the end of a process, such as Airflow's task state store."""

    def read(self) -> dict[str, Any] | None:
        """Return the state that was written last, ``None`` if there is none."""

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state."""

    def drop(self) -> None:
        """Delete the state."""


class MemoryRecord:
    """A record that is kept in memory, for use without a state store."""

    def __init__(self) -> None:
        self._state: dict[str, Any] | None = None

    def read(self) -> dict[str, Any] | None:
        """Return the state that was written last."""
        return self._state

    def write(self, state: dict[str, Any]) -> None:
        """Replace the state."""
        self._state = dict(state)

    def drop(self) -> None:
        """Delete the state."""
        self._state = None


class Generation(Protocol):
    """Distinguishes an attempt that repeats the work, because it was requested again, from a mere retry."""

    def as_json(self) -> Any:
        """Return what is recorded, as a JSON value."""

    def is_repetition_of(self, recorded: Any) -> bool:
        """Return whether the work was requested again after an attempt recorded its generation.

        :param recorded: what :meth:`as_json` returned then
        """


class SingleGeneration:
    """The generation of work that is requested only once."""

    def as_json(self) -> Any:
        """Return what is recorded."""
        return None

    def is_repetition_of(self, recorded: Any) -> bool:
        """Return false."""
        return False
