# SPDX-License-Identifier: Apache-2.0
"""Checking arguments: what is known when the DAG is parsed, and the rest when the task runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_connectif.api.argument_checks import (
    UNKNOWN,
    check_id,
    check_not_missing,
    check_one_of,
    check_spelling,
    parse_datetime_argument,
)
from airflow_provider_connectif.api.errors import InvalidArgument

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

# For completion in editors. The arguments also accept other strings, such as templates.
Origin = Literal["app", "api"]
Status = Literal["queued", "inProgress", "finished", "error"]
LatestPer = Literal["report_id", "export_type", "file_name"]

ORIGINS = ("app", "api")
STATUSES = ("queued", "inProgress", "finished", "error", "failed", "cancelled", "canceled")
_FILTER_VALUES = {"origin": ORIGINS, "status": STATUSES}

#: The operators' arguments for creating an export.
REQUEST_ARGUMENTS = (
    "export_type",
    "segment_id",
    "from_date",
    "to_date",
    "activity_types",
    "report_id",
    "delimiter",
    "date_format",
    "version",
)

#: The arguments for finding existing exports.
FILTER_ARGUMENTS = ("export_type", "created_after", "origin", "report_id", "segment_id")

#: Arguments that are not given if a template renders an empty string.
_OMITTED_IF_EMPTY = frozenset(
    ("export_type", "segment_id", "from_date", "to_date", "activity_types", "report_id", "version", "origin")
) | {"latest_per", "storage_conn_id", "column_types"}

# Others may exist: these are only used to recognize misspelled ones.
_EXPORT_TYPES = (
    *("contacts", "activities", "data-explorer"),
    *("banner-stats", "form-stats", "modal-stats", "push-stats", "webhooks-execution-logs"),
)


class ConnectifArgumentError(AirflowFailException, ValueError):
    """An argument is invalid. The message has its name, what is wrong with it, and what to use instead.

    Airflow does not retry it. Mapped operators are created only when they run, where Airflow would retry an ordinary
    ``ValueError``.
    """


@contextmanager
def argument_errors(operator: BaseOperator | None = None) -> Iterator[None]:
    """Raise :class:`ConnectifArgumentError` instead of :class:`InvalidArgument`.

    :param operator: the task, which the message then names: a DAG that cannot be parsed shows only the message, and
        the last frames of the traceback, which are in this package
    """
    try:
        yield
    except InvalidArgument as error:
        raise ConnectifArgumentError(f"{describe_task(operator)}{error}") from None


def describe_task(operator: BaseOperator | None) -> str:
    """Return the beginning of an error message that names a task and its DAG, as far as they are known."""
    if operator is None:
        return ""
    dag = f" of DAG {operator.dag.dag_id!r}" if operator.has_dag() else ""  # type: ignore[no-untyped-call]
    return f"Task {operator.task_id!r}{dag}: "


def is_unknown(value: object) -> bool:
    """Return whether a value is not known yet, because it is a template or another task's result."""
    if isinstance(value, str):
        return any(mark in value for mark in ("{{", "{%", "{#"))
    # XComArg, and anything else that Airflow resolves when the task runs. Paths have a method of the same name.
    return callable(getattr(value, "resolve", None)) and not isinstance(value, type) and not is_path(value)


def is_path(value: object) -> bool:
    """Return whether a value is a path: any ``os.PathLike``, or an ``ObjectStoragePath``, which is not one."""
    return isinstance(value, os.PathLike) or (hasattr(type(value), "as_uri") and hasattr(type(value), "joinpath"))


def get_arguments(operator: BaseOperator, names: Iterable[str], *, rendered: bool) -> dict[str, Any]:
    """Return some of an operator's arguments by name.

    :param rendered: whether templates have been rendered; if not, values that are not known yet are replaced with
        :data:`~airflow_provider_connectif.api.argument_checks.UNKNOWN`
    """
    values = {name: getattr(operator, name) for name in names}
    if not rendered:
        return {name: _replace_unknown(value) for name, value in values.items()}
    return {name: None if _is_omitted(name, value) else value for name, value in values.items()}


def _is_omitted(name: str, value: object) -> bool:
    return name in _OMITTED_IF_EMPTY and isinstance(value, str) and not value.strip()


def _replace_unknown(value: Any) -> Any:
    if isinstance(value, (list, tuple, set)):
        return [_replace_unknown(item) for item in value]
    if isinstance(value, Mapping):
        return {name: _replace_unknown(item) for name, item in value.items()}
    return UNKNOWN if is_unknown(value) else value


def get_request_arguments(operator: BaseOperator, *, rendered: bool = True) -> dict[str, Any]:
    """Return an operator's arguments for creating an export, as :func:`get_arguments` does."""
    return get_arguments(operator, REQUEST_ARGUMENTS, rendered=rendered)


def check_exactly_one(arguments: Mapping[str, object]) -> None:
    """Check that exactly one of several alternatives is given.

    :param arguments: the alternatives by name; None means that it is not given
    :raises InvalidArgument: if none or more than one is given
    """
    given = [name for name, value in arguments.items() if value is not None]
    if len(given) == 1:
        return
    hint = f"use either {' or '.join(arguments)}."
    if not given:
        raise InvalidArgument(next(iter(arguments)), f"is missing; {hint}")
    raise InvalidArgument(given[0], f"cannot be combined with {' and '.join(given[1:])}; {hint}")


def check_filter(arguments: Mapping[str, object]) -> None:
    """Check the arguments of an :class:`~airflow_provider_connectif.api.filters.ExportFilter`.

    :param arguments: strings, and date-times if the name ends in ``_after``; None matches any value
    :raises InvalidArgument: for the first argument that is wrong
    """
    for name, value in arguments.items():
        if value is None or value is UNKNOWN:
            continue
        if name.endswith("_after"):
            parse_datetime_argument(name, value)
        elif name.endswith("_id"):
            check_id(name, value, source="copy the id from the address bar of the Connectif application")
        elif name in _FILTER_VALUES:
            check_one_of(name, value, _FILTER_VALUES[name], ignore_case=True)
        else:
            check_string(name, value)
            if name == "export_type":
                check_spelling(name, str(value), _EXPORT_TYPES)


def check_string(name: str, value: object) -> None:
    """Check that an optional argument is a non-empty string.

    :raises InvalidArgument: if it is not
    """
    check_not_missing(name, value)
    if value is not None and value is not UNKNOWN and (not isinstance(value, str) or not value.strip()):
        raise InvalidArgument(name, f"{value!r} is not a non-empty string; use one, or omit the argument.")


def check_seconds(name: str, value: object) -> None:
    """Check that an argument is a positive number of seconds.

    :raises InvalidArgument: if it is not
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise InvalidArgument(name, f"{value!r} is not a positive number of seconds.")


def to_seconds(name: str, value: float | timedelta) -> float:
    """Return the seconds of a number or a timedelta that is not negative.

    :raises InvalidArgument: if it is anything else
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 0 <= seconds < float("inf"):
        raise InvalidArgument(name, f"{value!r} is not supported; use seconds or a timedelta, and not less than 0.")
    return float(seconds)
