# SPDX-License-Identifier: Apache-2.0
"""The destination of a transfer: a folder's URI, which may name fields of the export.

``s3://lake/{report_id}/{from_date:%Y-%m}``. Jinja's own marks (``{{ }}``, ``{% %}``, ``{# #}``) are left alone, so
that a destination can be checked when the DAG is parsed, before it is rendered.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, timezone, tzinfo
from typing import Any

from airflow_provider_connectif.api.argument_checks import UNKNOWN
from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.models import ACTIVITIES, CONTACTS, DATA_EXPLORER, Export
from airflow_provider_connectif.tasks.arguments import is_path, is_unknown

TEXT_FIELDS = ("export_id", "export_type", "report_id", "segment_id", "file_name")
DATE_FIELDS = ("from_date", "to_date", "created_at", "finished_at")

#: The fields that an export of this type never has.
_MISSING_FIELDS = {
    CONTACTS: ("from_date", "to_date", "report_id"),
    ACTIVITIES: ("report_id",),
    DATA_EXPLORER: ("segment_id",),
}

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_FIELD = re.compile(r"\{([^{}]*)\}")
_DATE_FORMAT, _DATETIME_FORMAT = "%Y-%m-%d", "%Y-%m-%dT%H%M%S"
_MAX_PART_BYTES = 150


def path_to_uri(destination: Any) -> Any:
    """Return the URI of a path, with the connection of an ``ObjectStoragePath``; anything else is returned unchanged.

    :param destination: an operator's argument
    """
    if not is_path(destination):
        return destination
    # As an os.PathLike, which it is in older versions, an ObjectStoragePath has no scheme.
    return str(destination) if hasattr(destination, "protocol") else os.fspath(destination)


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
    _check_uri(destination.strip(), expected)
    _check_slashes(destination)
    return find_fields(destination)


def _check_uri(destination: str, expected: str) -> None:
    """Check scheme and bucket. A message must not quote a URL with a password or a signature in it."""
    scheme, separator, rest = destination.partition("://")
    if not separator:
        if not is_unknown(destination) and not destination.startswith("/"):
            raise InvalidArgument("destination", f"{destination!r} has no scheme; {expected}")
        return
    bucket = rest.partition("/")[0]
    if scheme.lower() in ("http", "https", "ftp"):
        raise InvalidArgument("destination", f"is a URL with the scheme {scheme}://, which is not a store; {expected}")
    if ":" in bucket.rpartition("@")[0] and not is_unknown(bucket):
        raise InvalidArgument(
            "destination", "contains a user and a password; put them into the connection that storage_conn_id names."
        )
    if not bucket.rpartition("@")[2] and scheme != "file":
        raise InvalidArgument("destination", f"{destination!r} names no bucket or container; {expected}")


def _check_slashes(destination: str) -> None:
    """Reject slashes with which a store writes an object under one name and looks for it under another."""
    # The value of a template is unknown, but two slashes in a row that are not part of one are the author's.
    scheme, _, path = normalize_uri(_JINJA.sub("\0", destination)).rpartition("://")
    path = re.sub(r"^[^@/]*@", "", path)  # a connection's id
    if scheme in ("file", "local") and path and path[0] not in "/\0":
        raise InvalidArgument(
            "destination",
            f"{destination!r} is not an absolute path; write three slashes, as in '{scheme}:///data/lake'.",
        )
    if "//" in path:
        raise InvalidArgument(
            "destination", f"{destination!r} contains an empty folder name; write one slash instead of '//'."
        )


def check_fields_of_request(fields: list[str], request: Mapping[str, Any]) -> None:
    """Check that the export that a request creates will have the fields that a destination names.

    :param fields: the names of the fields
    :param request: the arguments for creating an export
    :raises InvalidArgument: for the first field that it will not have
    """
    export_type = request["export_type"]
    if export_type is UNKNOWN:
        return
    missing = {*_MISSING_FIELDS[export_type], *(name for name in ("segment_id",) if request[name] is None)}
    for name in fields:
        if name in missing:
            dates = " or {created_at:%Y-%m-%d}" if name in DATE_FIELDS else ""
            raise InvalidArgument(
                "destination",
                f"names {{{name}}}, which this export of {export_type} will not have; use {{export_id}}{dates}.",
            )


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
        name, colon, date_format = found[1].partition(":")
        if name not in TEXT_FIELDS + DATE_FIELDS:
            known = ", ".join(f"{{{field}}}" for field in TEXT_FIELDS + DATE_FIELDS)
            raise InvalidArgument("destination", f"{{{name}}} is not a field of an export; use one of {known}.")
        if colon and name in TEXT_FIELDS:
            raise InvalidArgument(
                "destination", f"{{{name}}} has a format, which only dates accept; write {{{name}}} without it."
            )
        if date_format:
            _check_date_format(name, date_format)
        names.append(name)
    if "{" in _FIELD.sub("", rest) or "}" in _FIELD.sub("", rest):
        raise InvalidArgument(
            "destination", "has an unmatched brace; write fields in single braces, such as {export_id}."
        )
    return names


def _check_date_format(name: str, date_format: str) -> None:
    """Check a format, so that no date is written as the format itself, and no two months into one folder."""
    problem = None
    if "%" not in date_format:
        problem = "contains no date"
    elif "%" in datetime(2026, 11, 1).strftime(date_format.replace("%%", "")):  # noqa: DTZ001
        problem = "contains a % that is not followed by a known letter"
    elif "%M" in date_format and "%m" not in date_format and "%H" not in date_format:
        problem = "has the minute, %M, but no hour; the month is %m"
    if problem:
        raise InvalidArgument(
            "destination",
            f"the format of {{{name}:{date_format}}} {problem}; use strftime's letters, as in {{{name}:%Y-%m-%d}}.",
        )


def replace_fields(text: str) -> str:
    """Replace each field of a rendered destination with the same plain name, while their values are not known."""
    return _FIELD.sub("-", text)


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
        "file_name": export.file_stem,
        "from_date": export.filter_date("fromDate", zone),
        "to_date": export.filter_date("toDate", zone),
        "created_at": export.created_at,
        "finished_at": export.finished_at,
    }


def find_zone_mismatch(destination: str, export: Export, dag: Any) -> str | None:
    """Return a warning if dates in the folder's name are shown in another time zone than the schedule's.

    :param destination: rendered, with the export's fields in it
    :param dag: the DAG of the task; None outside a DAG
    """
    timetable = getattr(dag, "timetable", None)
    # Airflow before 3.2 has only the second.
    schedule_zone = getattr(timetable, "timezone", None) or getattr(timetable, "_timezone", None)
    zone = getattr(dag, "timezone", None)
    if schedule_zone is None or str(schedule_zone) == str(zone):
        return None
    values = export_fields(export)
    shown = [name for name in find_fields(destination) if isinstance(values[name], datetime)]
    if not shown:
        return None
    return (
        f"destination: {{{shown[0]}}} is shown in {zone}, the time zone of the DAG's start_date, but the schedule's is "
        f"{schedule_zone}, so the folder of a day may be named after the day before or after. Use a start_date in "
        f"{schedule_zone}."
    )


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
