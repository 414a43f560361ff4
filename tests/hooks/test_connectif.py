# SPDX-License-Identifier: Apache-2.0
"""The hook: an Airflow connection, and what can be asked through it."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import zipfile
from datetime import datetime, timezone
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import BaseHook, Connection

from airflow_provider_connectif.api.errors import (
    InvalidArgument,
    InvalidConnection,
    NotFound,
    RequestRejected,
    UnexpectedResponse,
)
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.hooks.connectif import ConnectifHook
from tests.leaks import words_before_a_secret


@pytest.fixture
def connect(sandbox, monkeypatch):
    """Change fields of the default connection."""

    def change(**fields: Any) -> None:
        connection = {"conn_type": "connectif", "host": sandbox.url, "password": sandbox.key, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", json.dumps(connection))

    return change


class TestTheConnection:
    def test_gives_one_client(self, sandbox):
        hook = ConnectifHook()
        assert hook.get_conn() is hook.get_conn()
        assert hook.get_conn().base_url == sandbox.url

    @pytest.mark.parametrize(
        "fields",
        [
            {"password": "  apiKey sandbox-key-id:sandbox-key-secret\n"},
            {"password": "Authorization: apiKey sandbox-key-id:sandbox-key-secret"},
            {"login": "sandbox-key-id", "password": "sandbox-key-secret"},
            {"login": " sandbox-key-id ", "password": "sandbox-key-secret "},
        ],
        ids=["a pasted prefix", "a pasted header", "id and secret apart", "with white space"],
    )
    def test_forgives_how_the_key_is_written(self, connect, fields):
        connect(**fields)
        assert ConnectifHook().test_connection()[0]

    @pytest.mark.parametrize(("given", "seconds"), [(5, 5.0), ("7.5", 7.5), ("", 30.0), (None, 30.0)])
    def test_takes_a_timeout_for_requests(self, connect, given, seconds):
        connect(extra={"request_timeout": given})
        assert ConnectifHook().get_conn().timeout == seconds

    @pytest.mark.parametrize("given", ["soon", 0, -1, "inf", "nan", True])
    def test_refuses_one_that_is_no_number_of_seconds(self, connect, given):
        connect(extra={"request_timeout": given})
        with pytest.raises(InvalidConnection, match=r"request_timeout is .*: write a number of seconds, such as 30"):
            ConnectifHook().get_conn()

    def test_tells_the_api_who_asks(self, sandbox):
        from airflow_provider_connectif import __version__

        client = ConnectifHook().get_conn()
        client.get_export(sandbox.create_in_app())
        assert client._session.headers["User-Agent"] == f"airflow-provider-connectif/{__version__}"

    def test_of_a_trigger_is_looked_up_without_blocking_its_event_loop(self, connect, sandbox, monkeypatch):
        """Awaited where Airflow can (3.3.2 and later), in a thread where it cannot."""
        connect(extra={"request_timeout": 9})
        blocked: list[str] = []
        blocking = ConnectifHook.get_connection

        def noting(conn_id: str) -> Any:
            blocked.append(threading.current_thread().name)
            return blocking(conn_id)

        async def ask() -> Any:
            return await ConnectifHook().open_client_async()

        monkeypatch.setattr(ConnectifHook, "get_connection", staticmethod(noting))
        client = asyncio.run(ask())
        assert (client.base_url, client.timeout) == (sandbox.url, 9.0)
        assert threading.main_thread().name not in blocked

    @pytest.mark.skipif(not hasattr(Connection, "aextra_dejson"), reason="this Airflow is one of the older ones")
    def test_of_a_trigger_is_looked_up_in_a_thread_by_older_airflows(self, connect, sandbox, monkeypatch):
        connect(extra={"request_timeout": 9})
        monkeypatch.delattr(Connection, "aextra_dejson")
        monkeypatch.delattr(BaseHook, "aget_connection")

        async def ask() -> Any:
            return await ConnectifHook().open_client_async()

        client = asyncio.run(ask())
        assert (client.base_url, client.timeout) == (sandbox.url, 9.0)


class TestTheTestButton:
    def test_reports_success(self, sandbox):
        assert ConnectifHook().test_connection() == (
            True,
            f"Connectif at {sandbox.url} accepts the API key, and it may read exports.",
        )
        assert sandbox.stats.requests == 1

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"password": "some:thing"}, "refused the API key (401)"),
            ({"password": "sandbox-blocked-id:" + "sandbox-blocked-secret"}, "exports read scope"),
            ({"password": ""}, "has no API key"),
            ({"password": "two words:here"}, "white space"),
            ({"password": "nocolon"}, "not of the form keyId:keySecret"),
            ({"host": "http://127.0.0.1:9"}, "No connection to http://127.0.0.1:9"),
            ({"host": "http://example.com"}, "plain http"),
        ],
    )
    def test_gives_the_reason(self, connect, fields, words):
        connect(**fields)
        works, reason = ConnectifHook().test_connection()
        assert not works
        assert words in reason
        assert words_before_a_secret(reason) is None

    def test_knows_html_from_the_api(self, sandbox):
        sandbox.fault("list", "html", times=9)
        works, reason = ConnectifHook().test_connection()
        assert not works
        assert "text/html in place of JSON" in reason

    def test_gives_up_soon(self, sandbox):
        sandbox.fault("list", "503", times=9)
        assert not ConnectifHook().test_connection()[0]
        assert sandbox.stats.requests == 2


class TestExports:
    def test_are_listed_lazily(self, sandbox):
        for _ in range(120):
            sandbox.create_in_app()
        exports = ConnectifHook().list_exports()
        assert next(exports).id
        assert sandbox.stats.requests == 1
        assert len({export.id for export in exports}) == 119
        assert sandbox.stats.requests == 3

    def test_are_filtered(self, sandbox):
        sandbox.create_in_app({"createdAt": "2026-11-01T00:00:00Z"})
        wanted = sandbox.create_in_app({"createdAt": "2026-11-02T00:00:00Z"})
        sandbox.create_in_app({"createdAt": "2026-11-02T00:00:00Z", "origin": "api"})
        sandbox.create_in_app({"createdAt": "2026-11-02T00:00:00Z", "exportType": "activities"})
        sandbox.create_in_app({"createdAt": "2026-11-02T00:00:00Z", "fail": True})
        found = ConnectifHook().list_exports(
            export_type="contacts",
            status="finished",
            origin="app",
            created_after=datetime(2026, 11, 1, 12, tzinfo=timezone.utc),
            page_size=2,
        )
        assert [export.id for export in found] == [wanted]

    def test_are_read_one_by_one(self, sandbox):
        export_id = sandbox.create_in_app({"exportType": "activities"})
        assert ConnectifHook().get_export(export_id).export_type == "activities"
        with pytest.raises(NotFound, match="does not know export nothing"):
            ConnectifHook().get_export("nothing")

    def test_are_created(self, sandbox):
        export = ConnectifHook().create_export(ExportRequest.of("contacts", version="v5"))
        assert [export.id] == [created["id"] for created in sandbox.stats.created]
        assert export.version == "v5"

    def test_are_created_once_though_the_answer_is_lost(self, sandbox):
        sandbox.fault("create", "create-then-500")
        export = ConnectifHook().create_export(ExportRequest.of("contacts"))
        assert [export.id] == [created["id"] for created in sandbox.stats.created]

    def test_that_the_api_refuses_are_told_with_the_field(self, sandbox):
        sandbox.set(known_segments=("seg-1",))
        with pytest.raises(RequestRejected, match="/filters/segmentId"):
            ConnectifHook().create_export(ExportRequest.of("contacts", segment_id="seg-2"))


class TestAnExportsFile:
    def test_is_a_stream_that_can_seek(self, sandbox):
        stream = ConnectifHook().open_file(sandbox.create_in_app())
        assert stream.read(2) == b"PK"
        stream.seek(0)
        with zipfile.ZipFile(io.BytesIO(stream.read())) as archive:
            assert archive.testzip() is None
        with zipfile.ZipFile(stream) as archive:
            assert [name.endswith(".csv") for name in archive.namelist()] == [True]

    def test_survives_an_expired_address_and_a_broken_connection(self, sandbox):
        export_id = sandbox.create_in_app()
        whole = ConnectifHook().open_file(export_id).read()
        sandbox.set(cut_every_bytes=len(whole) // 3, cut_times=2)
        assert ConnectifHook().open_file(export_id).read() == whole
        assert sandbox.stats.file_requests_with_authorization == 0

    def test_of_one_that_is_not_finished_is_not_to_be_had(self, sandbox):
        sandbox.set(seconds_per_export=30)
        stream = ConnectifHook().open_file(sandbox.create_in_app())
        with pytest.raises(InvalidArgument, match=r"is not finished .* wait for it with ConnectifExportSensor"):
            stream.read()

    def test_that_gets_no_address_is_asked_for_within_a_bound(self, sandbox, monkeypatch):
        from airflow_provider_connectif.api import file_url

        pauses: list[float] = []
        patient = {"attempts": 4, "pause": 2.0, "sleep": pauses.append}
        monkeypatch.setattr(file_url.fresh_address, "__kwdefaults__", patient)
        sandbox.set(reads_without_file_url=3)
        assert ConnectifHook().open_file(sandbox.create_in_app()).read(2) == b"PK"
        assert pauses == [2.0, 4.0, 8.0]
        sandbox.set(reads_without_file_url=99)
        with pytest.raises(UnexpectedResponse, match="asked 4 times"):
            ConnectifHook().open_file(sandbox.create_in_app()).read(2)


def test_neither_the_key_nor_an_address_is_logged_at_debug(sandbox, debug_log):
    """The fixture looks for secrets in what is logged; here it is seen that the requests were logged at all."""
    hook = ConnectifHook()
    export = hook.create_export(ExportRequest.of("contacts"))
    list(hook.list_exports())
    hook.open_file(export.id).read()
    assert any('"GET /exports' in line for line in debug_log)
    assert words_before_a_secret(repr(export) + repr(hook.get_conn()) + repr(vars(hook))) is None
