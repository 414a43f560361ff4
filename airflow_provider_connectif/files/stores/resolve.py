# SPDX-License-Identifier: Apache-2.0
"""Which kind of store a filesystem is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_connectif.files.stores.base import Store

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem


def resolve_store(fs: AbstractFileSystem, path: str, *, clock: Callable[[], float] = time.time) -> Store:
    """Return the store for a folder in an fsspec filesystem.

    :param fs: the filesystem; it is used as it is, and not closed
    :param path: the folder's path in it (``bucket/some/prefix``, ``/data/exports``), with or without its protocol
    :param clock: returns the current time, in seconds since the epoch
    """
    return _store_class(fs)(fs, fs._strip_protocol(path).rstrip("/"), clock=clock)


def _store_class(fs: Any) -> type[Store]:
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    # Each module needs a package that may not be installed: it is imported only for a filesystem of that package.
    if "s3" in protocols and hasattr(fs, "call_s3"):
        from airflow_provider_connectif.files.stores.s3 import S3Store

        return S3Store
    if "abfs" in protocols and hasattr(fs, "service_client"):
        from airflow_provider_connectif.files.stores.azure import AzureStore

        return AzureStore
    if "gs" in protocols and hasattr(fs, "credentials"):
        from airflow_provider_connectif.files.stores.gcs import GCSStore

        return GCSStore
    if "file" in protocols:
        from airflow_provider_connectif.files.stores.local import LocalStore

        return LocalStore
    from airflow_provider_connectif.files.stores.generic import GenericStore

    return GenericStore
