# SPDX-License-Identifier: Apache-2.0
"""When a refusal of the API is definite.

One 404 is not a deletion: a replica of the API may lag behind. Of the errors,
:class:`~airflow_provider_connectif.api.errors.Refused` is only raised for responses of the API itself; here, such a
refusal becomes definite when the API repeats it over a grace period. The period is longer for an export that has not
been seen yet, since it may have just been created.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass


@dataclass(frozen=True)
class RefusalPolicy:
    """How long a refusal must be repeated.

    :param seen: seconds, for an export that the API has returned before
    :param unseen: seconds, for an export that it has not returned yet
    :param interval: seconds between two requests, for a caller that does nothing else in the meantime
    """

    seen: float = 60.0
    unseen: float = 180.0
    interval: float = 5.0


class Refusals:
    """Keeps since when the API has been refusing each export.

    :param policy: how long a refusal must be repeated
    :param clock: returns seconds, monotonic
    """

    def __init__(self, policy: RefusalPolicy | None = None, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._policy = policy or RefusalPolicy()
        self._clock = clock
        self._refused_since: dict[Hashable, float] = {}
        self._seen: set[Hashable] = set()

    def see(self, key: Hashable) -> None:
        """Note that the API has returned an export.

        :param key: the export's id, or anything else that a refusal is about
        """
        self._seen.add(key)
        self._refused_since.pop(key, None)

    def is_definite(self, key: Hashable) -> bool:
        """Note a refusal, and return whether the API has repeated it over the whole grace period.

        :param key: the export's id, or anything else that a refusal is about
        """
        now = self._clock()
        since = self._refused_since.setdefault(key, now)
        return now - since >= (self._policy.seen if key in self._seen else self._policy.unseen)
