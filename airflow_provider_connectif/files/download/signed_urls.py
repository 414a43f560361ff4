# SPDX-License-Identifier: Apache-2.0
"""Signed URLs: which one to use, and when to request a new one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from airflow_provider_connectif.files.download.transport import SignedUrl


class SignedUrls:
    """
    The signed URL in use, renewed when it expires or is refused.

    :param renew: returns a new signed URL
    :param lifetime: seconds that a URL is valid for
    :param clock: returns monotonic seconds
    """

    def __init__(self, renew: Callable[[], str], lifetime: float, clock: Callable[[], float]) -> None:
        self._renew = renew
        self._lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        self._url: SignedUrl | None = None
        self._renewed_at = 0.0
        self._refused = 0

    def current(self) -> SignedUrl:
        """Return a URL that should work: a new one if the last one was refused or is about to expire."""
        with self._lock:
            if self._url is None or self._clock() - self._renewed_at >= 0.9 * self._lifetime:
                now = self._clock()
                self._url = SignedUrl(self._renew())
                self._renewed_at = now
            return self._url

    def mark_refused(self, url: SignedUrl) -> int:
        """Stop using a URL. Return how many were refused since the last one that worked."""
        with self._lock:
            if self._url is url:
                self._url = None
                self._refused += 1
            return self._refused

    def mark_working(self) -> None:
        """Note that the current URL returned bytes of the file."""
        self._refused = 0

    def host(self) -> str:
        """Return the host name of the current URL."""
        url = self._url
        return (urlsplit(url.value).hostname or "") if url else ""
