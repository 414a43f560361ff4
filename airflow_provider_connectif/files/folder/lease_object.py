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
        before = self._content
        self._content = replace(before, counter=before.counter + 1)
        self._may_exist = True
        try:
            self._version = self._store.put(NAME, self._content.to_bytes(), if_absent=True)
        except VersionConflict:
            if (other := self._take_over(take_over)) is not None:
                self._content, self._may_exist = before, False
                return other
        self._confirmed_at = started
        return None

    def _take_over(self, take_over: bool) -> LeaseContent | None:
        """Replace the lease if that is allowed, or return the lease of the writer to wait for."""
        found = self._store.read_versioned(NAME)
        if found is None:  # released in the meantime
            return LeaseContent(holder={}, token="")
        other = LeaseContent.from_bytes(found[0])
        # A lease of this process was written by a request that seemed to fail, or that the client library repeated.
        if other.token != self._content.token:
            if not self._may_take_over(other, NAME, found[1], take_over):
                return other
            self._content = replace(self._content, note=merge(other.note, self._content.note))
        return self._put(self._content, found[1])

    def _replace(self, content: LeaseContent) -> LeaseContent | None:
        return self._put(content, self._version)

    def _put(self, content: LeaseContent, version: str | None) -> LeaseContent | None:
        """Replace this version of the lease, or return the lease that is there instead.

        :param version: None if it is not known, because a request was interrupted
        """
        data = content.to_bytes()
        while True:
            if version is None:
                found = self._store.read_versioned(NAME)
                other = LeaseContent(holder={}, token="") if found is None else LeaseContent.from_bytes(found[0])
                if found is None or other.token != content.token:
                    return other
                # An earlier request was performed although it seemed to fail, or the client library repeated this one.
                version = self._version = found[1]
                if found[0] == data:
                    return None
            try:
                self._version = self._store.put(NAME, data, if_version=version)
            except VersionConflict:
                version = None
            else:
                return None

    def _remove(self) -> LeaseContent | None:
        expired = self._may_have_expired()
        if expired:
            self._version = None  # looked up: some stores ignore the condition of a deletion
        while True:
            if self._version is None:
                found = self._store.read_versioned(NAME)
                if found is None:
                    # Deleted by a request that was interrupted, or that the client library repeated; or, if it could
                    # expire, by another writer that has taken over, and ended.
                    return LeaseContent(holder={}, token="") if expired else None
                other = LeaseContent.from_bytes(found[0])
                if other.token != self._content.token:
                    return other
                self._version = found[1]
            version, self._version = self._version, None
            try:
                self._store.delete_version(NAME, version)
            except VersionConflict:
                continue
            return None
