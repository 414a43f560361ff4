# SPDX-License-Identifier: Apache-2.0
"""Signed addresses: which one to use now, and when to ask for another."""

from __future__ import annotations

import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from airflow_provider_connectif.files.download.transport import Address


class Addresses:
    """The address in use, and when to ask for another."""

    def __init__(self, renew: Callable[[], str], lifetime: float, clock: Callable[[], float]) -> None:
        self._renew = renew
        self._lifetime = lifetime
        self._clock = clock
        self._lock = threading.Lock()
        self._address: Address | None = None
        self._born = 0.0
        self._refused = 0

    def current(self) -> Address:
        """Return an address that should work, a fresh one when the last one is refused or nearly over."""
        with self._lock:
            if self._address is None or self._clock() - self._born >= 0.9 * self._lifetime:
                asked = self._clock()
                self._address = Address(self._renew())
                self._born = asked
            return self._address

    def refuse(self, address: Address) -> int:
        """Give an address up. Return how many were refused since the last one that worked."""
        with self._lock:
            if self._address is address:
                self._address = None
                self._refused += 1
            return self._refused

    def accepted(self) -> None:
        """Note that bytes came from the present address."""
        self._refused = 0

    def host(self) -> str:
        """Return the host name of the present address."""
        address = self._address
        return (urlsplit(address.value).hostname or "") if address else ""
