# SPDX-License-Identifier: Apache-2.0
"""Validation of the requests that create an export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from airflow_provider_connectif.sandbox.errors import HttpError
from airflow_provider_connectif.sandbox.options import SandboxOptions
from airflow_provider_connectif.sandbox.timestamps import parse_date, parse_date_time

DELIMITERS = (",", ";")
DATE_FORMATS = ("ISO", "L", "LL", "LLL")
CREATABLE_TYPES = ("contacts", "activities")
MAX_SPAN = timedelta(days=31)

Check = Callable[[Any], "str | None"]
INVALID = "Value is not valid"
REQUIRED = "Value is required"
UNKNOWN = "Unknown property"
NOT_FOR_TYPE = "Property is not allowed for this export type"


class _Errors:
    def __init__(self) -> None:
        self.found: list[dict[str, str]] = []

    def add(self, path: str, reason: str) -> None:
        self.found.append({"name": path.rsplit("/", 1)[-1], "path": path, "reason": reason})

    def check(self, base: str, body: Mapping[str, Any], rules: Mapping[str, Check], required: set[str]) -> None:
        for name in body:
            if name not in rules:
                self.add(f"{base}/{name}", UNKNOWN)
            elif reason := rules[name](body[name]):
                self.add(f"{base}/{name}", reason)
        for name in rules:
            if name in required and name not in body:
                self.add(f"{base}/{name}", REQUIRED)

    def has(self, path: str) -> bool:
        return any(error["path"] == path for error in self.found)

    def raise_any(self) -> None:
        if self.found:
            raise HttpError(422, "Validation failed", code="E0103", validation_errors=self.found)


def _one_of(*values: str) -> Check:
    return lambda value: None if isinstance(value, str) and value in values else INVALID


def _id(known: tuple[str, ...]) -> Check:
    def check(value: Any) -> str | None:
        valid = isinstance(value, str) and value and (not known or value in known)
        return None if valid else INVALID

    return check


def _date_time(value: Any) -> str | None:
    valid = isinstance(value, str) and parse_date_time(value)
    return None if valid else "Value must be a date-time in ISO8601 format"


def _date(value: Any) -> str | None:
    valid = isinstance(value, str) and parse_date(value)
    return None if valid else "Value must be a date in YYYY-MM-DD format"


def _strings(value: Any) -> str | None:
    valid = isinstance(value, list) and all(isinstance(part, str) and part for part in value)
    return None if valid else "Value must be an array of strings"


def _activity_types(known: tuple[str, ...]) -> Check:
    def check(value: Any) -> str | None:
        return _strings(value) or (INVALID if known and not set(value) <= set(known) else None)

    return check


def _object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "Value must be an object"


def _forbidden(value: Any) -> str | None:
    return NOT_FOR_TYPE


def check_export(body: Mapping[str, Any], options: SandboxOptions) -> None:
    """Check the body of ``POST /exports``.

    :raises HttpError: 422, with every invalid field
    """
    errors = _Errors()
    versions = [f"v{number}" for number in range(1, options.newest_version + 1)]
    rules: dict[str, Check] = {
        "exportType": _one_of(*CREATABLE_TYPES),
        "delimiter": _one_of(*DELIMITERS),
        "dateFormat": _one_of(*DATE_FORMATS),
        "version": _one_of(*versions),
        "filters": _object,
    }
    export_type = body.get("exportType")
    required = {"exportType", "delimiter", "dateFormat"}
    if export_type == "activities":
        required.add("filters")
    errors.check("", body, rules, required)
    filters = body.get("filters")
    if isinstance(filters, dict) and export_type in CREATABLE_TYPES:
        dated = export_type == "activities"
        filter_rules: dict[str, Check] = {
            "segmentId": _id(options.known_segments),
            "fromDate": _date_time if dated else _forbidden,
            "toDate": _date_time if dated else _forbidden,
            "activityTypes": _activity_types(options.known_activity_types) if dated else _forbidden,
            "reportId": _forbidden,
        }
        errors.check("/filters", filters, filter_rules, {"fromDate", "toDate"} if dated else set())
        if dated and not errors.has("/filters/fromDate") and not errors.has("/filters/toDate"):
            start, end = parse_date_time(filters["fromDate"]), parse_date_time(filters["toDate"])
            if start and end:
                _check_span(errors, end - start, MAX_SPAN)
    errors.raise_any()


def check_data_explorer(body: Mapping[str, Any], options: SandboxOptions) -> None:
    """Check the body of ``POST /exports/type/data-explorer``.

    Both dates are inclusive, so the longest period is from the 1st to the 31st. It is unknown whether the vendor
    accepts one more day; the sandbox does not.

    :raises HttpError: 422, with every invalid field
    """
    errors = _Errors()
    rules: dict[str, Check] = {"delimiter": _one_of(*DELIMITERS), "filters": _object}
    errors.check("", body, rules, set(rules))
    filters = body.get("filters")
    if isinstance(filters, dict):
        filter_rules: dict[str, Check] = {
            "reportId": _id(options.known_reports),
            "fromDate": _date,
            "toDate": _date,
            "segmentId": _forbidden,
            "activityTypes": _forbidden,
        }
        errors.check("/filters", filters, filter_rules, {"reportId", "fromDate", "toDate"})
        if not errors.has("/filters/fromDate") and not errors.has("/filters/toDate"):
            start, end = parse_date(filters["fromDate"]), parse_date(filters["toDate"])
            if start and end:
                _check_span(errors, end - start, MAX_SPAN - timedelta(days=1))
    errors.raise_any()


def _check_span(errors: _Errors, span: timedelta, maximum: timedelta) -> None:
    if span < timedelta(0):
        errors.add("/filters/toDate", "Value must not be before fromDate")
    elif span > maximum:
        errors.add("/filters/toDate", "The date range must not be greater than 31 days")
