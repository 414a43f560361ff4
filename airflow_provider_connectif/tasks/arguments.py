# SPDX-License-Identifier: Apache-2.0
"""Checking arguments: when the DAG is parsed, as far as they are known then, and otherwise when the task runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_provider_connectif.api.argument_checks import UNKNOWN, parse_datetime_argument
from airflow_provider_connectif.api.errors import InvalidArgument

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator

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
"""The arguments that an export is created with, by the names that every operator gives them."""

FILTER_ARGUMENTS = ("export_type", "created_after", "origin", "report_id", "segment_id")
"""The arguments that describe exports that somebody made."""


class ConnectifArgumentError(AirflowFailException, ValueError):
    """An argument is wrong: its name, what is wrong with it, and what would be right.

    A mapped operator is constructed only when it runs, where Airflow would retry a plain ``ValueError``.
    """


def is_unknown(value: object) -> bool:
    """Tell whether a value is not known yet: a template, or another task's result."""
    if isinstance(value, str):
        return any(mark in value for mark in ("{{", "{%", "{#"))
    # XComArg, and whatever else Airflow resolves when the task runs.
    return callable(getattr(value, "resolve", None)) and not isinstance(value, type)


def check(checking: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
    """Run a check, and raise what it finds wrong as an error that Airflow does not retry.

    :raises ConnectifArgumentError: in place of :class:`InvalidArgument`.
    """
    try:
        return checking(*arguments, **named)
    except InvalidArgument as problem:
        raise ConnectifArgumentError(str(problem)) from None


def arguments_of(operator: BaseOperator, names: Iterable[str], *, rendered: bool) -> dict[str, Any]:
    """Return some of an operator's arguments by name.

    :param rendered: whether templates have been rendered; if not, values that are not known yet are replaced with
        :data:`~airflow_provider_connectif.api.argument_checks.UNKNOWN`
    """
    values = {name: getattr(operator, name) for name in names}
    return values if rendered else {name: _without_unknown(value) for name, value in values.items()}


def _without_unknown(value: Any) -> Any:
    if isinstance(value, (list, tuple, set)):
        return [_without_unknown(item) for item in value]
    return UNKNOWN if is_unknown(value) else value


def request_arguments(operator: BaseOperator, *, rendered: bool = True) -> dict[str, Any]:
    """Return the arguments that an export is created with, as :func:`arguments_of` does."""
    return arguments_of(operator, REQUEST_ARGUMENTS, rendered=rendered)


def check_exactly_one(given: Mapping[str, object]) -> None:
    """Refuse none or several of what excludes each other.

    :param given: by argument name; None means that it was not given.
    :raises InvalidArgument: naming them all.
    """
    names = [name for name, value in given.items() if value is not None]
    if len(names) != 1:
        every = " or ".join(given)
        what = f"{' and '.join(names)} exclude each other" if names else "is missing"
        raise InvalidArgument(names[0] if names else next(iter(given)), f"{what}: give either {every}.")


def check_filter(arguments: Mapping[str, object]) -> None:
    """Check the arguments of an :class:`~airflow_provider_connectif.api.filters.ExportFilter`.

    :param arguments: by name: strings, and date-times if the name ends in ``_after``; ``None`` matches any value
    :raises InvalidArgument: for the first argument that is wrong
    """
    for name, value in arguments.items():
        if value is None or value is UNKNOWN:
            continue
        if name.endswith("_after"):
            parse_datetime_argument(name, value)
        elif not isinstance(value, str) or not value.strip():
            raise InvalidArgument(name, f"{value!r} is not a non-empty string; omit it to match any value.")


def check_strings(**values: object) -> None:
    """Refuse what is given and is no text.

    :param values: by argument name; None means that it was not given.
    :raises ConnectifArgumentError: naming the argument.
    """
    for name, value in values.items():
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise ConnectifArgumentError(
                str(InvalidArgument(name, f"{value!r} is no text; write one, or leave it out."))
            )


def check_seconds(name: str, value: object) -> None:
    """Refuse what is no number of seconds above 0.

    :raises ConnectifArgumentError: naming the argument.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < float("inf"):
        raise ConnectifArgumentError(str(InvalidArgument(name, f"{value!r} is no number of seconds above 0.")))
