# SPDX-License-Identifier: Apache-2.0
"""The sandbox's options: one frozen dataclass, from which the command line's flags are made too.

Every option can be changed while the server runs (``running.set(rows=5)`` or ``POST /_sandbox/options``). An
export keeps those of its data and its archive as they were when it was created, so that its file never
changes by itself; the others apply from the next request on.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any, get_type_hints

READ_WRITE_KEY = "sandbox-key-id:sandbox-key-secret"
READ_ONLY_KEY = "sandbox-read-id:sandbox-read-secret"
BLOCKED_KEY = "sandbox-blocked-id:sandbox-blocked-secret"

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
    """How the sandbox behaves. The defaults are a well-behaved API; sizes are in bytes, times in seconds.

    :raises ValueError: when a value is not possible; the message names the option.
    """

    # --- keys -------------------------------------------------------------------------------------------
    key: str = _option(READ_WRITE_KEY, "the key that may read and write")
    read_only_key: str = _option(READ_ONLY_KEY, "the key that may only read: creating gives 403")
    blocked_key: str = _option(BLOCKED_KEY, "the key of a blocked account: everything gives 403")

    # --- the exports' course ----------------------------------------------------------------------------
    queue_seconds: float = _option(0.0, "how long an export stays queued")
    seconds_per_export: float = _option(2.0, "how long an export then takes; 0: it is finished at once")
    fail: float | tuple[str, ...] = _option(
        0.0, "which exports end in error: a share (0.25: every fourth) or export types (contacts,activities)"
    )
    error_status: str = _option("error", "the status of an export that failed")
    unknown_status: str = _option("", "a status to report in place of inProgress, such as archiving")
    hide_progress: bool = _option(False, "leave out progress and total")
    file_url_in_progress: bool = _option(False, "give a fileUrl already while the export is in progress")
    reads_without_file_url: int = _option(0, "how many reads of a finished export come without its fileUrl")
    clock_skew_seconds: float = _option(0.0, "how far the server's clock is ahead of the machine's")
    seed: int = _option(0, "how many finished exports of the recent days there are from the start")

    # --- creating ---------------------------------------------------------------------------------------
    newest_version: int = _option(6, "the newest version of the exports' columns: v1 to this one are accepted")
    filter_dates: str = _option(
        "normal",
        "how filters report dates: normal (date-times in UTC, bare dates as they are), as-sent, "
        "date-time (bare dates become date-times too)",
        FILTER_DATES,
    )
    known_segments: tuple[str, ...] = _option((), "the segments that exist; empty: every id is accepted")
    known_reports: tuple[str, ...] = _option((), "the reports that exist; empty: every id is accepted")
    report_titles: tuple[str, ...] = _option(
        (), "titles of reports, each as ID=TITLE; others get one of some usual titles"
    )
    file_name_extension: bool = _option(True, "fileName ends in the extension (purchases-….zip)")

    # --- the list ---------------------------------------------------------------------------------------
    order: str = _option("newest", "which exports the list shows first", ORDERS)
    shifting_pages: bool = _option(False, "each page that is read makes a new export appear in the list")
    paging_loop: bool = _option(False, "the last page's next link leads to the first page")
    next_host: str = _option("", "another base URL for the next links, such as http://127.0.0.2:1")

    # --- rate limit and errors --------------------------------------------------------------------------
    rate_limit: int = _option(0, "requests allowed in each window; 0: no limit")
    rate_limit_window: float = _option(1.0, "length of the rate limit's window")
    rate_limit_headers: str = _option("ratelimit", "how the rate limit is told", RATE_LIMIT_STYLES)
    faults: tuple[str, ...] = _option(
        (), "faults to begin with, each as ON:KIND:NAME=VALUE:…, such as create:create-then-cut:times=2"
    )
    error_share: float = _option(0.0, "the share of API requests that are answered with 500 or 503")
    file_error_share: float = _option(0.0, "the share of file requests that are answered with 500 or 503")
    random_seed: int = _option(0, "the seed of the random faults and of the shuffled order")

    # --- the data (fixed for an export when it is created) ----------------------------------------------
    rows: int = _option(100, "rows of an export's main file")
    file_bytes: int = _option(0, "size of the main CSV, in place of rows: to 20 GB and more, made on the fly")
    bom: bool = _option(False, "begin each CSV with a byte order mark")
    crlf: bool = _option(False, "end the CSV's lines with CRLF")

    # --- the archive (fixed for an export when it is created) -------------------------------------------
    archive: str = _option(
        "streamed", "streamed (ZIP with data descriptors), plain (ZIP without), csv (no ZIP)", ARCHIVES
    )
    stored: bool = _option(False, "do not compress the ZIP's members")
    zip64: str = _option(
        "auto",
        "auto (where sizes need it), always, central-only (never in a member's own header)",
        ZIP64,
    )
    damage: str = _option("none", "what is wrong with the archive", DAMAGES)

    # --- the files' server ------------------------------------------------------------------------------
    address_seconds: float = _option(6000.0, "how long a file's address is valid")
    file_host: str = _option("", "host[:port] of the files' addresses; empty: localhost, or else 127.0.0.1")
    ranges: bool = _option(True, "serve ranges")
    head: bool = _option(True, "answer HEAD for a file; without, 403 as S3 does for an address signed for GET")
    chunked: bool = _option(False, "send files without a Content-Length")
    checksums: str = _option("etag", "which checksum the files' server tells", CHECKSUMS)
    cut_every_bytes: int = _option(0, "cut the connection each time that so many bytes of a file went out")
    cut_times: int = _option(0, "how many times at most for each file; 0: no end")
    change_after_bytes: int = _option(0, "after so many bytes the file is replaced by another, once")
    length_lie: int = _option(0, "how many bytes more (below 0: less) than it has a file is said to have")
    bytes_per_second: int = _option(0, "how fast each file request is served; 0: as fast as it goes")
    stall_after_bytes: int = _option(0, "stop sending after so many bytes of a response, for stall_seconds")
    stall_seconds: float = _option(60.0, "how long a stalled response stands still")

    def __post_init__(self) -> None:
        for field, hint in option_types():
            value = _convert(field.name, hint, getattr(self, field.name))
            choices = field.metadata["choices"]
            if choices and value not in choices:
                raise ValueError(f"{field.name}: {value!r} is not one of {', '.join(choices)}")
            if isinstance(value, (int, float)) and value < 0 and field.name not in _MAY_BE_NEGATIVE:
                raise ValueError(f"{field.name}: {value!r} is below 0")
            object.__setattr__(self, field.name, value)
        if isinstance(self.fail, float) and self.fail > 1:
            raise ValueError(f"fail: a share is between 0 and 1, not {self.fail!r}")
        if not self.rate_limit_window:
            raise ValueError("rate_limit_window: must be above 0")

    def changed(self, changes: Mapping[str, Any]) -> SandboxOptions:
        """Return a copy with some options changed.

        :param changes: new values by option name, as from JSON.
        :raises ValueError: when a name or a value is wrong.
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
    """Take what JSON or a command line gives for a type; anything else is an error."""
    if hint is bool or hint is str:
        if not isinstance(value, hint):
            raise ValueError(f"{name}: {value!r} is not a {'boolean' if hint is bool else 'string'}")
        return value
    if hint is int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(f"{name}: {value!r} is not a whole number")
        return value
    if hint is float:
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ValueError(f"{name}: {value!r} is not a number")
        return float(value)
    if name == "fail":
        return _share_or_types(value)
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError(f"{name}: {value!r} is not a list of strings")


def _share_or_types(value: Any) -> float | tuple[str, ...]:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return tuple(part.strip() for part in value.split(",") if part.strip())
    if isinstance(value, (list, tuple)) and all(isinstance(part, str) for part in value):
        return tuple(value)
    raise ValueError(f"fail: {value!r} is neither a share nor a list of export types")
