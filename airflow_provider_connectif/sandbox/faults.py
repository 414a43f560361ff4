# SPDX-License-Identifier: Apache-2.0
"""Faults that wait for their request: each is given to the next requests of its kind, then it is used up."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

ON = ("create", "list", "get", "file")

# What a kind does; "NNN" stands for any HTTP status of an error.
KINDS = {
    "NNN": "answer with that status, and do nothing",
    "html": "answer with an HTML page (its status: `status`, or else 200)",
    "hang": "do nothing and never answer: after `seconds` the connection is closed",
    "cut": "close the connection without an answer; for a file, after `bytes` bytes of it",
}
API_KINDS = {
    "redirect": "redirect to the same path on another host (the status: `status`, or else 307)",
}
CREATE_KINDS = {
    "create-then-NNN": "create the export and answer with that status",
    "create-then-hang": "create the export and never answer: after `seconds` the connection is closed",
    "create-then-cut": "create the export and close the connection without an answer",
    "create-late": "answer with `status` (or else 504), and create the export `seconds` later",
    "then-fails": "create the export and answer well, but the export ends in error",
}
FILE_KINDS = {
    "stall": "stop sending after `bytes` bytes, for `seconds`, then close the connection",
    "drip": "send `bytes` bytes a second",
    "short": "send `bytes` bytes less than were asked for, with a length that says so",
    "change": "the file is replaced by another before the request is answered",
}
_STATUS = re.compile(r"(create-then-)?([45]\d\d)")


@dataclasses.dataclass
class Fault:
    """A fault.

    :param on: the requests that it is for: ``create``, ``list``, ``get`` or ``file``.
    :param kind: what happens; see :data:`KINDS`, :data:`API_KINDS`, :data:`CREATE_KINDS`, :data:`FILE_KINDS`.
    :param times: how many requests get it.
    :param skip: how many requests go well before.
    :param seconds: how long, for the kinds that take time.
    :param bytes: how many, for the kinds that count bytes.
    :param status: an HTTP status, for the kinds that answer with one.
    :param retry_after: seconds for a ``Retry-After`` header, for kinds that answer with a status; 0: none.
    :param export_id: only for requests for this export; empty: for any.
    :raises ValueError: when there is no such fault.
    """

    on: str
    kind: str
    times: int = 1
    skip: int = 0
    seconds: float = 30.0
    bytes: int = 0
    status: int = 0
    retry_after: int = 0
    export_id: str = ""

    def __post_init__(self) -> None:
        if self.on not in ON:
            raise ValueError(f"on: {self.on!r} is not one of {', '.join(ON)}")
        kinds = dict(KINDS)
        kinds |= FILE_KINDS if self.on == "file" else API_KINDS
        kinds |= CREATE_KINDS if self.on == "create" else {}
        match = _STATUS.fullmatch(self.kind)
        if match:
            self.status = self.status or int(match[2])
        if "NNN" in self.kind or (match[0].replace(match[2], "NNN") if match else self.kind) not in kinds:
            raise ValueError(f"kind: {self.kind!r} is not one of {', '.join(kinds)} (NNN: an HTTP status)")
        for name in ("times", "skip", "bytes", "status", "retry_after", "seconds"):
            value = getattr(self, name)
            kind = (int, float) if name == "seconds" else int
            if isinstance(value, bool) or not isinstance(value, kind) or value < 0:
                raise ValueError(f"{name}: {value!r} is not a number of 0 or more")

    @classmethod
    def from_json(cls, body: Any) -> Fault:
        """Make a fault from a JSON object.

        :raises ValueError: when it is none.
        """
        if not isinstance(body, Mapping):
            raise ValueError("a fault is an object")
        unknown = set(body) - {field.name for field in dataclasses.fields(cls)}
        if unknown or "on" not in body or "kind" not in body:
            names = ", ".join(field.name for field in dataclasses.fields(cls))
            raise ValueError(f"a fault has on and kind, and some of {names}, not {', '.join(sorted(unknown))}")
        return cls(**{**body, "kind": str(body["kind"])})

    @classmethod
    def from_text(cls, text: str) -> Fault:
        """Make a fault from ``ON:KIND``, ``ON:KIND:TIMES`` or ``ON:KIND:NAME=VALUE:…``.

        :raises ValueError: when the text is none.
        """
        on, _, rest = text.partition(":")
        kind, *details = rest.split(":")
        body: dict[str, Any] = {"on": on, "kind": kind}
        for detail in details:
            name, found, value = detail.rpartition("=")
            number = float(value) if name == "seconds" else int(value) if name != "export_id" else value
            body[name if found else "times"] = number
        return cls.from_json(body)

    @property
    def headers(self) -> dict[str, str]:
        """The headers of its answer."""
        return {"Retry-After": str(self.retry_after)} if self.retry_after else {}

    @property
    def acts_after_creating(self) -> bool:
        """Whether the request must first be read, checked and perhaps carried out."""
        return self.kind.startswith("create-") or self.kind == "then-fails"

    def as_json(self) -> dict[str, Any]:
        """Return the fault as a dictionary of JSON values."""
        return dataclasses.asdict(self)


class FaultQueue:
    """The faults that wait, in the order in which they came."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Put a fault at the end."""
        self.waiting.append(fault)

    def take(self, on: str, export_id: str = "") -> Fault | None:
        """Return the fault for a request, if one waits for it, and count it down."""
        for fault in self.waiting:
            if fault.on != on or fault.export_id not in ("", export_id):
                continue
            if fault.skip:
                fault.skip -= 1
                return None
            fault.times -= 1
            if fault.times <= 0:
                self.waiting.remove(fault)
            return fault
        return None
