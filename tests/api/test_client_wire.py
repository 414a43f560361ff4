# SPDX-License-Identifier: Apache-2.0
"""The client over real HTTP: timeouts, broken and refused connections, redirects, netrc, proxies."""

from __future__ import annotations

import logging
import subprocess
import sys
import textwrap
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from airflow_provider_connectif.api.client import ConnectifClient, RetryPolicy
from airflow_provider_connectif.api.errors import (
    ApiError,
    ConnectionProblem,
    CreationOutcomeUnknown,
    UnexpectedResponse,
)
from airflow_provider_connectif.api.export_request import ExportRequest
from tests.api.loopback import Loopback, Responder, closed_port, serve_loopback
from tests.api.simulated_time import KEY, KEY_SECRET

CONTACTS = ExportRequest.of("contacts")
EXPORT = {"id": "e1", "status": "finished"}
AUTHORIZATION = f"apiKey {KEY}"


@pytest.fixture
def serve() -> Iterator[Callable[[Responder], Loopback]]:
    with ExitStack() as stack:
        yield lambda respond: stack.enter_context(serve_loopback(respond))


@pytest.fixture
def client_without_retries(make_client) -> Callable[..., ConnectifClient]:
    """Return a function that creates clients without retries."""
    return lambda url, **arguments: make_client(url, **{"retry_policy": RetryPolicy(attempts=1), **arguments})


