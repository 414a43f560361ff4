# SPDX-License-Identifier: Apache-2.0
"""Whether a task instance was cleared since an earlier attempt, or is merely retried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Context


@dataclass(frozen=True)
class TaskGeneration:
    """What an attempt knows about the clearings of its task instance, which Airflow does not count.

    What there is (Airflow 3.0 to 3.3, ``airflow.models.taskinstance.clear_task_instances``):

    - Clearing a task sets ``max_tries`` to the number of its last attempt, plus ``retries`` in the serialized DAG. A
      retry changes neither. If the task was running, ``max_tries`` changes when its process has been stopped.
    - Clearing any task of a run increases ``dag_run.clear_number``, unless the API's client asks for
      ``reset_dag_runs=False``.

    So if ``max_tries`` has changed, in either direction, then this task was cleared. It may also be the same after a
    clearing: if ``retries`` was reduced by exactly the number of attempts so far. Then ``max_tries - retries`` is the
    number of the attempt after which the task was cleared, which is not before the recorded one, and before this one.

    What remains ambiguous:

    - ``retries`` is reduced by that number between an attempt and its *retry*, and another task of the run is cleared
      meanwhile. This is considered a clearing, because it is much rarer than clearing a task with fewer ``retries``.
      Its consequence is a second export only if the arguments have changed, or the first attempt had succeeded without
      being able to report it.
    - A *running* task is cleared, and its worker dies before it can be stopped. This is considered a retry: the attempt
      continues with the export, even if the arguments were corrected.
    - With ``reset_dag_runs=False``, or while the DAG cannot be parsed, the task is cleared without any change that it
      could see. This is considered a retry.

    :param max_tries: the task instance's ``max_tries``
    :param clear_number: the run's ``clear_number``; ``None`` if it is not known
    :param try_number: the number of the attempt, from 1; ``None`` if it is not known
    :param retries: the task's ``retries``; ``None`` if it is not known
    """

    max_tries: int
    clear_number: int | None = None
    try_number: int | None = None
    retries: int | None = None

    @classmethod
    def of(cls, context: Context) -> TaskGeneration:
        """Return the generation of a running attempt.

        :param context: the task's context
        """
        task_instance: Any = context["ti"]
        return cls(
            max_tries=_number(getattr(task_instance, "max_tries", None)) or 0,
            clear_number=_number(getattr(context.get("dag_run"), "clear_number", None)),
            try_number=_number(getattr(task_instance, "try_number", None)),
            retries=_number(getattr(getattr(task_instance, "task", None), "retries", None)),
        )

    def as_json(self) -> dict[str, Any]:
        """Return what is recorded."""
        return {"max_tries": self.max_tries, "clear_number": self.clear_number, "try_number": self.try_number}

    def is_repetition_of(self, recorded: Any) -> bool:
        """Return whether the task was cleared after an attempt recorded its generation.

        :param recorded: what :meth:`as_json` returned then
        """
        if not isinstance(recorded, Mapping) or _number(recorded.get("max_tries")) != self.max_tries:
            return True
        before, clear_number = _number(recorded.get("clear_number")), self.clear_number
        if before is None or clear_number is None or clear_number <= before:
            return False
        recorded_try = _number(recorded.get("try_number"))
        if recorded_try is None or self.try_number is None or self.retries is None:
            return False
        return recorded_try <= self.max_tries - self.retries < self.try_number


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
