# SPDX-License-Identifier: Apache-2.0
"""The lease on stores that honour conditional requests: one object for each folder.

It is created if it does not exist, and replaced or deleted if it is still the version that was read or written last. So
the store decides who holds it, whatever the delay between two requests.
"""

from __future__ import annotations

from dataclasses import replace

from airflow_provider_connectif.files.folder.lease import Lease, LeaseContent
from airflow_provider_connectif.files.folder.notes import merge
from airflow_provider_connectif.files.stores.errors import VersionConflict

NAME = ".connectif_lease.json"


class LeaseObject(Lease):
    """One object, written with conditions."""

    _version: str | None = None

    def _try_to_acquire(self, take_over: bool) -> LeaseContent | None:
        started = self._timing.monotonic()
        content = replace(self._content, counter=self._content.counter + 1)
        try:
            self._version = self._store.put(NAME, content.to_bytes(), if_absent=True)
        except VersionConflict:
            found = self._store.read_versioned(NAME)
            if found is None:  # released in the meantime
                return LeaseContent(holder={}, token="")
            other = LeaseContent.from_bytes(found[0])
            # A lease of this process was written by a request that seemed to fail, or that the client library repeated.
            if other.token != content.token:
                if not self._may_take_over(other, NAME, found[1], take_over):
                    return other
                content = replace(content, note=merge(other.note, content.note))
            if (current := self._put(content, found[1])) is not None:
                return current
        self._content, self._confirmed_at = content, started
        return None

    def _replace(self, content: LeaseContent) -> LeaseContent | None:
        return self._put(content, self._version)

    def _put(self, content: LeaseContent, version: str | None) -> LeaseContent | None:
        """Replace this version of the lease, or return the lease that is there instead."""
        while True:
            try:
                self._version = self._store.put(NAME, content.to_bytes(), if_version=version)
            except VersionConflict:
                found = self._store.read_versioned(NAME)
                other = LeaseContent(holder={}, token="") if found is None else LeaseContent.from_bytes(found[0])
                if found is None or other.token != content.token:
                    return other
                # An earlier request was performed although it seemed to fail, or the client library repeated this one.
                version = self._version = found[1]
                if other.counter == content.counter:
                    return None
            else:
                return None

    def _remove(self) -> LeaseContent | None:
        while self._version is not None:
            try:
                self._store.delete_version(NAME, self._version)
            except VersionConflict:
                found = self._store.read_versioned(NAME)
                if found is None:
                    break  # deleted by a request that the client library repeated
                other = LeaseContent.from_bytes(found[0])
                if other.token != self._content.token:
                    return other
                self._version = found[1]
            else:
                break
        self._version = None
        return None
