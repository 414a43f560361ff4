# SPDX-License-Identifier: Apache-2.0
"""The argument ``column_types``: the types of the columns in Parquet files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_connectif.api.argument_checks import UNKNOWN, check_not_missing, quote
from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.tasks.arguments import is_unknown

_NAME = "column_types"
_EXAMPLE = "{'total': 'decimal(18,2)', 'createdAt': 'timestamp'}"
_TEMPLATE_HINT = "If a template renders it, let it render JSON: {{ … | tojson }}."


def check_column_types(value: object, file_format: object) -> None:
    """Check the argument.

    :param value: a dict, JSON, or None; it and the types in it may be
        :data:`~airflow_provider_connectif.api.argument_checks.UNKNOWN`
    :param file_format: the argument ``file_format``
    :raises InvalidArgument: if it is wrong, or if the format has no types
    """
    if value is UNKNOWN:
        return
    if read_column_types(value) and file_format not in ("parquet", UNKNOWN):
        raise InvalidArgument(
            _NAME, f"is only for file_format='parquet', not for {quote(file_format)}; change one of them."
        )


def read_column_types(value: Any) -> dict[str, str]:
    """Return the types that are known, each in the same spelling.

    :param value: as for :func:`check_column_types`
    :raises InvalidArgument: if it is wrong
    """
    if value is None:
        return {}
    if isinstance(value, str):
        value = _parse_json(value)
    elif isinstance(value, Mapping):
        _check_names(value)
    if not isinstance(value, Mapping):
        raise InvalidArgument(_NAME, f"{quote(value)} is not a dict; use one such as {_EXAMPLE}.")
    from airflow_provider_connectif.files.tables.types import parse_column_types

    try:
        types = parse_column_types({name: kind for name, kind in value.items() if kind is not UNKNOWN})
    except (TypeError, ValueError) as error:
        raise InvalidArgument(_NAME, f"{error}.") from None
    # A type that is not known yet still shows that the argument is used.
    return {name: str(types.get(name, UNKNOWN)) for name in value}


def check_timestamps(value: Any, date_format: object) -> None:
    """Check that an export that is to be created will have the timestamps that are declared.

    :param value: as for :func:`check_column_types`
    :param date_format: the argument ``date_format``
    :raises InvalidArgument: if it is another format than ISO, and a column is declared to be a timestamp
    """
    if value is UNKNOWN or date_format in ("ISO", UNKNOWN):
        return
    for name, kind in read_column_types(value).items():
        if kind == "timestamp":
            raise InvalidArgument(
                _NAME, f"the timestamp {name!r} needs date_format='ISO', not {quote(date_format)}; change one of them."
            )


def _check_names(value: Mapping[Any, Any]) -> None:
    for name in value:
        if isinstance(name, str) and is_unknown(name):
            raise InvalidArgument(
                _NAME, f"the column name {quote(name)} is a template, which Airflow does not render in a dict's keys."
            )


def _parse_json(text: str) -> Any:
    check_not_missing(_NAME, text)
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidArgument(
            _NAME, f"{quote(text)} is not a dict; use one such as {_EXAMPLE}. {_TEMPLATE_HINT}"
        ) from None
