# SPDX-License-Identifier: Apache-2.0
"""The meaning of responses: which error each status raises, and what its message contains."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.errors import (
    ApiError,
    AuthenticationFailed,
    NotFound,
    PermissionDenied,
    Refused,
    RequestRejected,
    UnexpectedResponse,
)
from airflow_provider_connectif.api.export_request import ExportRequest
from tests.api.simulated_time import BASE, KEY, KEY_SECRET

CONTACTS = ExportRequest.of("contacts")


@pytest.fixture
def api(requests_mock):
    return requests_mock


def test_html_instead_of_json_is_reported(api, client):
    api.get(f"{BASE}/exports", text="<html>Log in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
    with pytest.raises(UnexpectedResponse, match="text/html instead of JSON") as raised:
        list(client.list_exports())
    assert "Host" in str(raised.value)
    assert not raised.value.final


@pytest.mark.parametrize(
    ("body", "content_type", "words"),
    [
        ("", "application/json", "an empty body instead of JSON"),
        (" \n", "application/json", "an empty body instead of JSON"),
        ('{"id": "e1", "sta', "application/json; charset=utf-8", "JSON that is cut off or invalid"),
        ("<html>", "text/html", "text/html instead of JSON"),
        ("<html>", "", "a body of an unknown type instead of JSON"),
    ],
)
def test_an_unreadable_body_is_described_and_retried(api, client, body, content_type, words):
    headers = {"Content-Type": content_type} if content_type else {}
    api.get(f"{BASE}/exports/e1", text=body, headers=headers)
    with pytest.raises(UnexpectedResponse, match=words):
        client.get_export("e1")
    assert api.call_count == 6
    api.get(f"{BASE}/exports/e1", [{"text": body, "headers": headers}, {"json": {"id": "e1", "status": "queued"}}])
    assert client.get_export("e1").status == "queued"


def http_error(status, **fields):
    return {"status": status, "title": "Title", "detail": "Detail", **fields}


VALIDATION = {
    "status": 422,
    "title": "Unprocessable entity",
    "detail": "The request is not valid",
    "validationErrors": [
        {"name": "segmentId", "path": "/filters/segmentId", "reason": "Value is not valid"},
        {"name": "delimiter", "reason": "Value is not allowed"},
    ],
}


class TestErrors:
    @pytest.mark.parametrize(
        ("status", "kind", "words"),
        [
            (400, RequestRejected, "400"),
            (401, AuthenticationFailed, "keyId:keySecret"),
            (403, PermissionDenied, "exports read scope"),
            (404, NotFound, "does not know export e1"),
            (405, RequestRejected, "405"),
            (415, RequestRejected, "415"),
            (422, RequestRejected, "422"),
        ],
    )
    def test_each_status_has_its_own_error_and_is_not_retried(self, api, client, status, kind, words):
        api.get(f"{BASE}/exports/e1", status_code=status, json=http_error(status))
        with pytest.raises(ApiError, match=words) as raised:
            client.get_export("e1")
        assert type(raised.value) is kind
        assert raised.value.status == status
        assert raised.value.final
        assert api.call_count == 1

    @pytest.mark.parametrize("status", [400, 401, 405, 415, 422])
    def test_a_refusal_without_a_body_is_the_apis(self, api, client, status):
        api.get(f"{BASE}/exports/e1", status_code=status)
        with pytest.raises(Refused):
            client.get_export("e1")

    @pytest.mark.parametrize(
        ("status", "response"),
        [
            *((status, {"text": "<html>Nothing here</html>"}) for status in (400, 401, 403, 404, 405, 413, 422)),
            *((status, {"text": ""}) for status in (403, 404)),
            (404, {"json": {"message": "no Route matched with those values"}}),
            (404, {"json": {"timestamp": "2026-11-01T00:00:00Z", "status": 404, "error": "Not Found"}}),
            (404, {"json": http_error(502)}),
            (403, {"json": ["Forbidden"]}),
            (403, {"text": '{"status": 403, "title": "Forb'}),
        ],
    )
    def test_a_refusal_that_is_not_the_apis_may_pass(self, api, client, status, response):
        found = {"json": {"id": "e1", "status": "queued"}}
        api.get(f"{BASE}/exports/e1", [{"status_code": status, **response}, found])
        assert client.get_export("e1").status == "queued"
        api.get(f"{BASE}/exports/e1", status_code=status, **response)
        with pytest.raises(UnexpectedResponse, match=f"status {status}") as raised:
            client.get_export("e1")
        assert not raised.value.final

    def test_the_error_of_a_creation_names_the_write_scope(self, api, client):
        api.post(f"{BASE}/exports", status_code=403, json=http_error(403, title="Forbidden", code="E0103"))
        with pytest.raises(PermissionDenied, match=r"write scope.*Forbidden.*E0103"):
            client.post_export(CONTACTS)

    def test_rejected_fields_are_named_with_their_reasons(self, api, client):
        api.post(f"{BASE}/exports", status_code=422, json=VALIDATION)
        with pytest.raises(RequestRejected) as raised:
            client.post_export(CONTACTS)
        assert "segment_id (/filters/segmentId): Value is not valid" in str(raised.value)
        assert "delimiter: Value is not allowed" in str(raised.value)

    @pytest.mark.parametrize(
        "body",
        [[], "no", 5, None, {"validationErrors": "x"}, {"validationErrors": [None, {}, {"path": 5}]}, {"title": 5}],
    )
    def test_the_body_may_have_any_structure(self, api, client, body):
        api.get(f"{BASE}/exports/e1", status_code=422, json=body)
        with pytest.raises(RequestRejected):
            client.get_export("e1")

    def test_a_long_body_is_truncated_to_one_line(self, api, client):
        api.get(f"{BASE}/exports/e1", status_code=400, json={"title": "a\nb", "detail": "long " * 1000})
        with pytest.raises(RequestRejected) as raised:
            client.get_export("e1")
        assert len(str(raised.value)) < 500
        assert "\n" not in str(raised.value)

    def test_a_body_that_contains_the_key_or_a_signed_url_is_masked(self, api, client):
        detail = f"no access for 'apiKey {KEY}' to https://files.test/1.zip?sig=abcdef1234&x=1"
        for status in (400, 403, 404, 500):
            api.get(f"{BASE}/exports/e1", status_code=status, json=http_error(status, detail=detail))
            with pytest.raises(ApiError) as raised:
                client.get_export("e1")
            assert "no access for" in str(raised.value)
            assert KEY_SECRET not in str(raised.value)
            assert "abcdef1234" not in str(raised.value)
