# SPDX-License-Identifier: Apache-2.0
"""Where a task stores: the author's URI made into a folder of its store, and the export's fields for its name."""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.export_request import DATA_EXPLORER
from airflow_provider_connectif.api.file_names import without_extension
from airflow_provider_connectif.api.timestamps import is_bare_date, read_moment
from airflow_provider_connectif.tasks.arguments import is_unknown
from airflow_provider_connectif.tasks.uri_fields import (
    DestinationInvalid,
    check_destination,
    fill_destination,
)

if TYPE_CHECKING:
    from airflow_provider_connectif.api.models import Export
    from airflow_provider_connectif.files.stores.base import Store

EXTRAS = {
    "amazon": ("s3", "s3a", "s3n"),
    "google": ("gs", "gcs"),
    "microsoft-azure": ("abfs", "abfss", "adl"),
}
"""The package's extras, and the schemes of the stores that each brings."""


def check_folder(destination: object) -> list[str]:
    """Check a destination as far as it is known when the DAG is parsed.

    :return: the names of the export's fields in it.
    :raises InvalidArgument: where it cannot be used.
    """
    if not isinstance(destination, str) and is_unknown(destination):
        return []
    right = "write the URI of a folder, such as 's3://lake/connectif/{export_id}' or 'file:///data/lake'."
    if not isinstance(destination, str) or not destination.strip():
        raise InvalidArgument("destination", f"{destination!r} is no folder; {right}")
    if not is_unknown(destination) and "://" not in destination and not destination.startswith("/"):
        raise InvalidArgument("destination", f"{destination!r} has no scheme; {right}")
    try:
        return check_destination(destination)
    except DestinationInvalid as problem:
        raise InvalidArgument("destination", str(problem)) from None


def name_folder(destination: str, export: Export, zone: Any = timezone.utc) -> str:
    """Fill the export's fields into a rendered destination.

    :param zone: the time zone that its dates are shown in.
    :raises InvalidArgument: where it cannot be used, or names a field that this export lacks.
    """
    check_folder(destination)
    try:
        return tidy_uri(fill_destination(destination, fields_of(export, zone), zone))
    except DestinationInvalid as problem:
        raise InvalidArgument("destination", str(problem)) from None


def tidy_uri(uri: str) -> str:
    """Write a folder's URI without white space around it and without a slash at its end."""
    return uri.strip().rstrip("/")


def fields_of(export: Export, zone: Any = timezone.utc) -> dict[str, str | date | datetime | None]:
    """Give an export's fields by the names that a destination knows them by."""
    return {
        "export_id": export.id,
        "export_type": export.export_type,
        "report_id": export.report_id,
        "segment_id": export.segment_id,
        "file_name": without_extension(export.file_name, export.file_extension) if export.file_name else None,
        "from_date": _date_of(export, "fromDate", zone),
        "to_date": _date_of(export, "toDate", zone),
        "created_at": export.created_at,
        "finished_at": export.finished_at,
    }


def open_folder(uri: str, storage_conn_id: str | None) -> Store:
    """Open a folder of the store that a URI names.

    :param uri: as the author wrote it, its fields filled in.
    :param storage_conn_id: the id of the store's Airflow connection; None for what the URI or the environment says.
    :raises AirflowFailException: where the store's package is not installed: the words name the extra.
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_connectif.files.stores.resolve import resolve_store

    scheme = uri.partition("://")[0]
    try:
        path = ObjectStoragePath(uri, conn_id=storage_conn_id)
        fs = path.fs
    except ImportError:
        raise _no_store(scheme) from None
    except ValueError as problem:
        if not _is_registered(scheme):
            raise _no_store(scheme) from None
        raise AirflowFailException(
            f"destination: the store of {scheme}:// cannot be opened ({type(problem).__name__}). Check the connection "
            "that storage_conn_id names, or where there is none, the environment's credentials."
        ) from None
    return resolve_store(fs, path.path)


def _is_registered(scheme: str) -> bool:
    """Tell whether an installed provider brings this store."""
    try:
        from airflow.sdk.io.fs import has_fs
    except ModuleNotFoundError:  # Airflow 3.0
        from airflow.io import has_fs  # type: ignore[attr-defined, no-redef]

    return bool(has_fs(scheme))


def _no_store(scheme: str) -> AirflowFailException:
    for extra, schemes in EXTRAS.items():
        if scheme in schemes:
            return AirflowFailException(
                f"destination: the package for {scheme}:// is not installed here. "
                f"Install it on every worker: pip install 'airflow-provider-connectif[{extra}]'."
            )
    stores = ", ".join(f"{schemes[0]}:// ({extra})" for extra, schemes in EXTRAS.items())
    return AirflowFailException(
        f"destination: {scheme}:// is no store that Airflow knows here; known are file:// and /absolute/paths, "
        f"and with extras of this package {stores}."
    )


def _date_of(export: Export, name: str, zone: Any) -> date | datetime | None:
    """Read a date of the export's filters; Data Explorer's are the account's days, whatever form they come in."""
    value = export.filters.get(name)
    if isinstance(value, str) and is_bare_date(value):
        return date.fromisoformat(value)
    moment = read_moment(value)
    if moment is None or export.export_type != DATA_EXPLORER:
        return moment
    utc = moment.astimezone(timezone.utc)
    return utc.date() if (utc.hour, utc.minute) == (0, 0) else moment.astimezone(zone).date()
