# SPDX-License-Identifier: Apache-2.0
"""The lease on stores that ignore conditions: each writer has a claim, and the earliest one holds the folder.

The store's clock decides: the time at which a claim was first written, and the token if the times are equal. Such a
clock may tick in seconds, so a claim counts only if it is still the earliest after :attr:`Timing.settle_seconds`. That
time passes while the export is uploaded.

A writer waits for all earlier claims, and renews its own meanwhile. A claim that is dead, released or of the same task
instance is deleted, after its note was added to the own claim.

This is weaker than conditional requests: a process that stops between two requests for longer than
:attr:`Timing.expire_seconds` may write its claim again after it was considered dead.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from airflow_provider_connectif.files.folder.lease import Lease, LeaseContent
from airflow_provider_connectif.files.folder.notes import merge
from airflow_provider_connectif.files.stores.base import StoredObject

PREFIX = ".connectif_claim."

_JUST_LISTED_SECONDS = 1.0


class LeaseClaims(Lease):
    """One object for each writer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._name = f"{PREFIX}{self._content.token}.json"
        self._claimed_at: float | None = None
        self._settled = False
        self._listing: dict[str, StoredObject] = {}
        self._listed_at = float("-inf")

    def list_folder(self) -> dict[str, StoredObject]:
        """Return what the folder contains, by name, once this writer surely holds it."""
        if self._settled:
            return super().list_folder()
        if self._claimed_at is not None:
            remaining = self._claimed_at + self._timing.settle_seconds - self._timing.monotonic()
            if remaining > 0:
                self._timing.sleep(remaining)
        self._wait(take_over=False)
        self._settled = True
        return self._listing

    def _try_to_acquire(self, take_over: bool) -> LeaseContent | None:
        with self._lock:
            if self._taken_by is not None:
                raise self.taken()
            if self._claimed_at is None or not self._may_exist:
                self._claim()
            elif self._timing.monotonic() - self._confirmed_at >= self._timing.renew_seconds:
                self._renew()
            self._listed_at = self._timing.monotonic()
            self._listing = {each.name: each for each in self._store.find()}
            own = self._listing.get(self._name)
            if own is None:
                return self._claim_again()
            if self._content.since is None:
                self._content = replace(self._content, since=own.modified or 0.0)
            earlier = self._find_earlier(take_over)
            return min(earlier, key=_place) if earlier else None

    def _claim(self) -> None:
        self._confirmed_at = self._timing.monotonic()
        self._content = replace(self._content, counter=self._content.counter + 1, since=None)
        self._may_exist = True
        self._store.put(self._name, self._content.to_bytes())
        self._claimed_at = self._timing.monotonic()
        self._settled = False

    def _claim_again(self) -> LeaseContent:
        """Another writer has deleted the claim, because this process seemed to be dead."""
        if self._held:
            self._taken_by = {}
            raise self.taken()
        self._claimed_at, self._may_exist = None, False
        return LeaseContent(holder={}, token="")

    def _find_earlier(self, take_over: bool) -> list[LeaseContent]:
        """Return the claims to wait for; if there are none, take over those that are dead."""
        earlier, dead = [], {}
        for name in sorted(self._listing):
            data = self._store.read(name) if name.startswith(PREFIX) and name != self._name else None
            if data is None:
                continue
            other = LeaseContent.from_bytes(data)
            if other.since is None:
                other = replace(other, since=self._listing[name].modified or 0.0)
            if self._may_take_over(other, name, data, take_over):
                dead[name] = other
            elif not other.token or _place(other) < _place(self._content):
                # One that cannot be read may be being renewed at this moment, so that its time does not count.
                earlier.append(other)
        if not earlier:
            for name, other in dead.items():
                self._absorb(name, other)
        return earlier

    def _absorb(self, name: str, other: LeaseContent) -> None:
        if other.note:
            self._renew(note=merge(other.note, self._content.note))
        self._store.delete(name)
        self._listing.pop(name)

    def _replace(self, content: LeaseContent) -> LeaseContent | None:
        # A writer that has taken over has deleted the claim. Has a listing just shown that it exists?
        if self._timing.monotonic() - self._listed_at < _JUST_LISTED_SECONDS or self._exists():
            self._store.put(self._name, content.to_bytes())
            return None
        return LeaseContent(holder={}, token="")

    def _remove(self) -> LeaseContent | None:
        if self._exists():
            self._store.delete(self._name)
            return None
        return LeaseContent(holder={}, token="")

    def _exists(self) -> bool:
        return self._store.info(self._name) is not None


def _place(content: LeaseContent) -> tuple[float, str]:
    return content.since or 0.0, content.token
