# SPDX-License-Identifier: Apache-2.0
"""A single request: what is sent, which redirects are followed, how the body is read."""

from __future__ import annotations

import os

import pytest
import requests
import requests_mock

from airflow_provider_connectif.files.download.range_reader import BLOCK_SIZE
from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.download.transport import StreamedResponse
from airflow_provider_connectif.files.errors import (
    RemoteFileRefused,
    RemoteFileUnavailable,
)
from tests.files.file_server import Faults, serve_file
from tests.files.remote_files import (
    BYTES,
    FAST_RETRIES,
    MB,
    read_all,
    remote_file,
)


class Body:
    """The body of a response. Reading takes simulated time, and ``read1`` returns 50,000 bytes at most."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.now = 0.0
        self.calls: list[str] = []

    def read(self, limit: int, *, decode_content: bool) -> bytes:
        self.calls.append("read")
        self.now += self.seconds
        return bytes(limit)

    def read1(self, limit: int, *, decode_content: bool) -> bytes:
        self.calls.append("read1")
        self.now += self.seconds
        return bytes(min(limit, 50_000))


def streamed_response(body: Body) -> StreamedResponse:
    response = requests.Response()
    response.status_code = 200
    response.raw = body
    return StreamedResponse(response, clock=lambda: body.now)


def test_a_slow_response_returns_blocks_before_they_are_full() -> None:
    response = streamed_response(Body(seconds=0.2))
    assert [len(response.read(BLOCK_SIZE)) for _ in range(2)] == [150_000, 150_000]


def test_a_fast_response_is_read_in_one_call_for_each_block_after_the_first() -> None:
    body = Body(seconds=0.0)
    response = streamed_response(body)
    assert [len(response.read(BLOCK_SIZE)) for _ in range(3)] == [BLOCK_SIZE] * 3
    assert body.calls == ["read1"] * 21 + ["read"] * 2


def test_a_response_that_slows_down_is_read_in_pieces_again() -> None:
    body = Body(seconds=0.0)
    response = streamed_response(body)
    response.read(BLOCK_SIZE)
    body.seconds = 0.2
    assert [len(response.read(BLOCK_SIZE)) for _ in range(2)] == [BLOCK_SIZE, 150_000]


def test_every_request_asks_for_identity_encoding() -> None:
    with remote_file(BYTES, Faults(cut_after=MB, cuts=1)) as (file, server):
        read_all(file)
        assert {request["Accept-Encoding"] for request in server.requests} == {"identity"}


def test_a_slow_response_is_not_interrupted() -> None:
    content = BYTES[:300_000]
    with remote_file(content, Faults(block=20_000, pause=0.1), timeout=(5, 1.0)) as (file, server):
        assert read_all(file) == content
        assert len(server.requests) == 2


def test_an_unreachable_store_raises_an_error_without_the_url() -> None:
    with (
        RemoteFile(lambda: "http://127.0.0.1:9/x?X-Amz-Signature=secret", policy=FAST_RETRIES) as file,
        pytest.raises(RemoteFileUnavailable, match="no connection to the store could be established"),
    ):
        read_all(file)


def test_no_credentials_or_cookies_are_sent(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    netrc = os.path.join(str(tmp_path), "netrc")
    with open(netrc, "w") as file:
        file.write("machine 127.0.0.1 login user password hidden\n")
    os.chmod(netrc, 0o600)
    monkeypatch.setenv("NETRC", netrc)
    session = requests.Session()
    session.headers["Authorization"] = "apiKey of:theapi"
    for options in ({}, {"session": session}):
        with remote_file(BYTES, Faults(cut_after=MB, cuts=1, headers={"Set-Cookie": "a=b"}), **options) as (
            file,
            server,
        ):
            read_all(file)
            assert len(server.requests) == 3
            assert not any("Authorization" in request for request in server.requests)
    with requests.Session() as plain, serve_file(b"x") as server:
        plain.get(server.renew())
        assert "Authorization" in server.requests[0], "the netrc file of this test should work"


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve_file(b"by proxy") as proxy:
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        url = proxy.renew().replace(f"127.0.0.1:{proxy.port}", "store.example")
        with RemoteFile(lambda: url, policy=FAST_RETRIES) as file:
            assert read_all(file) == b"by proxy"
        assert proxy.requests[0]["Host"] == "store.example"


def test_a_redirect_is_followed() -> None:
    with remote_file(BYTES, Faults(redirect=lambda path: path + "&redirected=1")) as (file, _):
        assert read_all(file) == BYTES


@pytest.mark.parametrize("target", ["http://store.example/x", "file:///x", ""])
def test_a_redirect_away_from_https_is_not_followed(target: str) -> None:
    session, server = requests.Session(), requests_mock.Adapter()
    session.mount("https://", server)
    server.register_uri("GET", "https://store.example/file", status_code=302, headers={"Location": target})
    with (
        RemoteFile(lambda: "https://store.example/file", policy=FAST_RETRIES, session=session) as file,
        pytest.raises(RemoteFileRefused, match="redirects"),
    ):
        read_all(file)
    assert {request.url for request in server.request_history} == {"https://store.example/file"}


def test_circular_redirects_raise_an_error() -> None:
    with (
        remote_file(BYTES, Faults(redirect=lambda path: path)) as (file, _),
        pytest.raises(RemoteFileRefused, match="redirects more than 5 times"),
    ):
        read_all(file)


def test_a_url_with_another_scheme_is_refused() -> None:
    for url in ("file:///etc/passwd", "ftp://example.com/x", "nonsense", "http://[bad/x"):
        with RemoteFile(lambda url=url: url, policy=FAST_RETRIES) as file, pytest.raises(RemoteFileRefused):
            read_all(file)
