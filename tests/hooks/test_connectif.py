# SPDX-License-Identifier: Apache-2.0
"""The hook: reading its connection, and calling the API through it."""

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


class TestConnection:
    def test_has_one_client(self, sandbox):
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
    def test_accepts_the_key_in_any_form_in_which_it_is_pasted(self, connect, fields):
        connect(**fields)
        assert ConnectifHook().test_connection()[0]

    @pytest.mark.parametrize(("given", "seconds"), [(5, 5.0), ("7.5", 7.5), ("", 30.0), (None, 30.0)])
    def test_accepts_a_request_timeout(self, connect, given, seconds):
        connect(extra={"request_timeout": given})
        assert ConnectifHook().get_conn().timeout == seconds

    @pytest.mark.parametrize("given", ["soon", 0, -1, "inf", "nan", True])
    def test_rejects_a_timeout_that_is_not_a_positive_number_of_seconds(self, connect, given):
        connect(extra={"request_timeout": given})
        with pytest.raises(InvalidConnection, match=r"request_timeout is .*; it must be a positive number"):
            ConnectifHook().get_conn()

    def test_sends_a_user_agent(self, sandbox):
        from airflow_provider_connectif import __version__

        client = ConnectifHook().get_conn()
        client.get_export(sandbox.create_in_app())
        assert client._session.headers["User-Agent"] == f"airflow-provider-connectif/{__version__}"

    def test_is_read_by_a_trigger_without_blocking_the_event_loop(self, connect, sandbox, monkeypatch):
        """With an asynchronous call in Airflow 3.3.2 and later, and in a thread before."""
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
    def test_is_read_by_a_trigger_in_a_thread_before_airflow_3_3_2(self, connect, sandbox, monkeypatch):
        connect(extra={"request_timeout": 9})
        monkeypatch.delattr(Connection, "aextra_dejson")
        monkeypatch.delattr(BaseHook, "aget_connection")

        async def ask() -> Any:
            return await ConnectifHook().open_client_async()

        client = asyncio.run(ask())
        assert (client.base_url, client.timeout) == (sandbox.url, 9.0)


class TestConnectionTest:
    def test_reports_success(self, sandbox):
        assert ConnectifHook().test_connection() == (
            True,
            f"Connectif at {sandbox.url} accepts the API key, which may read exports.",
        )
        assert sandbox.stats.requests == 1

    @pytest.mark.parametrize(
        ("fields", "words"),
        [
            ({"password": "some:thing"}, "refused the API key (401)"),
            ({"password": "sandbox-blocked-id:" + "sandbox-blocked-secret"}, "exports read scope"),
            ({"password": ""}, "has no API key"),
            ({"password": "two words:here"}, "whitespace"),
            ({"password": "nocolon"}, "does not have the form keyId:keySecret"),
            ({"host": "http://127.0.0.1:9"}, "No connection to http://127.0.0.1:9"),
            ({"host": "http://example.com"}, "plain http"),
        ],
    )
    def test_reports_the_reason_of_a_failure(self, connect, fields, words):
        connect(**fields)
        works, reason = ConnectifHook().test_connection()
        assert not works
        assert words in reason
        assert words_before_a_secret(reason) is None

    def test_reports_html_as_a_response_of_another_server(self, sandbox):
        sandbox.fault("list", "html", times=9)
        works, reason = ConnectifHook().test_connection()
        assert not works
        assert "text/html instead of JSON" in reason

    def test_stops_after_two_requests(self, sandbox):
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

    def test_are_created_once_even_if_the_response_is_lost(self, sandbox):
        sandbox.fault("create", "create-then-500")
        export = ConnectifHook().create_export(ExportRequest.of("contacts"))
        assert [export.id] == [created["id"] for created in sandbox.stats.created]

    def test_that_the_api_rejects_raise_an_error_with_the_field(self, sandbox):
        sandbox.set(known_segments=("seg-1",))
        with pytest.raises(RequestRejected, match="/filters/segmentId"):
            ConnectifHook().create_export(ExportRequest.of("contacts", segment_id="seg-2"))


class TestFile:
    def test_is_a_seekable_stream(self, sandbox):
        stream = ConnectifHook().open_file(sandbox.create_in_app())
        assert stream.read(2) == b"PK"
        stream.seek(0)
        with zipfile.ZipFile(io.BytesIO(stream.read())) as archive:
            assert archive.testzip() is None
        with zipfile.ZipFile(stream) as archive:
            assert [name.endswith(".csv") for name in archive.namelist()] == [True]

    def test_is_read_despite_broken_connections(self, sandbox):
        export_id = sandbox.create_in_app()
        whole = ConnectifHook().open_file(export_id).read()
        sandbox.set(cut_every_bytes=len(whole) // 3, cut_times=2)
        assert ConnectifHook().open_file(export_id).read() == whole
        assert sandbox.stats.file_requests_with_authorization == 0

    def test_of_an_unfinished_export_is_not_available(self, sandbox):
        sandbox.set(seconds_per_export=30)
        stream = ConnectifHook().open_file(sandbox.create_in_app())
        with pytest.raises(InvalidArgument, match=r"is not finished .* wait for it with ConnectifExportSensor"):
            stream.read()

    def test_without_a_url_is_requested_a_limited_number_of_times(self, sandbox, monkeypatch):
        from airflow_provider_connectif.api import file_url

        pauses: list[float] = []
        patient = {"attempts": 4, "pause": 2.0, "sleep": pauses.append}
        monkeypatch.setattr(file_url.fresh_file_url, "__kwdefaults__", patient)
        sandbox.set(reads_without_file_url=3)
        assert ConnectifHook().open_file(sandbox.create_in_app()).read(2) == b"PK"
        assert pauses == [2.0, 4.0, 8.0]
        sandbox.set(reads_without_file_url=99)
        with pytest.raises(UnexpectedResponse, match="in 4 responses"):
            ConnectifHook().open_file(sandbox.create_in_app()).read(2)


def test_neither_the_key_nor_a_signed_url_is_logged_at_debug(sandbox, debug_log):
    """The fixture searches the log for secrets; this test checks that the requests were logged at all."""
    hook = ConnectifHook()
    export = hook.create_export(ExportRequest.of("contacts"))
    list(hook.list_exports())
    hook.open_file(export.id).read()
    assert any('"GET /exports' in line for line in debug_log)
    assert words_before_a_secret(repr(export) + repr(hook.get_conn()) + repr(vars(hook))) is None
