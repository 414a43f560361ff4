# SPDX-License-Identifier: Apache-2.0
"""Faults to inject: each one is queued, and applied to the next requests of its kind."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from typing import Any

ON = ("create", "list", "get", "file")

# What each kind does; "NNN" stands for any HTTP error status.
KINDS = {
    "NNN": "respond with that status and do nothing else",
    "html": "respond with an HTML page, with `status` (200 by default)",
    "hang": "do not respond, and close the connection after `seconds`",
    "cut": "close the connection without a response; for a file, after `bytes` bytes of it",
}
API_KINDS = {
    "redirect": "redirect to the same path on another host, with `status` (307 by default)",
    "empty": "carry out the request and respond with an empty body",
    "cut-json": "carry out the request and respond with the first half of the JSON",
    "slow": "carry out the request and respond `seconds` later",
    "headers": "carry out the request and respond with `headers` in addition",
}
CREATE_KINDS = {
    "create-then-NNN": "create the export and respond with that status",
    "create-then-hang": "create the export, do not respond, and close the connection after `seconds`",
    "create-then-html": "create the export and respond with an HTML page, with `status` (200 by default)",
    "create-then-cut": "create the export and close the connection without a response",
    "create-late": "respond with `status` (504 by default) and create the export `seconds` later",
    "then-fails": "create the export and respond normally, but let the export fail",
}
FILE_KINDS = {
    "stall": "stop sending after `bytes` bytes, for `seconds`, then close the connection",
    "drip": "send `bytes` bytes per second",
    "short": "send `bytes` bytes less than requested, with a matching Content-Length",
    "change": "replace the file with another one, then respond",
}
_FOLLOWING_KINDS = ("then-fails", "empty", "cut-json", "slow", "headers")
_STATUS = re.compile(r"(create-then-)?([45]\d\d)")


@dataclasses.dataclass
class Fault:
    """A fault to inject into some requests.

    :param on: the requests that it applies to: ``create``, ``list``, ``get`` or ``file``
    :param kind: what happens; see :data:`KINDS`, :data:`API_KINDS`, :data:`CREATE_KINDS`, :data:`FILE_KINDS`
    :param times: number of requests that it applies to
    :param skip: number of requests that succeed first
    :param seconds: duration, for the kinds that take time
    :param bytes: number of bytes, for the kinds that count bytes
    :param status: HTTP status, for the kinds that respond with one
    :param headers: further headers of the response, by name, for the kinds that respond
    :param retry_after: seconds for a ``Retry-After`` header, for the kinds that respond with a status; 0 sends none
    :param export_id: limits the fault to requests for this export; if empty, it applies to all
    :raises ValueError: if an argument is not valid
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
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

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
        if not isinstance(self.headers, Mapping) or not all(isinstance(each, str) for each in self.headers.values()):
            raise ValueError(f"headers: {self.headers!r} is not an object with strings")

    @classmethod
    def from_json(cls, body: Any) -> Fault:
        """Return the fault that a JSON object describes.

        :raises ValueError: if it does not describe a fault
        """
        if not isinstance(body, Mapping):
            raise ValueError("a fault must be a JSON object")
        unknown = set(body) - {field.name for field in dataclasses.fields(cls)}
        if unknown:
            raise ValueError(f"a fault has no field named {', '.join(sorted(unknown))}")
        if "on" not in body or "kind" not in body:
            raise ValueError("a fault must have the fields on and kind")
        return cls(**{**body, "kind": str(body["kind"])})

    @classmethod
    def from_text(cls, text: str) -> Fault:
        """Return the fault that a text such as ``ON:KIND``, ``ON:KIND:TIMES`` or ``ON:KIND:NAME=VALUE:…`` describes.

        :raises ValueError: if the text does not describe a fault
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
    def response_headers(self) -> dict[str, str]:
        """The additional headers of the response."""
        return {**({"Retry-After": str(self.retry_after)} if self.retry_after else {}), **self.headers}

    @property
    def follows_request(self) -> bool:
        """Whether the request is validated, and carried out where the kind says so, before the fault applies."""
        return self.kind.startswith("create-") or self.kind in _FOLLOWING_KINDS

    def as_json(self) -> dict[str, Any]:
        """Return the fault as a dictionary of JSON values."""
        return dataclasses.asdict(self)


class FaultQueue:
    """The queued faults, in the order in which they were added."""

    def __init__(self) -> None:
        self.waiting: list[Fault] = []

    def add(self, fault: Fault) -> None:
        """Append a fault."""
        self.waiting.append(fault)

    def take(self, on: str, export_id: str = "") -> Fault | None:
        """Return the next fault that applies to a request, or None, and count the request."""
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
