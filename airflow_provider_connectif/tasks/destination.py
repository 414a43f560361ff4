# SPDX-License-Identifier: Apache-2.0
"""The destination of a transfer: a folder's URI, which may name fields of the export.

``s3://lake/{report_id}/{from_date:%Y-%m}``. Jinja's own marks (``{{ }}``, ``{% %}``, ``{# #}``) are left alone, so
that a destination can be checked when the DAG is parsed, before it is rendered.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timezone, tzinfo
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.export_request import DATA_EXPLORER
from airflow_provider_connectif.api.file_names import without_extension
from airflow_provider_connectif.api.timestamps import is_date, parse_timestamp_or_none
from airflow_provider_connectif.tasks.arguments import is_unknown

if TYPE_CHECKING:
    from airflow_provider_connectif.api.models import Export
    from airflow_provider_connectif.files.stores.base import Store

TEXT_FIELDS = ("export_id", "export_type", "report_id", "segment_id", "file_name")
DATE_FIELDS = ("from_date", "to_date", "created_at", "finished_at")

#: The extras of this package, and the URI schemes of the stores that each one installs.
EXTRAS = {
    "amazon": ("s3", "s3a", "s3n"),
    "google": ("gs", "gcs"),
    "microsoft-azure": ("abfs", "abfss", "adl"),
}

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_FIELD = re.compile(r"\{([^{}]*)\}")
_DATE_FORMAT, _DATETIME_FORMAT = "%Y-%m-%d", "%Y-%m-%dT%H%M%S"
_MAX_PART_BYTES = 150


def check_destination(destination: object) -> list[str]:
    """Check a destination as far as it is known before it is rendered.

    :return: the names of the export's fields in it
    :raises InvalidArgument: if it cannot be used
    """
    if not isinstance(destination, str) and is_unknown(destination):
        return []
    expected = "write the URI of a folder, such as 's3://lake/connectif/{export_id}' or 'file:///data/lake'."
    if not isinstance(destination, str) or not destination.strip():
        raise InvalidArgument("destination", f"{destination!r} is not the URI of a folder; {expected}")
    if not is_unknown(destination) and "://" not in destination and not destination.startswith("/"):
        raise InvalidArgument("destination", f"{destination!r} has no scheme; {expected}")
    return find_fields(destination)


def fill_destination(destination: str, export: Export, zone: tzinfo = timezone.utc) -> str:
    """Fill the export's fields into a rendered destination.

    :param zone: the time zone in which dates and times are written
    :return: the folder's URI, without surrounding white space and without a trailing slash
    :raises InvalidArgument: if it cannot be used, or names a field that this export does not have
    """
    check_destination(destination)
    return normalize_uri(fill_fields(destination, export_fields(export, zone), zone))


def normalize_uri(uri: str) -> str:
    """Return a folder's URI without surrounding white space and without a trailing slash."""
    return uri.strip().rstrip("/")


def find_fields(text: str) -> list[str]:
    """Return the names of the fields in a destination, which may still contain Jinja templates.

    :raises InvalidArgument: if a field is unknown, a brace is unmatched, or a field that is not a date has a format
    """
    rest = _JINJA.sub("", text)
    names = []
    for found in _FIELD.finditer(rest):
        name, colon, _ = found[1].partition(":")
        if name not in TEXT_FIELDS + DATE_FIELDS:
            known = ", ".join(f"{{{field}}}" for field in TEXT_FIELDS + DATE_FIELDS)
            raise InvalidArgument("destination", f"{{{name}}} is not a field of an export; use one of {known}.")
        if colon and name in TEXT_FIELDS:
            raise InvalidArgument(
                "destination", f"{{{name}}} has a format, which only dates accept; write {{{name}}} without it."
            )
        names.append(name)
    if "{" in _FIELD.sub("", rest) or "}" in _FIELD.sub("", rest):
        raise InvalidArgument(
            "destination", "has an unmatched brace; write fields in single braces, such as {export_id}."
        )
    return names


def fill_fields(text: str, values: Mapping[str, str | date | datetime | None], zone: tzinfo) -> str:
    """Replace the fields of a rendered destination.

    :param values: the export's fields by name; datetimes are converted to ``zone``, dates stay as they are
    :return: the destination, in which each value is safe as one part of a path
    :raises InvalidArgument: as :func:`find_fields` does, or if this export does not have a field
    """
    find_fields(text)

    def fill(found: re.Match[str]) -> str:
        name, _, date_format = found[1].partition(":")
        value = values.get(name)
        if value is None:
            raise InvalidArgument(
                "destination", f"names {{{name}}}, which export {values.get('export_id')} does not have."
            )
        if isinstance(value, datetime):
            return _format_date(value.astimezone(zone), date_format or _DATETIME_FORMAT)
        if isinstance(value, date):
            return _format_date(value, date_format or _DATE_FORMAT)
        return safe_path_part(value)

    return _FIELD.sub(fill, text)


def export_fields(export: Export, zone: tzinfo = timezone.utc) -> dict[str, str | date | datetime | None]:
    """Return the fields of an export under the names that a destination uses."""
    return {
        "export_id": export.id,
        "export_type": export.export_type,
        "report_id": export.report_id,
        "segment_id": export.segment_id,
        "file_name": without_extension(export.file_name, export.file_extension) if export.file_name else None,
        "from_date": _filter_date(export, "fromDate", zone),
        "to_date": _filter_date(export, "toDate", zone),
        "created_at": export.created_at,
        "finished_at": export.finished_at,
    }


def open_folder(uri: str, storage_conn_id: str | None) -> Store:
    """Open the folder that a URI names.

    :param uri: the folder's URI, with its fields filled in
    :param storage_conn_id: the id of the store's Airflow connection; None uses the credentials of the environment
    :raises AirflowFailException: if the store's package is not installed, or the store cannot be opened
    """
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    from airflow_provider_connectif.files.stores.resolve import resolve_store

    scheme = uri.partition("://")[0]
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


def safe_path_part(text: str) -> str:
    """Make one part of a path from any text: without separators, ``..``, or characters with a meaning to stores.

    Accents, spaces and ``!`` stay. A long text is shortened, and a hash of all of it keeps it distinct.
    """
    clean = "".join(
        "_" if character in '/\\<>:|?*#%"[]{}@' or unicodedata.category(character)[0] == "C" else character
        for character in unicodedata.normalize("NFC", text)
    )
    clean = clean.strip(" .") or "_"
    if len(clean.encode()) > _MAX_PART_BYTES:
        digest = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
        clean = clean.encode()[: _MAX_PART_BYTES - 9].decode(errors="ignore").rstrip(". ") + f"-{digest}"
    return clean


def _format_date(value: date, date_format: str) -> str:
    """Format a date; slashes in the format (``%Y/%m``) make folders."""
    return "/".join(safe_path_part(value.strftime(part)) for part in date_format.split("/"))


def _filter_date(export: Export, name: str, zone: tzinfo) -> date | datetime | None:
    """Read a date of the export's filters; those of Data Explorer are days of the account, however they are written."""
    value = export.filters.get(name)
    if isinstance(value, str) and is_date(value):
        return date.fromisoformat(value)
    found = parse_timestamp_or_none(value)
    if found is None or export.export_type != DATA_EXPLORER:
        return found
    utc = found.astimezone(timezone.utc)
    return utc.date() if (utc.hour, utc.minute) == (0, 0) else found.astimezone(zone).date()


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
