# SPDX-License-Identifier: Apache-2.0
"""Which kind of lease a store needs, and the leases that a folder contains."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from airflow_provider_connectif.files.folder import lease_claims, lease_object
from airflow_provider_connectif.files.folder.lease import Lease, LeaseContent, Timing
from airflow_provider_connectif.files.stores.base import Store


def create_lease(store: Store, writer: Mapping[str, Any], export: Mapping[str, Any], timing: Timing) -> Lease:
    """Return a lease, not acquired yet; the arguments are those of :class:`Lease`."""
    kind = lease_object.LeaseObject if store.conditional_writes else lease_claims.LeaseClaims
    return kind(store, writer, export, timing)


def has_leftovers(store: Store, names: Iterable[str]) -> bool:
    """Return whether leases show that objects may be visible that no manifest lists.

    :param names: the names of the objects in the folder
    """
    leases = [name for name in names if name == lease_object.NAME or name.startswith(lease_claims.PREFIX)]
    contents = [LeaseContent.from_bytes(data) for name in leases if (data := store.read(name)) is not None]
    return any(content.note or content.released or not content.token for content in contents)
