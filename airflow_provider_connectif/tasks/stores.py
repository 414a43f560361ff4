# SPDX-License-Identifier: Apache-2.0
"""Opening the store of a destination with its Airflow connection, and errors that name both."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_connectif.files.errors import DestinationError
from airflow_provider_connectif.tasks.destination import find_fields, normalize_uri, replace_fields

if TYPE_CHECKING:
    from airflow_provider_connectif.files.stores.base import Store

#: The extras of this package, and the URI schemes of the stores that each one installs.
EXTRAS = {
    "amazon": ("s3", "s3a", "s3n"),
    "google": ("gs", "gcs"),
    "microsoft-azure": ("abfs", "abfss", "adl"),
}


def open_folder(uri: str, storage_conn_id: str | None) -> Store:
    """Open the folder that a URI names.

    :param uri: the folder's URI, with its fields filled in
    :param storage_conn_id: the id of the store's Airflow connection; None uses the credentials of the environment
    :raises AirflowFailException: if the store's package is not installed, or the store cannot be opened
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_connectif.files.stores.resolve import resolve_store

    scheme = uri.partition("://")[0] if "://" in uri else "file"
    try:
        path = ObjectStoragePath(uri, conn_id=storage_conn_id)
        fs = path.fs
    except ImportError:
        raise _unsupported_store(scheme) from None
    except ValueError as error:
        if not _is_registered(scheme):
            raise _unsupported_store(scheme) from None
        raise AirflowFailException(
            f"destination: the store of {scheme}:// cannot be opened ({type(error).__name__}). Check the connection "
            "that storage_conn_id names, or without storage_conn_id the credentials of the environment."
        ) from None
    return resolve_store(fs, path.path)


def check_store(destination: str, storage_conn_id: str | None) -> bool:
    """Look at the store before an export is created, so that a store that cannot be used fails the task at once.

    :param destination: rendered, with the export's fields in it, which are not known yet
    :return: False if the folder is known, and holds no export
    :raises DestinationError: if the store refuses access, or the bucket does not exist
    :raises AirflowFailException: if the store's package is not installed, or the store cannot be opened
    """
    from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME

    uri = normalize_uri(replace_fields(destination))
    if "{" in destination.partition("://")[2].partition("/")[0]:
        return True
    with destination_errors(uri, storage_conn_id):
        has_manifest = open_folder(uri, storage_conn_id).check(MANIFEST_NAME)
    return has_manifest or bool(find_fields(destination))


@contextmanager
def destination_errors(uri: str, storage_conn_id: str | None) -> Iterator[None]:
    """Name the destination and its connection in the errors of the store.

    :param uri: the folder's URI
    """
    try:
        yield
    except FileNotFoundError:
        raise DestinationError(
            f"The bucket or container of the destination does not exist{_place(uri, storage_conn_id)}. "
            "Create it, or correct the destination."
        ) from None
    except DestinationError as error:
        raise DestinationError(f"{error}{_place(uri, storage_conn_id)}") from error.__cause__


def _place(uri: str, storage_conn_id: str | None) -> str:
    conn_id = storage_conn_id or uri.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if conn_id:
        missing = "" if _is_defined(conn_id) else ", which is not defined"
        return f" [destination {uri}, the connection {conn_id} (storage_conn_id){missing}]"
    if "://" not in uri or uri.startswith("file:"):
        return f" [destination {uri}]"
    return f" [destination {uri}, the credentials of the environment, because storage_conn_id is not set]"


def _is_defined(conn_id: str) -> bool:
    from airflow.providers.common.compat.sdk import AirflowNotFoundException, BaseHook

    try:
        BaseHook.get_connection(conn_id)
    except AirflowNotFoundException:
        return False
    except Exception:
        # What happened to the destination is more important.
        return True
    return True


def _is_registered(scheme: str) -> bool:
    """Return whether an installed provider supports the scheme."""
    try:
        from airflow.sdk.io.fs import has_fs
    except ModuleNotFoundError:  # Airflow 3.0
        from airflow.io import has_fs  # type: ignore[attr-defined, no-redef]

    return bool(has_fs(scheme))


def _unsupported_store(scheme: str) -> AirflowFailException:
    for extra, schemes in EXTRAS.items():
        if scheme in schemes:
            return AirflowFailException(
                f"destination: the package for {scheme}:// is not installed here. "
                f"Install it on every worker: pip install 'airflow-provider-connectif[{extra}]'."
            )
    stores = ", ".join(f"{schemes[0]}:// ({extra})" for extra, schemes in EXTRAS.items())
    return AirflowFailException(
        f"destination: Airflow does not support {scheme}:// here. Use file://, an absolute path, "
        f"or with an extra of this package {stores}."
    )
