# SPDX-License-Identifier: Apache-2.0
"""
The types that a column can be declared to have, and which cells fit them.

Nothing is guessed and nothing is rounded or cut: a cell is read as its column's type by the rules of
:func:`read_cell`, or it does not fit. An empty cell is null.

=================  ============================================================================================
``decimal(p,s)``   digits with a point, at most ``s`` after it that are not zeros at the end: ``1234.50``, ``-3``
``int64``          digits, with a sign or without: ``42``, ``-7``
``double``         digits with a point and an exponent: ``0.25``, ``-1.5e-3``
``timestamp``      ISO 8601, at most microseconds: ``2026-01-31T23:59:59.123Z``, ``2026-01-31 23:59:59+02:00``;
                   without an offset it is UTC
``date``           ``2026-01-31``
``bool``           ``true``, ``false`` in any case, ``1``, ``0``
=================  ============================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from airflow_provider_connectif.files.tables.errors import ColumnMissing
from airflow_provider_connectif.files.tables.names import shortened

ALLOWED = "decimal(precision,scale), int64, double, timestamp, date or bool"
MAX_PRECISION = 38
_MAX_QUOTED = 20

_HINTS = {
    "decimal": "Expected digits with a decimal point and no thousands separator; nothing is rounded, so declare a "
    "larger precision or scale if the values need it",
    "int64": "Expected digits, with a sign or without, from -2^63 to 2^63-1",
    "double": "Expected digits with a decimal point and no thousands separator",
    "timestamp": "Expected ISO 8601 with date and time, such as 2026-01-31T23:59:59.123Z (date_format='ISO')",
    "date": "Expected a date such as 2026-01-31",
    "bool": "Expected true or false, or 1 or 0",
}


@dataclass(frozen=True)
class ColumnType:
    """
    The declared type of a column.

    :param kind: ``decimal``, ``int64``, ``double``, ``timestamp``, ``date`` or ``bool``
    :param precision: a decimal's digits
    :param scale: a decimal's digits after the point
    """

    kind: str
    precision: int = 0
    scale: int = 0

    def __str__(self) -> str:
        return f"decimal({self.precision},{self.scale})" if self.kind == "decimal" else self.kind

    @property
    def hint(self) -> str:
        """What to do about a cell that does not fit."""
        return f"{_HINTS[self.kind]}. Declare another type, or omit the column in column_types to store it as text."


def parse_column_types(declared: Mapping[str, str]) -> dict[str, ColumnType]:
    """
    Read the argument ``column_types``.

    :raises ValueError: a type is not supported
    :raises TypeError: the argument is not a mapping of strings to strings
    """
    if not isinstance(declared, Mapping):
        raise TypeError(f"a {type(declared).__name__} is not a dict of column names and types")
    return {_column(column): _parse(column, text) for column, text in declared.items()}


def _column(column: object) -> str:
    if not isinstance(column, str):
        raise TypeError(f"{column!r} is not a column name; use strings")
    return column


def _parse(column: str, text: object) -> ColumnType:
    if not isinstance(text, str):
        raise TypeError(f"the type of {column!r} must be a string, not {text!r}; use {ALLOWED}")
    name = "".join(text.split()).lower()
    if name in _HINTS and name != "decimal":
        return ColumnType(name)
    found = re.fullmatch(r"decimal\(([0-9]{1,3}),([0-9]{1,3})\)", name)
    if found is None:
        # A longer text is something else that was put there by mistake, perhaps a secret.
        shown = f"{text!r} " if len(text) <= _MAX_QUOTED else ""
        raise ValueError(f"the type {shown}of {column!r} is not supported; use {ALLOWED}")
    precision, scale = int(found[1]), int(found[2])
    if not 1 <= precision <= MAX_PRECISION or scale > precision:
        raise ValueError(
            f"{text!r} of {column!r} is not valid; the precision must be from 1 to {MAX_PRECISION}, "
            "the scale from 0 to the precision"
        )
    return ColumnType("decimal", precision, scale)


def check_declared(types: Iterable[str], columns_of_files: Iterable[Iterable[str]]) -> None:
    """
    Check that each declared column is in some file of the export.

    :param types: the declared columns
    :param columns_of_files: the columns of each file
    :raises ColumnMissing: no file has a declared column
    """
    found = {column for columns in columns_of_files for column in columns}
    if missing := [column for column in types if column not in found]:
        raise ColumnMissing(
            f"column_types declares {shortened([repr(name) for name in missing])}, which no file of the export has",
            f"Its columns are {shortened([repr(name) for name in sorted(found)]) or 'none'}. Correct the names, or "
            "remove them.",
        )


_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)")
_FLOAT = re.compile(_NUMBER.pattern + r"(?:[eE][+-]?[0-9]+)?")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_TIMESTAMP = re.compile(
    _DATE.pattern + r"[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,9}))?)?(Z|([+-])([0-9]{2}):?([0-9]{2})?)?"
)


def read_cell(column_type: ColumnType, text: str) -> Any:
    """
    Return the value of a cell, None if it is empty.

    :raises ValueError: the cell does not fit the type
    """
    return _READERS[column_type.kind](column_type, text) if text else None


def _integer(_: ColumnType, text: str) -> int:
    # Python refuses to read thousands of digits, leading zeros included.
    digits = _matched(_INTEGER, text)[0].lstrip("+-0") or "0"
    value = int(digits[:20]) * (-1 if text.startswith("-") else 1)
    if not -(2**63) <= value < 2**63:
        raise ValueError
    return value


def _double(_: ColumnType, text: str) -> float:
    value = float(_matched(_FLOAT, text)[0])
    if value in (float("inf"), float("-inf")):
        raise ValueError
    return value


def _decimal(column_type: ColumnType, text: str) -> Decimal:
    whole, _, fraction = _matched(_NUMBER, text)[0].lstrip("+-").partition(".")
    whole, fraction = whole.lstrip("0"), fraction.rstrip("0")
    if len(fraction) > column_type.scale or len(whole) > column_type.precision - column_type.scale:
        raise ValueError
    sign = 1 if text.startswith("-") else 0
    digits = whole + fraction.ljust(column_type.scale, "0")
    return Decimal((sign, tuple(map(int, digits)) or (0,), -column_type.scale))


def _date(_: ColumnType, text: str) -> date:
    return date(*map(int, _matched(_DATE, text).groups()))


def _timestamp(_: ColumnType, text: str) -> datetime:
    year, month, day, hour, minute, second, fraction, _zone, sign, ahead_h, ahead_m = _matched(
        _TIMESTAMP, text
    ).groups()
    fraction = (fraction or "").ljust(6, "0")
    if fraction[6:].strip("0") or int(ahead_h or 0) > 23 or int(ahead_m or 0) > 59:
        raise ValueError
    found = datetime(
        int(year), int(month), int(day), int(hour), int(minute), int(second or 0), int(fraction[:6]), timezone.utc
    )
    ahead = timedelta(hours=int(ahead_h or 0), minutes=int(ahead_m or 0))
    try:
        return found + ahead if sign == "-" else found - ahead
    except OverflowError:
        raise ValueError from None


def _bool(_: ColumnType, text: str) -> bool:
    found = {"true": True, "1": True, "false": False, "0": False}.get(text.lower())
    if found is None:
        raise ValueError
    return found


def _matched(pattern: re.Pattern[str], text: str) -> re.Match[str]:
    found = pattern.fullmatch(text)
    if found is None:
        raise ValueError
    return found


_READERS: dict[str, Callable[[ColumnType, str], Any]] = {
    "decimal": _decimal,
    "int64": _integer,
    "double": _double,
    "timestamp": _timestamp,
    "date": _date,
    "bool": _bool,
}
