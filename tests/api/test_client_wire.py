# SPDX-License-Identifier: Apache-2.0
"""The client over real HTTP: timeouts, cut and refused connections, redirects, netrc, proxies."""

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
from tests.api.loopback import Answer, Loopback, closed_port, serving
from tests.api.simulated_time import KEY, KEY_SECRET

CONTACTS = ExportRequest.of("contacts")
EXPORT = {"id": "e1", "status": "finished"}
SIGNED = f"apiKey {KEY}"


@pytest.fixture
def serve() -> Iterator[Callable[[Answer], Loopback]]:
    with ExitStack() as stack:
        yield lambda answer: stack.enter_context(serving(answer))


@pytest.fixture
def once(make_client) -> Callable[..., ConnectifClient]:
    """A client that tries once."""
    return lambda url, **arguments: make_client(url, **{"retry_policy": RetryPolicy(attempts=1), **arguments})


def cut_in_the_body(exchange):
    exchange.cut(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":')


def test_an_export_is_read(serve, once):
    server = serve(lambda exchange: exchange.reply(EXPORT))
    assert once(server.url).get_export("e1").id == "e1"
    assert server.received[0][:2] == ("GET", "/exports/e1")
    assert server.keys == [SIGNED]


def test_a_connection_is_kept_for_the_next_request(serve, once):
    ports = []

    def answer(exchange):
        ports.append(exchange.client_address)
        exchange.reply(EXPORT)

    client = once(serve(answer).url)
    client.get_export("e1")
    client.get_export("e1")
    assert len(set(ports)) == 1


@pytest.mark.parametrize("answer", [lambda exchange: exchange.cut(), cut_in_the_body], ids=["before", "in the body"])
class TestACutConnection:
    def test_is_tried_again(self, serve, make_client, answer):
        def first_bad(exchange):
            answer(exchange) if len(server.received) < 3 else exchange.reply(EXPORT)

        server = serve(first_bad)
        assert make_client(server.url).get_export("e1").id == "e1"
        assert len(server.received) == 3

    def test_that_stays_cut_is_told(self, serve, once, answer):
        server = serve(answer)
        with pytest.raises(ConnectionProblem) as raised:
            once(server.url).get_export("e1")
        assert server.url in str(raised.value)
        assert KEY_SECRET not in "".join(traceback.format_exception(raised.value))

    def test_leaves_a_creation_unknown_and_sends_it_once(self, serve, once, answer):
        server = serve(answer)
        with pytest.raises(CreationOutcomeUnknown):
            once(server.url).post_export(CONTACTS)
        assert [method for method, _, _ in server.received] == ["POST"]


class TestATimeout:
    def test_is_told_in_time(self, serve, once):
        server = serve(lambda exchange: exchange.say_nothing())
        began = time.monotonic()
        with pytest.raises(ConnectionProblem, match=r"within 0\.2 s") as raised:
            once(server.url, timeout=0.2).get_export("e1")
        assert time.monotonic() - began < 5
        assert raised.value.sent

    def test_in_the_middle_of_the_body_too(self, serve, once):
        def answer(exchange):
            exchange.wfile.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id":')
            exchange.say_nothing()

        with pytest.raises(ConnectionProblem):
            once(serve(answer).url, timeout=0.2).get_export("e1")

    def test_leaves_a_creation_unknown_and_sends_it_once(self, serve, once):
        server = serve(lambda exchange: exchange.say_nothing())
        with pytest.raises(CreationOutcomeUnknown):
            once(server.url, timeout=0.2).post_export(CONTACTS)
        assert len(server.received) == 1


class TestARefusedConnection:
    def test_is_tried_again_and_told_with_the_reason(self, simulated_time, make_client):
        url = f"http://127.0.0.1:{closed_port()}"
        with pytest.raises(ConnectionProblem, match=f"{url}.*refused") as raised:
            make_client(url).get_export("e1")
        assert len(simulated_time.slept) == 5
        assert raised.value.sent is False

    def test_sends_no_creation_and_knows_it(self, once):
        with pytest.raises(ConnectionProblem) as raised:
            once(f"http://127.0.0.1:{closed_port()}").post_export(CONTACTS)
        assert raised.value.sent is False

    def test_is_told_of_a_name_that_is_not_known_too(self, once):
        with pytest.raises(ConnectionProblem) as raised:
            once("https://no-such-host.invalid").post_export(CONTACTS)
        assert raised.value.sent is False


class TestOtherHosts:
    @pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
    def test_a_redirect_takes_neither_the_request_nor_the_key_along(self, serve, once, status):
        other = serve(lambda exchange: exchange.reply(EXPORT))
        server = serve(lambda exchange: exchange.reply(status=status, headers={"Location": f"{other.url}/exports/e1"}))
        with pytest.raises(UnexpectedResponse, match=str(status)):
            once(server.url).get_export("e1")
        with pytest.raises(CreationOutcomeUnknown):
            once(server.url).post_export(CONTACTS)
        assert other.received == []

    @pytest.mark.parametrize("location", ["https://[oops", "ftp://x/", "//", "\x7f"])
    def test_a_redirect_to_nowhere_is_still_an_error_of_ours(self, serve, once, location):
        server = serve(lambda exchange: exchange.reply(status=302, headers={"Location": location}))
        with pytest.raises(ApiError):
            once(server.url).get_export("e1")
        with pytest.raises(CreationOutcomeUnknown):
            once(server.url).post_export(CONTACTS)

    def test_a_next_link_to_another_host_takes_neither_along(self, serve, once):
        other = serve(lambda exchange: exchange.reply({"results": []}))
        link = other.url.replace("127.0.0.1", "127.0.0.2")
        server = serve(lambda exchange: exchange.reply({"results": [EXPORT], "links": {"next": link}}))
        with pytest.raises(UnexpectedResponse, match=r"127\.0\.0\.2"):
            list(once(server.url).list_exports())
        assert other.received == []

    def test_a_next_link_to_another_port_of_the_host_comes_back_to_the_apis_own(self, serve, once):
        other = serve(lambda exchange: exchange.reply({"results": []}))

        def answer(exchange):
            first = "page=1" in exchange.path
            links = {"next": f"{other.url}/exports?page=2"} if first else {}
            exchange.reply({"results": [{"id": exchange.path[-1], "status": "queued"}], "links": links})

        server = serve(answer)
        assert len(list(once(server.url).list_exports())) == 2
        assert [path for _, path, _ in server.received] == ["/exports?page=1&pageSize=50", "/exports?page=2"]
        assert other.received == []


class TestTheSurroundings:
    def test_a_password_in_netrc_does_not_replace_the_key(self, serve, tmp_path):
        """In a process of its own, with a home that holds a .netrc, as a worker's may."""
        server = serve(lambda exchange: exchange.reply(EXPORT))
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
        plain, signed = server.keys
        assert plain.startswith("Basic ")  # so the .netrc was seen
        assert signed == SIGNED

    def test_a_proxy_does_not_see_what_goes_to_this_machine(self, serve, once, monkeypatch):
        proxy = serve(lambda exchange: exchange.reply(EXPORT))
        server = serve(lambda exchange: exchange.reply(EXPORT))
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for host in ("127.0.0.1", "localhost"):
            once(server.url.replace("127.0.0.1", host)).get_export("e1")
        assert proxy.received == []
        assert server.keys == [SIGNED, SIGNED]

    def test_a_proxy_is_used_for_every_other_host_and_sees_no_key(self, serve, once, monkeypatch):
        asked = []

        def answer(exchange):
            asked.append((exchange.path, exchange.headers.get("Authorization")))
            exchange.reply(status=403)

        proxy = serve(answer)
        proxy.RequestHandlerClass = type(
            "Proxy", (proxy.RequestHandlerClass,), {"do_CONNECT": proxy.RequestHandlerClass.do_GET}
        )
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(ConnectionProblem):
            once("https://api.connectif.test").get_export("e1")
        assert asked == [("api.connectif.test:443", None)]


@pytest.mark.parametrize("problem", ["cut", "timeout", "refused", "html", "401"])
def test_no_traceback_nor_log_shows_the_key(serve, once, caplog, problem):
    def answer(exchange):
        {
            "cut": exchange.cut,
            "timeout": exchange.say_nothing,
            "refused": exchange.cut,
            "html": lambda: exchange.cut(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>"),
            "401": lambda: exchange.reply({"detail": KEY}, 401),
        }[problem]()

    url = f"http://127.0.0.1:{closed_port()}" if problem == "refused" else serve(answer).url
    for call in (lambda client: client.get_export("e1"), lambda client: client.post_export(CONTACTS)):
        try:
            call(once(url, timeout=0.2))
        except Exception as raised:
            logging.getLogger("airflow.task").exception("Failed")
            links, link = [], raised
            while link is not None:
                links.append("".join(traceback.format_exception(link, chain=False)))
                link = link.__cause__ or link.__context__
            assert KEY_SECRET not in "".join(links) + traceback.format_exc()
        else:
            raise AssertionError("nothing failed")
    assert KEY_SECRET not in caplog.text
    assert "Failed" in caplog.text
