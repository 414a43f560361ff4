# SPDX-License-Identifier: Apache-2.0
"""Checks for arguments that a DAG author or another caller gives.

When Airflow parses a DAG, some values are not known yet: templates, and results of other tasks. Callers replace these
with :data:`UNKNOWN`, which passes every check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timezone
from typing import Any

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.api.timestamps import is_date, parse_timestamp

_DATETIME_HINT = "use a date-time with a time zone, such as '2026-11-01T00:00:00+00:00'."


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


#: Stands for a value that is not known yet.
UNKNOWN: Any = _Unknown()

_MAX_QUOTED = 80
_MISSING_TEXTS = ("None", "none", "null", "nan", "NaN", "undefined")


_MISSING = "is what a template renders for a missing value"
_OUTPUT = "pass the output of the task that returns it, such as create.output, which is not rendered as a template"


def quote(value: object) -> str:
    """Return a value for an error message: shortened, and without anything that may be a secret."""
    text = repr(str(value)) if isinstance(value, date) else repr(value)
    if "://" in text:
        return "the URL"
    return text if len(text) <= _MAX_QUOTED else text[:_MAX_QUOTED] + "…"


def check_one_of(name: str, value: object, supported: Sequence[str], *, ignore_case: bool = False) -> None:
    """Check that an argument is one of the supported values.

    :raises InvalidArgument: if it is not
    """
    if value is UNKNOWN or value in supported:
        return
    if ignore_case and isinstance(value, str) and value.casefold() in map(str.casefold, supported):
        return
    *first, last = map(repr, supported)
    values = f"{', '.join(first)} or {last}" if first else last
    raise InvalidArgument(name, f"{quote(value)} is not supported; use {values}.")


def check_id(name: str, value: object, *, source: str) -> None:
    """Check that an argument is an id, and describe what it looks like if it is not.

    :param source: what the error message recommends
    :raises InvalidArgument: if it is not an id
    """
    if value is UNKNOWN:
        return
    if not isinstance(value, str):
        raise InvalidArgument(name, f"{quote(value)} is not {_kind(name)}{_describe_object(name, value)}; {source}.")
    if problem := _describe_text(name, value):
        raise InvalidArgument(name, f"{quote(value)} is not {_kind(name)}: it {problem}; {source}.")


def check_spelling(name: str, value: str, known: Sequence[str]) -> None:
    """Check that a name is not one of the known names with other letters' case, separators or number.

    Names that are not similar to any of them are accepted, because the vendor may add some.

    :raises InvalidArgument: if it is
    """
    meant = {_stem(each): each for each in known}.get(_stem(value), value)
    if meant != value:
        raise InvalidArgument(name, f"{quote(value)} is not known to Connectif; did you mean {meant!r}?")


def _stem(text: str) -> str:
    """Return a name in lower case, in the singular, and without separators."""
    letters = "".join(character for character in text.casefold() if character.isalnum())
    return letters[:-3] + "y" if letters.endswith("ies") else letters.removesuffix("s")


def check_not_missing(name: str, value: object) -> None:
    """Check that an argument is not the text that a template renders for a missing value.

    :raises InvalidArgument: if it is
    """
    if isinstance(value, str) and value.strip() in _MISSING_TEXTS:
        raise InvalidArgument(
            name, f"{value!r} {_MISSING}; check the template, or let it render nothing: {{{{ … or '' }}}}."
        )


def _describe_text(name: str, text: str) -> str | None:
    """Return what a string looks like instead of an id; None if it may be one."""
    stripped = text.strip()
    if not stripped:
        return "is empty: the value that the template names is missing"
    if stripped in _MISSING_TEXTS:
        return (
            f"{_MISSING}: the task that it names returned nothing (see its XCom), or the param or variable is not set; "
            "to omit an optional argument, write {{ … or '' }}"
        )
    if "{{" in text or "{%" in text:
        return "is a template that was not rendered"
    if text[0] in "[({":
        return f"looks like a list or a dictionary that a template rendered as text: {_OUTPUT}, or {_expand(name)}"
    if "/" in text:
        return "looks like a URL or a path: pass only the id in it"
    if "\n" in text or "\r" in text:
        return "contains a line break, often from a template of several lines"
    if any(character.isspace() or not character.isprintable() for character in text):
        return "contains white space or a character that cannot be printed"
    return None


def _describe_object(name: str, value: object) -> str:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return f" but a number. With render_template_as_native_obj=True, Airflow turns some ids into numbers: {_OUTPUT}"
    if isinstance(value, Mapping):
        return " but a dictionary: pass only the id in it, such as store.output['export_id']"
    if isinstance(value, (list, tuple, set, frozenset)):
        return f" but a list: {_expand(name)}"
    return ""


def _kind(name: str) -> str:
    """Return what an argument is, such as ``an export id``."""
    words = name.replace("_", " ")
    return f"an {words}" if words[0] in "aeiou" else f"a {words}"


def _expand(name: str) -> str:
    return f"create one task for each id with .expand({name}=…)"


def parse_datetime_argument(name: str, value: object, *, hint: str = _DATETIME_HINT) -> datetime:
    """Return a date-time argument as a plain datetime in UTC.

    :param name: the argument's name, for the error message
    :param value: an aware datetime, or an ISO 8601 date-time with a time zone
    :param hint: what the error message recommends
    :raises InvalidArgument: if it is anything else
    """
    parsed = value
    check_not_missing(name, value)
    if isinstance(value, str):
        try:
            parsed = parse_timestamp(value)
        except ValueError:
            raise InvalidArgument(name, f"{quote(value)} is not an ISO 8601 date-time; {hint}") from None
    if not isinstance(parsed, datetime):
        raise InvalidArgument(name, f"{str(value)!r} is not a date-time; {hint}")
    if parsed.tzinfo is None:
        raise InvalidArgument(name, f"{str(value)!r} has no time zone; {hint}")
    try:
        utc = parsed.astimezone(timezone.utc)
    except OverflowError:
        raise InvalidArgument(name, f"{str(value)!r} is out of range; {hint}") from None
    # Airflow's datetimes are pendulum's, whose arithmetic differs.
    return datetime.combine(utc.date(), utc.time(), timezone.utc)


def parse_date_argument(name: str, value: object, *, hint: str) -> date:
    """Return a date argument as a date.

    :param name: the argument's name, for the error message
    :param value: a date, or a string in the form ``YYYY-MM-DD``
    :param hint: what the error message recommends
    :raises InvalidArgument: if it is anything else, a datetime included
    """
    check_not_missing(name, value)
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if not isinstance(value, str) or not is_date(value.strip()):
        raise InvalidArgument(name, f"{str(value)!r} is not a date (YYYY-MM-DD); {hint}")
    try:
        return date.fromisoformat(value.strip())
    except ValueError:
        raise InvalidArgument(name, f"{value!r} is not a day of the calendar; {hint}") from None
