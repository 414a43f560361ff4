# SPDX-License-Identifier: Apache-2.0
"""The API's rate limit: how long a response asks to wait, and when the next request may be sent.

Three kinds of headers are in use: ``Retry-After``, ``RateLimit-*`` and ``X-RateLimit-*``, each in several forms, see
:func:`~airflow_provider_connectif.http_headers.parse_wait`. Waiting is measured by the monotonic clock.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from airflow_provider_connectif.http_headers import parse_number, parse_wait, server_time

#: A wait is lengthened by a random share of up to this, so that clients do not all come back at once.
JITTER = 0.25


def requested_wait(headers: Mapping[str, str], *, now: float, limited: bool) -> float | None:
    """Return how many seconds a response asks to wait.

    :param headers: the response's headers, case-insensitive
    :param now: epoch seconds by the server's clock, for a response without ``Date``
    :param limited: whether the status is 429: then the limit is reached, whatever number of requests remains
    :return: seconds; ``None`` if the headers do not say, or ask for something implausible
    """
    now = server_time(headers, default=now)
    seconds = parse_wait(headers.get("Retry-After"), now=now)
    for prefix in ("RateLimit", "X-RateLimit"):
        if seconds is None and _is_spent(headers.get(f"{prefix}-Remaining"), limited):
            seconds = parse_wait(headers.get(f"{prefix}-Reset"), now=now, standard=not prefix.startswith("X-"))
    return seconds


def _is_spent(remaining: str | None, limited: bool) -> bool:
    number = parse_number(remaining)
    return limited or (number is not None and number <= 0)


class RateLimit:
    """Keeps the time before which no request should be sent.

    :param clock: returns epoch seconds
    :param monotonic: returns monotonic seconds
    :param random: returns a number from 0 to 1, for the jitter
    """

    def __init__(
        self, *, clock: Callable[[], float], monotonic: Callable[[], float], random: Callable[[], float]
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._random = random
        self._not_before = -math.inf
        self._server_time: tuple[float, float] | None = None

    def observe(self, headers: Mapping[str, str], *, limited: bool = False) -> float | None:
        """Take a response's headers into account.

        :param headers: the response's headers, case-insensitive
        :param limited: whether the status is 429
        :return: the seconds that they ask to wait, without jitter; ``None`` if they do not say
        """
        if headers.get("Date"):
            now = server_time(headers, default=self.server_now().timestamp())
            self._server_time = now, self._monotonic()
        wait = requested_wait(headers, now=self.server_now().timestamp(), limited=limited)
        if wait is not None:
            self._not_before = max(self._not_before, self._monotonic() + wait * (1 + JITTER * self._random()))
        return wait

    def delay(self) -> float:
        """Return how many seconds to wait before the next request."""
        return max(0.0, self._not_before - self._monotonic())

    def server_now(self) -> datetime:
        """Return the current time by the server's clock, judging by its last ``Date`` (which has whole seconds)."""
        if self._server_time is None:
            return datetime.fromtimestamp(self._clock(), tz=timezone.utc)
        then, observed = self._server_time
        return datetime.fromtimestamp(then + self._monotonic() - observed, tz=timezone.utc)
