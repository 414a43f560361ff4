# SPDX-License-Identifier: Apache-2.0
"""A signed URL grants access to its file, so it must not appear in any error, traceback or log (promise 6)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator

import pytest
import requests

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import FileError
from tests.files.archives import RawMember, build_zip, make_zip
from tests.files.file_server import SECRET, Faults, serve_file
from tests.files.remote_files import FAST_RETRIES, read_members

CONTENT = make_zip({"a.csv": bytes(range(256)) * 8000}, 0)
SECRET_WORDS = (SECRET, "secretpath", "bucket")


class LogRecorder(logging.Handler):
    """A handler that records everything, regardless of the levels and handlers set by others."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.name} {record.getMessage()} {record.args!r}")

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@pytest.fixture
def logged() -> Iterator[LogRecorder]:
    """Everything that is logged at the debug level."""
    root, handler = logging.getLogger(), LogRecorder()
    # Not on the root logger: pytest sets its level again for the test itself.
    loggers = [logging.getLogger(name) for name in ("urllib3", "requests", "tenacity", "airflow_provider_connectif")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def everything_in(error: BaseException) -> str:
    """Return everything that a handler could read from an error: its text, traceback, attributes, cause and context."""
    texts, seen = [traceback.format_exc()], set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        texts += [str(current), repr(current), repr(current.args), repr(vars(current))]
        pending += [current.__cause__, current.__context__]
    return "\n".join(texts)


_FAULTS = {
    "cut immediately": Faults(cut_after=0),
    "reset immediately": Faults(cut_after=0, reset=True),
    "no ranges, cut": Faults(ranges=False, cut_after=1000),
    "no ranges, reset": Faults(ranges=False, cut_after=1000, reset=True),
    "chunked, cut": Faults(ranges=False, chunked=True, cut_after=1000),
    "silent": Faults(stall_after=0, stalls=99),
    "forbidden": Faults(statuses=[403] * 99),
    "broken": Faults(statuses=[500] * 99),
    "busy": Faults(statuses=[429] * 99),
    "expired": Faults(url_requests=0),
    "redirects": Faults(redirect=lambda path: path),
    "redirects elsewhere": Faults(redirect=lambda path: "ftp://elsewhere/" + path),
    "changes": Faults(total_error=5),
}


@pytest.mark.parametrize("fault", list(_FAULTS))
def test_no_error_traceback_or_log_contains_the_url(fault: str, logged: LogRecorder) -> None:
    with (
        serve_file(CONTENT, _FAULTS[fault]) as server,
        RemoteFile(server.renew, policy=FAST_RETRIES, timeout=(5, 0.2)) as file,
    ):
        try:
            read_members(file)
        except FileError as error:
            text = everything_in(error) + repr(file)
        else:
            pytest.fail("this store should not be readable")
    for word in SECRET_WORDS:
        assert word not in text
        assert word not in logged.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/bucket?" + SECRET + "=x", "bucket?" + SECRET, "http://[bucket"])
def test_a_url_that_cannot_be_used_is_not_revealed(url: str, logged: LogRecorder) -> None:
    with RemoteFile(lambda: url, policy=FAST_RETRIES) as file:
        try:
            read_members(file)
        except FileError as error:
            text = everything_in(error)
        else:
            pytest.fail("this URL should not be readable")
    for word in SECRET_WORDS:
        assert word not in text + logged.text


def test_the_error_of_a_damaged_archive_does_not_contain_the_url(logged: LogRecorder) -> None:
    with serve_file(build_zip([RawMember(b"a.csv", b"1", crc=1)])) as server, RemoteFile(server.renew) as file:
        try:
            read_members(file)
        except FileError as error:
            text = everything_in(error)
        else:
            pytest.fail("this archive should not be readable")
    for word in SECRET_WORDS:
        assert word not in text + logged.text


@pytest.mark.shows_secrets  # Airflow 3.0 writes the other request to the standard output
def test_other_requests_of_the_process_are_logged_as_usual(logged: LogRecorder) -> None:
    with serve_file(CONTENT) as server, RemoteFile(server.renew) as file:
        read_members(file)
        assert "urllib3" not in logged.text
        requests.get(server.renew(), timeout=5)
        assert "GET /bucket" in logged.text, "this test should see what urllib3 logs"
