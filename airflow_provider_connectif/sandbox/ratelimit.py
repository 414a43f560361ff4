# SPDX-License-Identifier: Apache-2.0
"""The rate limit of the API: a number of requests per window, reported in one of several styles of headers."""

from __future__ import annotations

import math
from email.utils import formatdate

from airflow_provider_connectif.sandbox.options import SandboxOptions


class RateLimit:
    """A counter of requests in windows that start at multiples of their length."""

    def __init__(self) -> None:
        self._window = -1
        self._used = 0

    def take(self, options: SandboxOptions, now: float) -> tuple[bool, dict[str, str]]:
        """Count a request.

        :param now: the server's time, in epoch seconds
        :return: whether the request is within the limit, and the headers that report the limit
        """
        if not options.rate_limit:
            return True, {}
        window = math.floor(now / options.rate_limit_window)
        if window != self._window:
            self._window, self._used = window, 0
        self._used += 1
        allowed = self._used <= options.rate_limit
        reset = (window + 1) * options.rate_limit_window
        return allowed, self._headers(options, allowed, now, reset)

    def _headers(self, options: SandboxOptions, allowed: bool, now: float, reset: float) -> dict[str, str]:
        style = options.rate_limit_headers
        seconds = str(max(1, math.ceil(reset - now)))
        if style in ("ratelimit", "x-ratelimit"):
            prefix = "RateLimit" if style == "ratelimit" else "X-RateLimit"
            return {
                f"{prefix}-Limit": str(options.rate_limit),
                f"{prefix}-Remaining": str(max(0, options.rate_limit - self._used)),
                f"{prefix}-Reset": seconds if style == "ratelimit" else str(math.ceil(reset)),
            }
        if allowed or style == "none":
            return {}
        if style == "retry-after":
            return {"Retry-After": seconds}
        return {"Retry-After": formatdate(math.ceil(reset), usegmt=True)}
