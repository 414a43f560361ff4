# SPDX-License-Identifier: Apache-2.0
"""A file is read by https, and from no private address, whatever the API or a redirect says (promise 7)."""

from __future__ import annotations

import socket

import pytest

from airflow_provider_connectif.files.download.remote_file import RemoteFile, RetryPolicy
from airflow_provider_connectif.files.download.url_policy import UrlPolicy
from airflow_provider_connectif.files.errors import RemoteFileRefused
from tests.api.loopback import serve_loopback

PUBLIC_API = "api.connectif.cloud"
PRIVATE_HOSTS = [
    "127.0.0.1",
    "localhost",
    "LOCALHOST.",
    "[::1]",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "[fe80::1%25eth0]",
    "[fd00::1]",
    "[::ffff:10.0.0.1]",
    "100.64.0.1",
    "0.0.0.0",
]


@pytest.fixture(autouse=True)
def addresses(monkeypatch):
    """The addresses of host names, instead of a DNS server's."""
    known = {PUBLIC_API: "93.184.216.34", "api.internal": "10.0.0.7"}
    real = socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        if host.endswith(".test"):
            raise socket.gaierror(f"unknown: {host}")
        return real(known.get(host, host), *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("host", ["files.test", "8.8.8.8", "[2606:4700::1111]", "storage.googleapis.com:8443"])
def test_a_public_host_may_be_used(host):
    assert UrlPolicy(PUBLIC_API).problem(f"https://{host}/1.zip?sig=1") is None


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
def test_a_private_address_may_not_be_used(host):
    assert UrlPolicy(PUBLIC_API).problem(f"https://{host}/1.zip?sig=1") == "it leads to a private address"
    assert UrlPolicy("unknown.test").problem(f"https://{host}/1.zip?sig=1") == "it leads to a private address"


@pytest.mark.parametrize("host", PRIVATE_HOSTS)
@pytest.mark.parametrize("api_host", ["10.0.0.7", "api.internal", "127.0.0.1", "localhost", "::1"])
def test_it_may_be_used_if_the_apis_own_address_is_private(host, api_host):
    assert UrlPolicy(api_host).problem(f"https://{host}/1.zip") is None


@pytest.mark.parametrize(
    ("api_host", "host"),
    [
        (PUBLIC_API, "files.test"),
        (PUBLIC_API, "127.0.0.1"),
        ("api.internal", "127.0.0.1"),
        ("127.0.0.1", "files.test"),
        ("127.0.0.1", "10.0.0.1"),
    ],
)
def test_plain_http_may_not_be_used(api_host, host):
    assert UrlPolicy(api_host).problem(f"http://{host}/1.zip") == "it does not use https"


@pytest.mark.parametrize("api_host", ["127.0.0.1", "localhost", "::1"])
def test_plain_http_may_be_used_between_loopback_addresses(api_host):
    assert UrlPolicy(api_host).problem("http://localhost:8787/1.zip") is None
    assert UrlPolicy(api_host).problem("http://127.0.0.2:8787/1.zip") is None


class TestRemoteFile:
    """With real connections."""

    @pytest.fixture
    def server(self):
        def respond(exchange):
            location = exchange.path.partition("to=")[2]
            if location:
                exchange.send(status=302, headers={"Location": location})
            else:
                exchange.send("the file")

        with serve_loopback(respond) as server:
            yield server

    def read(self, url, api_host):
        policy = RetryPolicy(attempts=2, first_wait=0.0, refusals=2)
        with RemoteFile(lambda: url, policy=policy, url_policy=UrlPolicy(api_host)) as file:
            return file.read()

    def test_the_sandbox_can_be_used(self, server):
        assert self.read(f"{server.url}/1.zip", "127.0.0.1") == b'"the file"'
        assert self.read(f"{server.url}/?to={server.url}/2.zip", "127.0.0.1") == b'"the file"'

    def test_nothing_is_sent_by_plain_http(self, server):
        with pytest.raises(RemoteFileRefused, match="it does not use https"):
            self.read(f"{server.url}/1.zip", PUBLIC_API)
        assert not server.received

    def test_a_redirect_by_plain_http_to_another_machine_is_not_followed(self, server):
        with pytest.raises(RemoteFileRefused, match="it does not use https"):
            self.read(f"{server.url}/?to=http://10.0.0.1/latest/meta-data", "127.0.0.1")

    def test_a_redirect_to_a_private_address_is_not_followed(self, server, monkeypatch):
        """As if the first host were a public one."""
        real = UrlPolicy.problem
        monkeypatch.setattr(UrlPolicy, "problem", lambda self, url: real(self, url) if "/secret" in url else None)
        monkeypatch.setattr(UrlPolicy, "allows", lambda self, host: True)
        with pytest.raises(RemoteFileRefused, match="it does not use https"):
            self.read(f"{server.url}/?to={server.url}/secret", PUBLIC_API)
        assert "/secret" not in [path for _, path, _ in server.received]

    def test_a_name_with_a_private_address_is_refused_before_anything_is_sent(self, monkeypatch):
        """The address of the connection is checked, since a name may have another one each time it is looked up."""
        accepted = []
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.settimeout(0.5)
            port = listening.getsockname()[1]
            real = socket.socket

            def create_connection(address, *args, **kwargs):
                connection = real(socket.AF_INET, socket.SOCK_STREAM)
                connection.connect(("127.0.0.1", port))
                accepted.append(listening.accept()[0])
                return connection

            monkeypatch.setattr("urllib3.util.connection.create_connection", create_connection)
            with pytest.raises(RemoteFileRefused, match="it leads to a private address"):
                self.read(f"https://files.test:{port}/1.zip", PUBLIC_API)
        assert [each.recv(100) for each in accepted] == [b""] * len(accepted)
        assert accepted
        for each in accepted:
            each.close()
