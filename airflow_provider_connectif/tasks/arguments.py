# SPDX-License-Identifier: Apache-2.0
"""Checking arguments: when the DAG is parsed, as far as they are known then, and otherwise when the task runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

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


def request_arguments(operator: BaseOperator) -> dict[str, Any]:
    """Collect the arguments that an export is created with."""
    return {name: getattr(operator, name) for name in REQUEST_ARGUMENTS}


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


def one_of(name: str, value: object, allowed: Sequence[str], unknown: Callable[[object], bool]) -> None:
    """Refuse what is none of the words that an argument takes.

    :param unknown: tells of a value that it is not known yet.
    :raises InvalidArgument: naming them.
    """
    if not unknown(value) and value not in allowed:
        raise InvalidArgument(name, f"{value!r} is not one of {', '.join(map(repr, allowed))}.")


def check_match(given: Mapping[str, object], unknown: Callable[[object], bool]) -> None:
    """Refuse what describes no export.

    :param given: by argument name: texts, and moments where the name ends in ``_after``; None means any.
    :param unknown: tells of a value that it is not known yet.
    :raises InvalidArgument: naming the argument.
    """
    from airflow_provider_connectif.api.argument_checks import parse_datetime_argument

    for name, value in given.items():
        if value is None or unknown(value):
            continue
        if name.endswith("_after"):
            parse_datetime_argument(name, value)
        elif not isinstance(value, str) or not value.strip():
            raise InvalidArgument(name, f"{value!r} is no text to match; leave it out to match any.")


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
