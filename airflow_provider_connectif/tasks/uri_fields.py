# SPDX-License-Identifier: Apache-2.0
"""Destinations that name fields of the export: ``s3://lake/{report_id}/{from_date:%Y-%m}``.

Jinja's own marks (``{{ }}``, ``{% %}``, ``{# #}``) are left alone, so that a DAG author's template can be checked
before it is rendered.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime, tzinfo

TEXT_FIELDS = ("export_id", "export_type", "report_id", "segment_id", "file_name")
DATE_FIELDS = ("from_date", "to_date", "created_at", "finished_at")

_JINJA = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)
_FIELD = re.compile(r"\{([^{}]*)\}")
_DEFAULT_DATE, _DEFAULT_MOMENT = "%Y-%m-%d", "%Y-%m-%dT%H%M%S"
_MOST_BYTES = 150


class DestinationInvalid(ValueError):
    """The destination cannot be used: what is wrong with it, and what would be right."""


def check_destination(text: str) -> list[str]:
    """Check the fields that a destination names; what Jinja will render may be in it still.

    :param text: the destination.
    :return: the names of the fields that it uses.
    :raises DestinationInvalid: for an unknown field, a lone brace, or a format on a field that is no date.
    """
    rest = _JINJA.sub("", text)
    names = []
    for found in _FIELD.finditer(rest):
        name, colon, _ = found[1].partition(":")
        if name not in TEXT_FIELDS + DATE_FIELDS:
            known = ", ".join(f"{{{field}}}" for field in TEXT_FIELDS + DATE_FIELDS)
            raise DestinationInvalid(f"names an unknown field, {{{name}}}; the known ones are {known}.")
        if colon and name in TEXT_FIELDS:
            raise DestinationInvalid(f"gives {{{name}}} a format, which only dates take: write {{{name}}}.")
        names.append(name)
    if "{" in _FIELD.sub("", rest) or "}" in _FIELD.sub("", rest):
        raise DestinationInvalid("holds a lone brace; fields are written in single braces, such as {export_id}.")
    return names


def fill_destination(text: str, values: Mapping[str, str | date | datetime | None], zone: tzinfo) -> str:
    """Fill in the fields of a rendered destination.

    :param text: the destination.
    :param values: the export's fields by name. Moments are shown in ``zone``, bare dates stay as they are.
    :param zone: the DAG's time zone.
    :return: the destination, each value made safe as one part of a path.
    :raises DestinationInvalid: as :func:`check_destination`, and for a field that this export lacks.
    """
    check_destination(text)

    def fill(found: re.Match[str]) -> str:
        name, _, style = found[1].partition(":")
        value = values.get(name)
        if value is None:
            raise DestinationInvalid(f"names {{{name}}}, which export {values.get('export_id')} does not have.")
        if isinstance(value, datetime):
            return _dated(value.astimezone(zone), style or _DEFAULT_MOMENT)
        if isinstance(value, date):
            return _dated(value, style or _DEFAULT_DATE)
        return safe_part(value)

    return _FIELD.sub(fill, text)


def _dated(value: date, style: str) -> str:
    """Write a date; the slashes of the author's own format (``%Y/%m``) make folders."""
    return "/".join(safe_part(value.strftime(part)) for part in style.split("/"))


def safe_part(text: str) -> str:
    """Make one part of a path of any text: no separator, no way out, nothing that a store or a pattern reads.

    Accents, spaces and ``!`` stay. A text that is too long is cut, and told apart by a hash of the whole.
    """
    clean = "".join(
        "_" if character in '/\\<>:|?*#%"[]{}@' or unicodedata.category(character)[0] == "C" else character
        for character in unicodedata.normalize("NFC", text)
    )
    clean = clean.strip(" .") or "_"
    if len(clean.encode()) > _MOST_BYTES:
        mark = hashlib.sha256(text.encode(errors="replace")).hexdigest()[:8]
        clean = clean.encode()[: _MOST_BYTES - 9].decode(errors="ignore").rstrip(". ") + f"-{mark}"
    return clean
