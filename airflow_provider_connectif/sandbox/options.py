# SPDX-License-Identifier: Apache-2.0
"""The options of the sandbox, as a frozen dataclass from which the flags of the command line are derived.

Every option can be changed while the server runs (``running.set(rows=5)`` or ``POST /_sandbox/options``). The options
of the data and the archive are fixed for an export when it is created, so that its file does not change by itself;
the others apply from the next request on.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

READ_WRITE_KEY = "sandbox-key-id:sandbox-key-secret"
READ_ONLY_KEY = "sandbox-read-id:sandbox-read-secret"
BLOCKED_KEY = "sandbox-blocked-id:sandbox-blocked-secret"

#: The types of the activities in an export that does not name any.
SAMPLE_ACTIVITY_TYPES = ("purchase", "login", "register", "page-visit", "newsletter-subscribe", "contact-created")
ORDERS = ("newest", "oldest", "shuffled")
RATE_LIMIT_STYLES = ("ratelimit", "x-ratelimit", "retry-after", "retry-after-date", "none")
FILTER_DATES = ("normal", "as-sent", "date-time")
ARCHIVES = ("streamed", "plain", "csv")
ZIP64 = ("auto", "always", "central-only")
DAMAGES = ("none", "corrupt", "truncated", "unsafe-name", "encrypted", "bomb")
CHECKSUMS = ("etag", "goog", "content-md5", "none", "no-etag")


def _option(default: Any, help: str, choices: Sequence[str] | None = None) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


@dataclasses.dataclass(frozen=True)
class SandboxOptions:
    """The behaviour of the sandbox. The defaults are a well-behaved API; sizes are in bytes, times in seconds.

    :raises ValueError: if a value is not valid; the message names the option
    """

    # --- API keys ---------------------------------------------------------------------------------------
    key: str = _option(READ_WRITE_KEY, "key that may read and write")
    read_only_key: str = _option(READ_ONLY_KEY, "key that may only read; creating an export fails with 403")
    blocked_key: str = _option(BLOCKED_KEY, "key of a blocked account; every request fails with 403")

    # --- export lifecycle -------------------------------------------------------------------------------
    queue_seconds: float = _option(0.0, "how long an export stays queued")
    seconds_per_export: float = _option(2.0, "how long an export takes after that; with 0 it finishes immediately")
    fail: float | tuple[str, ...] = _option(
        0.0, "which exports fail: a fraction (0.25 is every fourth) or export types (contacts,activities)"
    )
    error_status: str = _option("error", "status of a failed export")
    hide_finished_at_of_failed: bool = _option(False, "omit finishedAt of failed exports")
    unknown_status: str = _option("", "status to report instead of inProgress, such as archiving")
    hide_progress: bool = _option(False, "omit progress and total")
    file_url_in_progress: bool = _option(False, "include fileUrl while the export is still in progress")
    reads_without_file_url: int = _option(0, "number of reads of a finished export that lack its fileUrl")
    clock_skew_seconds: float = _option(0.0, "how far the server's clock is ahead of the machine's")
    seed: int = _option(0, "number of finished exports from recent days that exist at the start")

    # --- creating exports -------------------------------------------------------------------------------
    newest_version: int = _option(6, "newest version of the columns; v1 up to this one are accepted")
    filter_dates: str = _option(
        "normal",
        "how filters report dates: normal (date-times in UTC, dates unchanged), as-sent, "
        "date-time (dates become date-times too)",
        FILTER_DATES,
    )
    known_activity_types: tuple[str, ...] = _option(
        (*SAMPLE_ACTIVITY_TYPES, "contact-merged"), "activity types that exist; if empty, every name is accepted"
    )
    known_segments: tuple[str, ...] = _option((), "segments that exist; if empty, every id is accepted")
    known_reports: tuple[str, ...] = _option((), "reports that exist; if empty, every id is accepted")
    report_titles: tuple[str, ...] = _option(
        (), "titles of reports, each as ID=TITLE; other reports get a default title"
    )
    file_name_extension: bool = _option(True, "fileName ends in the extension (purchases-….zip)")

    # --- listing exports --------------------------------------------------------------------------------
    order: str = _option("newest", "which exports the list shows first", ORDERS)
    shifting_pages: bool = _option(False, "add a new export to the list each time a page is read")
    paging_loop: bool = _option(False, "let the next link of the last page lead to the first page")
    next_host: str = _option("", "different base URL for the next links, such as http://127.0.0.2:1")

    # --- rate limit and errors --------------------------------------------------------------------------
    rate_limit: int = _option(0, "requests allowed per window; 0 means no limit")
    rate_limit_window: float = _option(1.0, "length of the rate limit's window")
    rate_limit_headers: str = _option("ratelimit", "headers that report the rate limit", RATE_LIMIT_STYLES)
    faults: tuple[str, ...] = _option(
        (), "faults queued at the start, each as ON:KIND:NAME=VALUE:…, such as create:create-then-cut:times=2"
    )
    error_share: float = _option(0.0, "fraction of API requests that fail with 500 or 503")
    hostile_share: float = _option(
        0.0, "fraction of API requests with odd responses, such as HTML, cut JSON, or unusual rate limit headers"
    )
    replica_lag: float = _option(0.0, "how long a new export is missing from half of the responses, at random")
    file_error_share: float = _option(0.0, "fraction of file requests that fail with 500 or 503")
    random_seed: int = _option(0, "seed of the random faults and of the shuffled order")

    # --- export data (fixed for an export when it is created) -------------------------------------------
    rows: int = _option(100, "number of rows in the main CSV file")
    file_bytes: int = _option(0, "size of the main CSV file instead of rows: 20 GB or more, generated on the fly")
    contact_fields: tuple[str, ...] = _option(
        (), "contact fields that the store has added; each is a column at the end of contacts"
    )
    report_columns: tuple[str, ...] = _option(
        (), "columns of reports, each as ID=TITLE,TITLE; other reports have six default columns"
    )
    bom: bool = _option(False, "start each CSV file with a byte order mark")
    crlf: bool = _option(False, "end the lines of the CSV files with CRLF")

    # --- export archive (fixed for an export when it is created) ----------------------------------------
    archive: str = _option(
        "streamed", "streamed (ZIP with data descriptors), plain (ZIP without), csv (no ZIP)", ARCHIVES
    )
    stored: bool = _option(False, "do not compress the members of the ZIP")
    zip64: str = _option(
        "auto",
        "use of ZIP64: auto (if sizes require it), always, central-only (never in the local headers)",
        ZIP64,
    )
    damage: str = _option("none", "defect of the archive", DAMAGES)

    # --- file server ------------------------------------------------------------------------------------
    url_seconds: float = _option(6000.0, "how long a signed URL is valid")
    file_host: str = _option(
        "", "host[:port] of signed URLs; if empty, localhost, or 127.0.0.1 if the API is reached as localhost"
    )
    ranges: bool = _option(True, "support range requests")
    head: bool = _option(True, "support HEAD for files; otherwise it fails with 403, like an S3 URL signed for GET")
    chunked: bool = _option(False, "send files without a Content-Length")
    checksums: str = _option("etag", "checksum that the file server sends", CHECKSUMS)
    cut_every_bytes: int = _option(0, "close the connection each time this many bytes of a file have been sent")
    cut_times: int = _option(0, "maximum number of such cuts per file; 0 means no maximum")
    change_after_bytes: int = _option(0, "replace the file with another one, once, after this many bytes")
    length_lie: int = _option(0, "number of bytes added to the announced length of a file; may be negative")
    bytes_per_second: int = _option(0, "rate at which each file request is served; 0 means no limit")
    stall_after_bytes: int = _option(0, "pause for stall_seconds after this many bytes of a response")
    stall_seconds: float = _option(60.0, "length of that pause")

    def __post_init__(self) -> None:
        for field, hint in option_types():
            value = _convert(field.name, hint, getattr(self, field.name))
            choices = field.metadata["choices"]
            if choices and value not in choices:
                raise ValueError(f"{field.name}: {value!r} is not one of {', '.join(choices)}")
            if isinstance(value, (int, float)) and value < 0 and field.name not in _MAY_BE_NEGATIVE:
                raise ValueError(f"{field.name}: {value!r} must not be negative")
            object.__setattr__(self, field.name, value)
        if isinstance(self.fail, float) and self.fail > 1:
            raise ValueError(f"fail: {self.fail!r} must be a fraction between 0 and 1")
        if not self.rate_limit_window:
            raise ValueError("rate_limit_window: must be positive")

    def changed(self, changes: Mapping[str, Any]) -> SandboxOptions:
        """Return a copy in which some options are changed.

        :param changes: new values by option name, as parsed from JSON
        :raises ValueError: if a name or a value is not valid
        """
        unknown = set(changes) - {field.name for field in dataclasses.fields(self)}
        if unknown:
            raise ValueError(f"there is no option named {', '.join(sorted(unknown))}")
        return dataclasses.replace(self, **dict(changes))

    def as_json(self) -> dict[str, Any]:
        """Return the options as a dictionary of JSON values."""
        return {
            name: list(value) if isinstance(value, tuple) else value for name, value in dataclasses.asdict(self).items()
        }


_MAY_BE_NEGATIVE = {"clock_skew_seconds", "length_lie", "random_seed"}


@functools.cache
def option_types() -> tuple[tuple[dataclasses.Field[Any], Any], ...]:
    """Return each option's field with its resolved type."""
    hints = get_type_hints(SandboxOptions)
    return tuple((field, hints[field.name]) for field in dataclasses.fields(SandboxOptions))


def _convert(name: str, hint: Any, value: Any) -> Any:
    """Convert a value from JSON or the command line to the type of an option."""
    if hint is bool or hint is str:
        if not isinstance(value, hint):
            raise ValueError(f"{name}: {value!r} is not a {'boolean' if hint is bool else 'string'}")
        return value
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name}: {value!r} is not an integer")
        return value
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{name}: {value!r} is not a number")
        return float(value)
    if name == "fail":
        return _fraction_or_types(value)
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError(f"{name}: {value!r} is not a list of strings")


def _fraction_or_types(value: Any) -> float | tuple[str, ...]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError(f"fail: {value!r} is neither a fraction nor a list of export types")
