# SPDX-License-Identifier: Apache-2.0
"""The argument ``column_types``: the types of the columns in Parquet files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from airflow_provider_connectif.api.argument_checks import UNKNOWN, check_not_missing, quote
from airflow_provider_connectif.api.errors import InvalidArgument

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
        raise InvalidArgument(_NAME, f"is only for file_format='parquet', and not for {quote(file_format)}; omit it.")


def read_column_types(value: Any) -> dict[str, str]:
    """Return the types that are known, each in the same spelling.

    :param value: as for :func:`check_column_types`
    :raises InvalidArgument: if it is wrong
    """
    if value is None:
        return {}
    if isinstance(value, str):
        value = _parse_json(value)
    if not isinstance(value, Mapping):
        raise InvalidArgument(_NAME, f"{quote(value)} is not a dict; use one such as {_EXAMPLE}.")
    from airflow_provider_connectif.files.tables.types import parse_column_types

    try:
        types = parse_column_types({name: kind for name, kind in value.items() if kind is not UNKNOWN})
    except (TypeError, ValueError) as error:
        raise InvalidArgument(_NAME, f"{error}.") from None
    # A type that is not known yet still shows that the argument is used.
    return {name: str(types.get(name, UNKNOWN)) for name in value}


def _parse_json(text: str) -> Any:
    check_not_missing(_NAME, text)
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidArgument(
            _NAME, f"{quote(text)} is not a dict; use one such as {_EXAMPLE}. {_TEMPLATE_HINT}"
        ) from None
