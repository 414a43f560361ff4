# SPDX-License-Identifier: Apache-2.0
"""Mistakes in the connection (promise 9): reported within seconds, with the connection's id and what to change."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_connectif.hooks.connectif import ConnectifHook
from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from tests.http_server import run_in_thread
from tests.leaks import words_before_a_secret
from tests.simulated_clock import CLOCK
from tests.stores import free_port

FIELDS = {
    "a token": ({"password": "Bearer c2VjcmV0"}, ("begins with Bearer", "only the keyId:keySecret string")),
    "a whole header with a token": ({"password": "Authorization: Basic c2VjcmV0"}, ("begins with Basic",)),
    "quotes": ({"password": '"id:c2VjcmV0"'}, ("quotes around it",)),
    "two keys": ({"login": "another", "password": "id:c2VjcmV0"}, ("Login is the id of one API key", "empty Login")),
    "only the secret": ({"password": "c2VjcmV0"}, ("does not have the form keyId:keySecret", "Login")),
    "only the id": ({"login": "id"}, ("has no API key", "Password")),
    "a line break": ({"password": "id:c2Vj\ncmV0"}, ("contains whitespace", "single line")),
    "an endpoint": (
        {"host": "https://api.connectif.cloud/exports/"},
        ("Host ends with /exports", "use https://api.connectif.cloud"),
    ),
    "another endpoint": ({"host": "https://api.connectif.cloud/exports/type/data-explorer"}, ("Host ends with",)),
    "the web application": ({"host": "https://eu1.connectif.cloud"}, ("web application, not its API", "leave Host")),
    "http": ({"host": "http://api.connectif.cloud"}, ("plain http", "Use https://")),
    "a path": ({"host": "/exports"}, ("Host is not a base URL",)),
    "a key in the host": ({"host": "https://id:c2VjcmV0@api.connectif.cloud"}, ("belongs in Password",)),
    "a timeout in words": ({"extra": {"request_timeout": "30s"}}, ("request_timeout is '30s'", "such as 30")),
}


@pytest.fixture(autouse=True)
def no_settings_of_this_machine(monkeypatch):
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def connect(sandbox, monkeypatch):
    """Change fields of the connection ``shop``."""

    def change(**fields: Any) -> None:
        connection = {"conn_type": "connectif", "host": sandbox.url, "password": sandbox.key, **fields}
        monkeypatch.setenv("AIRFLOW_CONN_SHOP", json.dumps(connection))

    return change


@pytest.fixture
def report(task):
    """Return the final error of the first attempt to create an export, and how many seconds it took."""

    def run() -> tuple[str, float]:
        started = CLOCK.monotonic()
        with pytest.raises(AirflowException) as caught:
            task.run(ConnectifCreateExportOperator(task_id="mine", export_type="contacts", connectif_conn_id="shop"))
        temporary = "No connection", "instead of JSON"
        assert isinstance(caught.value, AirflowFailException) or any(words in str(caught.value) for words in temporary)
        assert words_before_a_secret(str(caught.value)) is None
        assert "c2Vj" not in str(caught.value)
        return str(caught.value), CLOCK.monotonic() - started

    return run


@pytest.mark.parametrize(("fields", "words"), FIELDS.values(), ids=FIELDS)
def test_a_field_is_reported_before_any_request(sandbox, connect, report, fields, words):
    connect(**({"password": ""} if "login" in fields else {}) | fields)
    message, seconds = report()
    assert [word for word in (*words, "[connection shop]") if word not in message] == [], message
    assert seconds == 0
    assert sandbox.stats.requests == 0
    assert ConnectifHook("shop").test_connection() == (False, message.removesuffix(" [connection shop]"))


@pytest.mark.parametrize("login", ["sandbox-key-id", " sandbox-key-id "])
def test_a_login_that_is_part_of_the_whole_key_is_accepted(connect, login):
    connect(login=login)
    assert ConnectifHook("shop").test_connection()[0]


class TestRefusals:
    def test_a_wrong_key(self, sandbox, connect, report):
        connect(password="some:thing")
        message, seconds = report()
        assert "(401)" in message
        assert f"[connection shop, Host {sandbox.url}]" in message
        assert seconds == 0
        assert sandbox.stats.created_by_api == 0

    def test_a_missing_scope(self, sandbox, connect, report):
        connect(password=sandbox.options.read_only_key)
        message, _ = report()
        assert "exports write scope" in message
        assert "[connection shop, " in message
        assert sandbox.stats.created_by_api == 0

    def test_an_id_of_another_account(self, sandbox, connect, task):
        connect()
        with pytest.raises(AirflowException, match=r"does not know export 64f0 .* \[connection shop, Host"):
            task.run(ConnectifExportSensor(task_id="mine", export_id="64f0", connectif_conn_id="shop", timeout=3600))

    def test_a_server_that_is_not_the_api(self, sandbox, connect, report):
        sandbox.fault("list", "html", times=99)
        connect()
        message, seconds = report()
        assert "text/html instead of JSON" in message
        assert f"[connection shop, Host {sandbox.url}]" in message
        assert seconds < 60
        assert sandbox.stats.created_by_api == 0

    def test_a_server_that_does_not_listen(self, connect, report):
        port = free_port()
        connect(host=f"http://127.0.0.1:{port}")
        message, seconds = report()
        assert "Connection refused" in message
        assert f"No connection to http://127.0.0.1:{port}" in message
        assert "[connection shop]" in message
        assert seconds < 60

    def test_a_proxy_that_does_not_listen(self, connect, report, monkeypatch):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{free_port()}")
        connect(host="")
        message, seconds = report()
        assert "the proxy that HTTPS_PROXY names" in message
        assert "Connection refused" in message
        assert seconds < 60


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"results": []}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *arguments: Any) -> None:
        """Clients disconnect, which is what these tests are about."""


@pytest.fixture
def serve(certificate) -> Iterator[Any]:
    def run(*, tls: bool) -> int:
        server = _Server(("127.0.0.1", 0), _Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, certificate.with_name("key.pem"))
            server.socket = context.wrap_socket(server.socket, server_side=True)
        servers.enter_context(run_in_thread(server))
        return server.server_port

    with contextlib.ExitStack() as servers:
        yield run


class TestEncryption:
    """What cannot pass is not retried."""

    def test_https_to_a_server_that_speaks_http(self, connect, report, serve):
        connect(host=f"https://localhost:{serve(tls=False)}")
        message, seconds = report()
        assert "does not speak https, but probably plain http: correct Host" in message
        assert "The server at https://localhost:" in message
        assert "[connection shop]" in message
        assert seconds == 0

    def test_a_private_certificate_authority(self, connect, report, serve, monkeypatch, certificate):
        connect(host=f"https://localhost:{serve(tls=True)}")
        message, seconds = report()
        assert "is not trusted: self-signed certificate" in message.replace("self signed", "self-signed")
        assert "REQUESTS_CA_BUNDLE" in message
        assert "[connection shop]" in message
        assert seconds == 0
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        assert ConnectifHook("shop").test_connection()[0]

    def test_a_certificate_of_another_host(self, connect, report, serve, monkeypatch, certificate):
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        connect(host=f"https://127.0.0.1:{serve(tls=True)}")
        message, seconds = report()
        assert "IP address mismatch" in message
        assert "Correct Host" in message
        assert seconds == 0

    @pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
    @pytest.mark.parametrize("content", [None, "nothing\n"], ids=["missing", "without certificates"])
    def test_a_file_of_certificates(self, connect, report, serve, monkeypatch, tmp_path, variable, content):
        bundle = tmp_path / "authorities.pem"
        if content:
            bundle.write_text(content)
        monkeypatch.setenv(variable, str(bundle))
        connect(host=f"https://localhost:{serve(tls=True)}")
        message, seconds = report()
        assert f"{variable} names does not exist or contains no certificate: {bundle}" in message
        assert "[connection shop, " in message
        assert seconds == 0
        assert ConnectifHook("shop").test_connection() == (False, message.replace("connection shop, ", ""))
