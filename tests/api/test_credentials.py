# SPDX-License-Identifier: Apache-2.0
"""Promise 6: the API key is sent only to the connection's own host, and is never shown."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest
import requests

from airflow_provider_connectif.api.credentials import (
    DEFAULT_BASE_URL,
    ApiKeyAuth,
    is_loopback,
    normalize_api_key,
    normalize_base_url,
)
from airflow_provider_connectif.api.errors import InvalidConnection, UnexpectedResponse
from tests.api.simulated_time import BASE, KEY, KEY_ID, KEY_SECRET


class TestApiKey:
    @pytest.mark.parametrize(
        ("password", "login"),
        [
            pytest.param(KEY, None, id="the whole string"),
            pytest.param(f"  {KEY}\n", None, id="with whitespace around it"),
            pytest.param(f"\u00a0{KEY}\u00a0", None, id="with non-breaking spaces around it"),
            pytest.param(f"apiKey {KEY}", None, id="with the prefix"),
            pytest.param(f"  APIKEY \t {KEY}  ", None, id="with the prefix in upper case"),
            pytest.param(f"Authorization: apiKey {KEY}", None, id="the whole header"),
            pytest.param(KEY_SECRET, KEY_ID, id="the id as login"),
            pytest.param(f" {KEY_SECRET} ", f" {KEY_ID} ", id="the id as login, with whitespace"),
            pytest.param(f"apiKey {KEY_SECRET}", KEY_ID, id="the id as login, with the prefix"),
            pytest.param(KEY, KEY_ID, id="the whole string, and the id as login"),
            pytest.param(KEY, "", id="an empty login"),
        ],
    )
    def test_every_form_that_users_paste_is_accepted(self, password, login):
        assert normalize_api_key(password, login) == KEY

    @pytest.mark.parametrize("password", [None, "", "   ", "apiKey  "])
    def test_an_error_for_a_missing_key_says_where_it_belongs(self, password):
        with pytest.raises(InvalidConnection, match="Password"):
            normalize_api_key(password)

    @pytest.mark.parametrize(
        "password",
        [
            pytest.param(f"{KEY_ID}: {KEY_SECRET}", id="whitespace inside"),
            pytest.param(f"{KEY_ID}:\n{KEY_SECRET}", id="a line break inside"),
            pytest.param(f"{KEY}\r\nX-Other: 1", id="another header"),
            pytest.param(f"{KEY}\x00", id="a control character"),
            pytest.param(f"{KEY}é", id="a character that is not allowed in a header"),
            pytest.param(f"{KEY}\u200b", id="an invisible character"),
            pytest.param(KEY_SECRET, id="no colon"),
            pytest.param(f":{KEY_SECRET}", id="no id"),
            pytest.param(f"{KEY_SECRET}:", id="no secret"),
        ],
    )
    def test_an_error_for_an_invalid_key_does_not_contain_it(self, password):
        with pytest.raises(InvalidConnection) as raised:
            normalize_api_key(password)
        shown = "".join(traceback.format_exception(raised.value)).split("InvalidConnection: ")[-1]
        assert "Password" in shown
        assert KEY_SECRET not in shown
        assert KEY_ID not in shown
        assert raised.value.__context__ is None


class TestBaseUrl:
    @pytest.mark.parametrize(
        ("fields", "url"),
        [
            ({"host": None}, DEFAULT_BASE_URL),
            ({"host": "  "}, DEFAULT_BASE_URL),
            ({"host": "https://api.connectif.cloud/"}, "https://api.connectif.cloud"),
            ({"host": "api.connectif.cloud"}, "https://api.connectif.cloud"),
            ({"host": "HTTPS://API.Connectif.Cloud"}, "https://api.connectif.cloud"),
            ({"host": "proxy.example:8443/connectif/"}, "https://proxy.example:8443/connectif"),
            ({"host": "proxy.example", "port": 8443}, "https://proxy.example:8443"),
            ({"host": "127.0.0.1", "schema": "http", "port": 8787}, "http://127.0.0.1:8787"),
            ({"host": "http://localhost:8787"}, "http://localhost:8787"),
            ({"host": "http://[::1]:8787/"}, "http://[::1]:8787"),
            ({"host": "http://127.9.9.9"}, "http://127.9.9.9"),
        ],
    )
    def test_every_form_is_normalized(self, fields, url):
        assert normalize_base_url(**fields) == url

    @pytest.mark.parametrize(
        "host",
        [
            "http://api.connectif.cloud",
            "http://10.0.0.1",
            "http://localhost.example.com",
            "http://sandbox.localhost",
            "http://127.0.0.1.example.com",
            "http://0.0.0.0:8787",
        ],
    )
    def test_plain_http_is_allowed_only_for_this_machine(self, host):
        with pytest.raises(InvalidConnection, match="plain http"):
            normalize_base_url(host)

    @pytest.mark.parametrize(
        "host",
        [
            "ftp://api.connectif.cloud",
            "https://",
            "https://api connectif",
            "https://[::1",
            "https://host:port",
            "http://evil.example\\.127.0.0.1",
            f"{KEY_ID}:{KEY_SECRET}",
        ],
    )
    def test_an_error_for_an_invalid_url_does_not_contain_it(self, host):
        with pytest.raises(InvalidConnection, match="not a base URL") as raised:
            normalize_base_url(host)
        assert KEY_SECRET not in str(raised.value)

    @pytest.mark.parametrize("host", [f"https://{KEY}@api.connectif.cloud", "https://h/?page=1", "https://h/#top"])
    def test_an_error_for_a_user_query_or_fragment_does_not_contain_it(self, host):
        with pytest.raises(InvalidConnection, match="only a base URL") as raised:
            normalize_base_url(host)
        assert KEY_SECRET not in str(raised.value)

    @pytest.mark.parametrize(
        ("host", "expected"),
        [("localhost", True), ("127.0.0.1", True), ("::1", True), ("192.168.0.1", False), ("example.com", False)],
    )
    def test_loopback_hosts_are_recognized(self, host, expected):
        assert is_loopback(host) is expected


class TestApiKeyAuth:
    @pytest.mark.parametrize("url", [f"{BASE}/exports", f"{BASE}:443/x", "https://API.connectif.test/exports?page=2"])
    def test_adds_the_key_to_requests_to_its_own_host(self, url):
        prepared = requests.Request("GET", url, auth=ApiKeyAuth(KEY, BASE)).prepare()
        assert prepared.headers["Authorization"] == f"apiKey {KEY}"

    @pytest.mark.parametrize(
        "url",
        [
            "https://files.connectif.test/exports",
            "https://api.connectif.test.evil.example/exports",
            "http://api.connectif.test/exports",
            "https://api.connectif.test:8443/exports",
            "https://api.connectif.test@evil.example/",
        ],
    )
    def test_raises_an_error_for_any_other_host(self, url):
        with pytest.raises(UnexpectedResponse, match="a host other than"):
            requests.Request("GET", url, auth=ApiKeyAuth(KEY, BASE)).prepare()

    def test_its_representation_does_not_contain_the_key(self):
        assert repr(ApiKeyAuth(KEY, BASE)) == f"ApiKeyAuth({BASE!r})"

    @pytest.mark.parametrize("copy_function", [pickle.dumps, copy.copy, copy.deepcopy])
    def test_it_cannot_be_pickled_or_copied(self, copy_function):
        with pytest.raises(TypeError, match="cannot be pickled"):
            copy_function(ApiKeyAuth(KEY, BASE))


class TestLinks:
    @pytest.mark.parametrize(
        ("link", "url"),
        [
            (f"{BASE}/exports?page=2", f"{BASE}/exports?page=2"),
            ("/exports?page=2", f"{BASE}/exports?page=2"),
            ("?page=2", f"{BASE}/exports?page=2"),
            ("exports?page=2", f"{BASE}/exports?page=2"),
            ("//api.connectif.test/exports?page=2", f"{BASE}/exports?page=2"),
            ("http://api.connectif.test/exports?page=2", f"{BASE}/exports?page=2"),
            ("https://api.connectif.test:8080/exports?page=2", f"{BASE}/exports?page=2"),
            ("https://user:pw@api.connectif.test/exports?page=2#x", f"{BASE}/exports?page=2"),
            ("https://evil.example\\@api.connectif.test/exports", f"{BASE}/exports"),
        ],
    )
    def test_a_link_to_the_same_host_uses_the_base_urls_scheme_and_port(self, link, url):
        resolved = ApiKeyAuth(KEY, BASE).resolve_link(link, current=f"{BASE}/exports?page=1")
        assert resolved == url

    @pytest.mark.parametrize(
        "link",
        [
            "https://evil.example/exports?page=2",
            "//evil.example/exports?page=2",
            "https://api.connectif.test@evil.example/exports",
            "https://api.connectif.test.evil.example/exports",
            "ftp://api.connectif.test/exports",
            "javascript:alert(1)",
        ],
    )
    def test_a_link_to_another_host_is_an_error(self, link):
        with pytest.raises(UnexpectedResponse, match="another host"):
            ApiKeyAuth(KEY, BASE).resolve_link(link, current=f"{BASE}/exports")

    def test_an_invalid_link_is_an_error(self):
        with pytest.raises(UnexpectedResponse, match="not a URL"):
            ApiKeyAuth(KEY, BASE).resolve_link("https://[oops/exports", current=f"{BASE}/exports")
