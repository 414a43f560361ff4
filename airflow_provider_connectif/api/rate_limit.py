# SPDX-License-Identifier: Apache-2.0
"""How long the API wants us to wait: read from its headers, kept before the next request.

Three styles are met in the wild: ``Retry-After``, ``RateLimit-*`` (seconds to wait) and ``X-RateLimit-*``
(epoch seconds, by the server's clock).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone

from airflow_provider_connectif.api.timestamps import read_http_date

JITTER = 0.25
"""A wait is lengthened by up to this share, so that many waiters do not come back at once."""

_MOST = 24 * 3600.0


def asked_wait(headers: Mapping[str, str], *, now: float, limited: bool) -> float | None:
    """Read how many seconds the API asks to wait.

    :param headers: of the answer, looked up without regard to case.
    :param now: epoch seconds, for an answer without a ``Date``.
    :param limited: whether the answer is a 429, which counts whatever it says to remain.
    :return: seconds; None where the headers do not say.
    """
    server_now = read_http_date(headers.get("Date"))
    server_time = server_now.timestamp() if server_now else now
    retry_after = headers.get("Retry-After")
    if retry_after is not None:
        seconds = _seconds(retry_after)
        if seconds is not None:
            return seconds
        moment = read_http_date(retry_after)
        if moment is not None:
            return _bounded(moment.timestamp() - server_time)
    if _is_spent(headers.get("RateLimit-Remaining"), limited):
        seconds = _seconds(headers.get("RateLimit-Reset"))
        if seconds is not None:
            return seconds
    if _is_spent(headers.get("X-RateLimit-Remaining"), limited):
        epoch = _number(headers.get("X-RateLimit-Reset"))
        if epoch is not None:
            # Some older services write seconds to wait here too; no epoch is that small.
            return _bounded(epoch if epoch < 1e9 else epoch - server_time)
    return None


class Pace:
    """Keeps the moment before which no request should be sent.

    :param clock: epoch seconds.
    :param random: a number from 0 to 1, for the jitter.
    """

    def __init__(self, *, clock: Callable[[], float], random: Callable[[], float]) -> None:
        self._clock = clock
        self._random = random
        self._not_before = -math.inf
        self._ahead = 0.0

    def observe(self, headers: Mapping[str, str], *, limited: bool = False) -> float | None:
        """Take note of an answer's headers.

        :param headers: of the answer.
        :param limited: whether the answer is a 429.
        :return: seconds that they ask to wait, without jitter; None where they do not say.
        """
        now = self._clock()
        server_now = read_http_date(headers.get("Date"))
        if server_now is not None:
            self._ahead = server_now.timestamp() - now
        wait = asked_wait(headers, now=now, limited=limited)
        if wait is not None:
            self._not_before = max(self._not_before, now + self.jittered(wait))
        return wait

    def jittered(self, seconds: float) -> float:
        """Lengthen a wait by a random share of up to :data:`JITTER`."""
        return seconds * (1 + JITTER * self._random())

    def delay(self) -> float:
        """Seconds to wait before the next request; 0 where there is no reason to."""
        return max(0.0, self._not_before - self._clock())

    def server_now(self) -> datetime:
        """The moment by the server's clock, as far as its last ``Date`` told (it is exact to a second)."""
        return datetime.fromtimestamp(self._clock() + self._ahead, tz=timezone.utc)


def _is_spent(remaining: str | None, limited: bool) -> bool:
    number = _number(remaining)
    return limited or (number is not None and number <= 0)


def _seconds(text: str | None) -> float | None:
    number = _number(text)
    return None if number is None else _bounded(number)


def _number(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), _MOST)
