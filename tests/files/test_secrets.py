# SPDX-License-Identifier: Apache-2.0
"""A file's address is the right to read it: it appears in no error, no traceback and no log (promise 6)."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator

import pytest
import requests

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.errors import FileError
from tests.files.archives import Part, handmade, zipped
from tests.files.file_server import SECRET, Faults, serve_file
from tests.files.remote_files import FAST_RETRIES, read_members

CONTENT = zipped({"a.csv": bytes(range(256)) * 8000}, 0)
TELLING = (SECRET, "secretpath", "bucket")


class Everything(logging.Handler):
    """Keeps all that is logged, whatever levels and handlers others have set."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(f"{record.name} {record.getMessage()} {record.args!r}")

    @property
    def text(self) -> str:
        return "\n".join(self.told)


@pytest.fixture
def logged() -> Iterator[Everything]:
    """What is logged at the most talkative level."""
    root, handler = logging.getLogger(), Everything()
    # The root's own level is pytest's, which sets it anew for the test itself.
    loggers = [logging.getLogger(name) for name in ("urllib3", "requests", "tenacity", "airflow_provider_connectif")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def everything_told_by(error: BaseException) -> str:
    """What any handler could get out of an error: its text, its traceback, and all that it drags along."""
    told, seen = [traceback.format_exc()], set()
    pending: list[BaseException | None] = [error]
    while pending:
        now = pending.pop()
        if now is None or id(now) in seen:
            continue
        seen.add(id(now))
        told += [str(now), repr(now), repr(now.args), repr(vars(now))]
        pending += [now.__cause__, now.__context__]
    return "\n".join(told)


_FAULTS = {
    "cut at once": Faults(cut_after=0),
    "reset at once": Faults(cut_after=0, reset=True),
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
def test_no_error_traceback_or_log_shows_the_address(fault: str, logged: Everything) -> None:
    with (
        serve_file(CONTENT, _FAULTS[fault]) as store,
        RemoteFile(store.renew, policy=FAST_RETRIES, timeout=(5, 0.2)) as file,
    ):
        try:
            read_members(file)
        except FileError as error:
            told = everything_told_by(error) + repr(file)
        else:
            pytest.fail("this store should not be readable")
    for word in TELLING:
        assert word not in told
        assert word not in logged.text


@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:1/bucket?" + SECRET + "=x", "bucket?" + SECRET, "http://[bucket"]
)
def test_an_address_that_leads_nowhere_is_not_shown(address: str, logged: Everything) -> None:
    with RemoteFile(lambda: address, policy=FAST_RETRIES) as file:
        try:
            read_members(file)
        except FileError as error:
            told = everything_told_by(error)
        else:
            pytest.fail("this address should not be readable")
    for word in TELLING:
        assert word not in told + logged.text


def test_a_damaged_archive_does_not_show_the_address(logged: Everything) -> None:
    with serve_file(handmade([Part(b"a.csv", b"1", crc=1)])) as store, RemoteFile(store.renew) as file:
        try:
            read_members(file)
        except FileError as error:
            told = everything_told_by(error)
        else:
            pytest.fail("this archive should not be readable")
    for word in TELLING:
        assert word not in told + logged.text


@pytest.mark.shows_secrets  # Airflow 3.0 writes the other request, which it is about, to the standard output
def test_other_requests_of_the_process_are_logged_as_ever(logged: Everything) -> None:
    with serve_file(CONTENT) as store, RemoteFile(store.renew) as file:
        read_members(file)
        assert "urllib3" not in logged.text
        requests.get(store.renew(), timeout=5)
        assert "GET /bucket" in logged.text, "this test should see what urllib3 logs"