def cut_in_the_body(exchange):
    exchange.cut(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":')


def test_an_export_is_returned(serve, client_without_retries):
    server = serve(lambda exchange: exchange.send(EXPORT))
    assert client_without_retries(server.url).get_export("e1").id == "e1"
    assert server.received[0][:2] == ("GET", "/exports/e1")
    assert server.keys == [AUTHORIZATION]


def test_a_connection_is_reused(serve, client_without_retries):
    ports = []

    def respond(exchange):
        ports.append(exchange.client_address)
        exchange.send(EXPORT)

    client = client_without_retries(serve(respond).url)
    client.get_export("e1")
    client.get_export("e1")
    assert len(set(ports)) == 1


@pytest.mark.parametrize("respond", [lambda exchange: exchange.cut(), cut_in_the_body], ids=["before", "in the body"])
class TestABrokenConnection:
    def test_is_retried(self, serve, make_client, respond):
        def fail_twice(exchange):
            respond(exchange) if len(server.received) < 3 else exchange.send(EXPORT)

        server = serve(fail_twice)
        assert make_client(server.url).get_export("e1").id == "e1"
        assert len(server.received) == 3

    def test_that_always_breaks_raises_an_error(self, serve, client_without_retries, respond):
        server = serve(respond)
        with pytest.raises(ConnectionProblem) as raised:
            client_without_retries(server.url).get_export("e1")
        assert server.url in str(raised.value)
        assert KEY_SECRET not in "".join(traceback.format_exception(raised.value))

    def test_of_a_creation_has_an_unknown_outcome_and_is_not_retried(self, serve, client_without_retries, respond):
        server = serve(respond)
        with pytest.raises(CreationOutcomeUnknown):
            client_without_retries(server.url).post_export(CONTACTS)
        assert [method for method, _, _ in server.received] == ["POST"]


class TestATimeout:
    def test_raises_an_error_in_time(self, serve, client_without_retries):
        server = serve(lambda exchange: exchange.hang())
        started = time.monotonic()
        with pytest.raises(ConnectionProblem, match=r"within 0\.2 s") as raised:
            client_without_retries(server.url, timeout=0.2).get_export("e1")
        assert time.monotonic() - started < 5
        assert raised.value.sent

    def test_in_the_body_raises_an_error(self, serve, client_without_retries):
        def respond(exchange):
            exchange.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":')
            exchange.hang()

        with pytest.raises(ConnectionProblem):
            client_without_retries(serve(respond).url, timeout=0.2).get_export("e1")

    def test_of_a_creation_has_an_unknown_outcome_and_is_not_retried(self, serve, client_without_retries):
        server = serve(lambda exchange: exchange.hang())
        with pytest.raises(CreationOutcomeUnknown):
            client_without_retries(server.url, timeout=0.2).post_export(CONTACTS)
        assert len(server.received) == 1


class TestARefusedConnection:
    def test_is_retried_and_then_reported_with_its_reason(self, simulated_time, make_client):
        url = f"http://127.0.0.1:{closed_port()}"
        with pytest.raises(ConnectionProblem, match=f"{url}.*refused") as raised:
            make_client(url).get_export("e1")
        assert len(simulated_time.slept) == 5
        assert raised.value.sent is False

    def test_means_that_a_creation_was_not_sent(self, client_without_retries):
        with pytest.raises(ConnectionProblem) as raised:
            client_without_retries(f"http://127.0.0.1:{closed_port()}").post_export(CONTACTS)
        assert raised.value.sent is False

    def test_of_an_unknown_host_means_that_a_creation_was_not_sent(self, client_without_retries):
        with pytest.raises(ConnectionProblem) as raised:
            client_without_retries("https://no-such-host.invalid").post_export(CONTACTS)
        assert raised.value.sent is False


class TestOtherHosts:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_is_not_followed_and_the_key_is_not_sent_there(self, serve, client_without_retries, status):
        other = serve(lambda exchange: exchange.send(EXPORT))
        server = serve(lambda exchange: exchange.send(status=status, headers={"Location": f"{other.url}/exports/e1"}))
        with pytest.raises(UnexpectedResponse, match=str(status)):
            client_without_retries(server.url).get_export("e1")
        with pytest.raises(CreationOutcomeUnknown):
            client_without_retries(server.url).post_export(CONTACTS)
        assert other.received == []

    @pytest.mark.parametrize("location", ["https://[oops", "ftp://x/", "//", "\x7f"])
    def test_a_redirect_to_an_invalid_url_is_an_api_error(self, serve, client_without_retries, location):
        server = serve(lambda exchange: exchange.send(status=302, headers={"Location": location}))
        with pytest.raises(ApiError):
            client_without_retries(server.url).get_export("e1")
        with pytest.raises(CreationOutcomeUnknown):
            client_without_retries(server.url).post_export(CONTACTS)

    def test_a_next_link_to_another_host_is_not_followed(self, serve, client_without_retries):
        other = serve(lambda exchange: exchange.send({"results": []}))
        link = other.url.replace("127.0.0.1", "127.0.0.2")
        server = serve(lambda exchange: exchange.send({"results": [EXPORT], "links": {"next": link}}))
        with pytest.raises(UnexpectedResponse, match=r"127\.0\.0\.2"):
            list(client_without_retries(server.url).list_exports())
        assert other.received == []

    def test_a_next_link_to_another_port_of_the_host_is_requested_from_the_apis_own_port(
        self, serve, client_without_retries
    ):
        other = serve(lambda exchange: exchange.send({"results": []}))

        def respond(exchange):
            first = "page=1" in exchange.path
            links = {"next": f"{other.url}/exports?page=2"} if first else {}
            exchange.send({"results": [{"id": exchange.path[-1], "status": "queued"}], "links": links})

        server = serve(respond)
        assert len(list(client_without_retries(server.url).list_exports())) == 2
        assert [path for _, path, _ in server.received] == ["/exports?page=1&pageSize=50", "/exports?page=2"]
        assert other.received == []


class TestEnvironment:
    def test_a_password_in_netrc_does_not_replace_the_key(self, serve, tmp_path):
        """Run a separate process whose home directory has a .netrc, as a worker's may."""
        server = serve(lambda exchange: exchange.send(EXPORT))
        (tmp_path / ".netrc").write_text("machine 127.0.0.1 login netrcuser password netrcpassword\n")
        (tmp_path / ".netrc").chmod(0o600)
        script = textwrap.dedent(f"""
            import requests
            from airflow_provider_connectif.api.client import ConnectifClient
            requests.get({server.url!r})
            ConnectifClient({KEY!r}, {server.url!r}).get_export("e1")
        """)
        root = Path(__file__).parents[2]
        environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(root)}
        subprocess.run([sys.executable, "-c", script], env=environment, cwd=root, check=True, timeout=60)
        without_key, with_key = server.keys
        assert without_key.startswith("Basic ")  # so the .netrc was read
        assert with_key == AUTHORIZATION

    def test_a_proxy_is_not_used_for_this_machine(self, serve, client_without_retries, monkeypatch):
        proxy = serve(lambda exchange: exchange.send(EXPORT))
        server = serve(lambda exchange: exchange.send(EXPORT))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for host in ("127.0.0.1", "localhost"):
            client_without_retries(server.url.replace("127.0.0.1", host)).get_export("e1")
        assert proxy.received == []
        assert server.keys == [AUTHORIZATION, AUTHORIZATION]

    def test_a_proxy_is_used_for_other_hosts_and_does_not_see_the_key(self, serve, client_without_retries, monkeypatch):
        requested = []

        def respond(exchange):
            requested.append((exchange.path, exchange.headers.get("Authorization")))
            exchange.send(status=403)

        proxy = serve(respond)
        proxy.RequestHandlerClass = type(
            "Proxy", (proxy.RequestHandlerClass,), {"do_CONNECT": proxy.RequestHandlerClass.do_GET}
        )
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ConnectionProblem):
            client_without_retries("https://api.connectif.test").get_export("e1")
        assert requested == [("api.connectif.test:443", None)]


@pytest.mark.parametrize("failure", ["cut", "timeout", "refused", "html", "401"])
def test_neither_traceback_nor_log_shows_the_key(serve, client_without_retries, caplog, failure):
    def respond(exchange):
        {
            "cut": exchange.cut,
            "timeout": exchange.hang,
            "refused": exchange.cut,
            "html": lambda: exchange.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
            "401": lambda: exchange.send({"detail": KEY}, 401),
        }[failure]()

    url = f"http://127.0.0.1:{closed_port()}" if failure == "refused" else serve(respond).url
    for call in (lambda client: client.get_export("e1"), lambda client: client.post_export(CONTACTS)):
        try:
            call(client_without_retries(url, timeout=0.2))
        except Exception as error:
            logging.getLogger("airflow.task").exception("Failed")
            texts, link = [], error
            while link is not None:
                texts.append("".join(traceback.format_exception(link, chain=False)))
                link = link.__cause__ or link.__context__
            assert KEY_SECRET not in "".join(texts) + traceback.format_exc()
        else:
            raise AssertionError("no error was raised")
    assert KEY_SECRET not in caplog.text
    assert "Failed" in caplog.text
