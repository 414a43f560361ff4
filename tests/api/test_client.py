# SPDX-License-Identifier: Apache-2.0
"""The client with scripted responses: pagination, filters, retries, rate limit. Nothing sleeps."""

from __future__ import annotations

import json
import logging
import traceback
import tracemalloc
from datetime import datetime, timezone
from itertools import islice

import pytest
import requests
import requests_mock as requests_mock_module

from airflow_provider_connectif.api.client import RetryPolicy
from airflow_provider_connectif.api.errors import (
    ApiError,
    ConnectifError,
    ConnectionProblem,
    CreationOutcomeUnknown,
    InvalidArgument,
    PermissionDenied,
    RateLimited,
    ServerError,
    Unavailable,
    UnexpectedResponse,
)
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.filters import ExportFilter
from tests.api.simulated_time import BASE, KEY, KEY_SECRET

CONTACTS = ExportRequest.of("contacts")
REPORT = ExportRequest.of("data-explorer", report_id="r1", from_date="2026-11-01", to_date="2026-11-02")


@pytest.fixture
def api(requests_mock):
    return requests_mock


def export(number, **fields):
    return {"id": f"e{number}", "status": "finished", "exportType": "contacts", **fields}


def page(exports, following=None):
    return {"json": {"links": {"next": following} if following else {}, "results": exports}}


def ids(exports):
    return [export.id for export in exports]


class TestRequests:
    def test_each_has_the_key_and_the_user_agent(self, api, make_client):
        api.get(f"{BASE}/exports/e1", json=export(1))
        make_client(user_agent="airflow-provider-connectif/1").get_export("e1")
        headers = api.last_request.headers
        assert headers["Authorization"] == f"apiKey {KEY}"
        assert headers["User-Agent"] == "airflow-provider-connectif/1"
        assert headers["Accept"] == "application/json"

    def test_each_has_the_timeout(self, api, make_client):
        api.get(f"{BASE}/exports/e1", json=export(1))
        make_client(timeout=7.5).get_export("e1")
        assert api.last_request.timeout == 7.5

    def test_an_export_is_requested_by_its_id(self, api, client):
        api.get(f"{BASE}/exports/e1", json=export(1, fileUrl="https://files.test/1"))
        assert client.get_export("e1").file_url == "https://files.test/1"

    def test_an_id_cannot_lead_to_another_path(self, api, client):
        api.get(requests_mock_module.ANY, json=export(1))
        client.get_export("../stores/1?x=1")
        assert api.last_request.url == f"{BASE}/exports/..%2Fstores%2F1%3Fx%3D1"

    @pytest.mark.parametrize("export_id", ["", " ", ".", ".."])
    def test_an_invalid_id_raises_an_error_before_anything_is_sent(self, api, client, export_id):
        with pytest.raises(InvalidArgument, match="export_id"):
            client.get_export(export_id)
        assert api.call_count == 0

    def test_the_path_of_the_base_url_is_kept(self, api, make_client):
        api.get(f"{BASE}/proxy/exports", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/proxy/exports?page=2", **page([export(2)]))
        assert ids(make_client(f"{BASE}/proxy").list_exports()) == ["e1", "e2"]

    def test_the_client_does_not_show_the_key(self, client):
        assert KEY_SECRET not in repr(client) + repr(vars(client))


class TestPagination:
    def test_pages_are_requested_only_as_they_are_needed(self, api, client):
        for number in range(1, 201):
            listed = [export(n) for n in range(50 * (number - 1), 50 * number)]
            api.get(
                f"{BASE}/exports?page={number}",
                **page(listed, f"/exports?page={number + 1}" if number < 200 else None),
            )
        exports = client.list_exports()
        assert next(exports).id == "e0"
        assert api.call_count == 1
        list(islice(exports, 49))
        assert api.call_count == 1
        next(exports)
        assert api.call_count == 2
        assert sum(1 for _ in exports) == 10_000 - 51
        assert api.call_count == 200

    def test_memory_does_not_grow_with_ten_thousand_exports(self, client, monkeypatch):
        padding = "x" * 2000

        def respond(self, method, url, **arguments):
            number = int(url.partition("page=")[2] or 1)
            body = page(
                [export(50 * number + n, fileName=padding) for n in range(50)],
                f"/exports?page={number + 1}" if number < 200 else None,
            )
            response = requests.Response()
            response.status_code, response.url = 200, f"{BASE}/exports?page={number}"
            response._content = json.dumps(body["json"]).encode()
            return response

        monkeypatch.setattr(requests.Session, "request", respond)
        tracemalloc.start()
        try:
            count = sum(1 for _ in client.list_exports())
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert count == 10_000
        assert peak < 5_000_000  # the whole list is 20 MB

    def test_only_the_first_request_has_page_parameters(self, api, client):
        api.get(f"{BASE}/exports", **page([export(1)], f"{BASE}/exports?cursor=abc"))
        api.get(f"{BASE}/exports?cursor=abc", **page([export(2)]))
        assert ids(client.list_exports(page_size=7)) == ["e1", "e2"]
        assert [request.query for request in api.request_history] == ["page=1&pagesize=7", "cursor=abc"]

    @pytest.mark.parametrize(
        "link",
        ["/exports/?page=2", "?page=2", "http://api.connectif.test/exports?page=2", f"{BASE}:8443/exports?page=2"],
    )
    def test_links_of_every_form_are_followed(self, api, client, link):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], link))
        api.get(f"{BASE}/exports?page=2", **page([export(2)]))
        api.get(f"{BASE}/exports/?page=2", **page([export(2)]))
        assert ids(client.list_exports()) == ["e1", "e2"]
        assert api.last_request.url.startswith(f"{BASE}/exports")

    def test_a_link_to_another_host_raises_an_error_and_the_key_is_not_sent_there(self, api, client):
        api.get(f"{BASE}/exports", **page([export(1)], "https://evil.example/exports?page=2"))
        api.get("https://evil.example/exports", **page([export(2)]))
        exports = client.list_exports()
        assert next(exports).id == "e1"
        with pytest.raises(UnexpectedResponse, match="another host"):
            next(exports)
        assert [request.hostname for request in api.request_history] == ["api.connectif.test"]

    def test_exports_that_a_shifting_list_repeats_are_yielded_once(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(3), export(2)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(2), export(1)]))
        assert ids(client.list_exports()) == ["e3", "e2", "e1"]

    def test_a_page_without_new_exports_is_not_the_end(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(1)], "?page=3"))
        api.get(f"{BASE}/exports?page=3", **page([], "?page=4"))
        api.get(f"{BASE}/exports?page=4", **page([export(2)]))
        assert ids(client.list_exports()) == ["e1", "e2"]

    def test_a_link_to_an_earlier_page_is_the_end(self, api, client, caplog):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(2)], "/exports?page=1&pageSize=50"))
        assert ids(client.list_exports()) == ["e1", "e2"]
        assert "already read" in caplog.text

    def test_a_link_to_the_same_page_is_the_end(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(2)], "?page=2"))
        assert ids(client.list_exports()) == ["e1", "e2"]
        assert api.call_count == 2

    def test_an_endless_list_without_new_exports_is_an_error(self, api, client):
        def respond(request, context):
            number = int(request.qs["page"][0])
            assert number < 300, "the list does not end"
            return page([export(1)], f"?page={number + 1}")["json"]

        api.get(f"{BASE}/exports", json=respond)
        with pytest.raises(UnexpectedResponse, match="does not end"):
            list(client.list_exports())
        assert 100 <= api.call_count <= 110

    @pytest.mark.parametrize("links", [None, {}, {"next": None}, {"next": ""}, []])
    def test_a_page_without_a_next_link_is_the_last(self, api, client, links):
        api.get(f"{BASE}/exports", json={"results": [export(1)], "links": links})
        assert ids(client.list_exports()) == ["e1"]

    def test_an_error_on_a_later_page_is_raised_after_the_earlier_exports(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", status_code=403, json={"status": 403, "title": "Forbidden"})
        exports = client.list_exports()
        assert next(exports).id == "e1"
        with pytest.raises(PermissionDenied):
            next(exports)

    def test_pages_are_yielded_unchanged(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(1), export(2)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(2)]))
        assert [ids(exports) for exports in client.list_pages()] == [["e1", "e2"], ["e2"]]


class TestFilter:
    @pytest.fixture(autouse=True)
    def exports(self, api):
        at = "2026-11-0{}T00:00:00.000Z".format
        exports = [
            export(1, origin="api", createdAt=at(1)),
            export(2, origin="app", createdAt=at(2), status="error"),
            export(3, origin="API", createdAt=at(3), status="Finished", exportType="activities"),
            export(4, status="inProgress"),
        ]
        api.get(f"{BASE}/exports?page=1", **page(exports[:1], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page(exports[1:]))

    @pytest.mark.parametrize(
        ("filters", "expected"),
        [
            ({}, ["e1", "e2", "e3", "e4"]),
            ({"export_type": "activities"}, ["e3"]),
            ({"status": "finished"}, ["e1", "e3"]),
            ({"status": "inprogress"}, ["e4"]),
            ({"origin": "api"}, ["e1", "e3"]),
            ({"origin": "app"}, ["e2"]),
            ({"created_after": datetime(2026, 11, 2, tzinfo=timezone.utc)}, ["e3"]),
            ({"created_after": datetime(2026, 11, 1, tzinfo=timezone.utc), "origin": "app"}, ["e2"]),
            ({"export_type": "banner-stats"}, []),
        ],
    )
    def test_applies_to_all_pages(self, client, filters, expected):
        assert ids(client.list_exports(ExportFilter(**filters))) == expected


class TestUnexpectedResponses:
    @pytest.mark.parametrize("body", [[], {}, {"results": None}, {"results": {}}, "text", 5, None])
    def test_a_list_of_another_structure_is_reported(self, api, client, body):
        api.get(f"{BASE}/exports", text=json.dumps(body))
        with pytest.raises(UnexpectedResponse, match="no results"):
            list(client.list_exports())

    @pytest.mark.parametrize("item", [None, "e1", [], {}, {"id": "e1"}, {"status": "x"}, {"id": 5, "status": "x"}])
    def test_an_export_of_another_structure_is_reported(self, api, client, item):
        api.get(f"{BASE}/exports/e1", text=json.dumps(item))
        with pytest.raises(UnexpectedResponse, match="described an export"):
            client.get_export("e1")

    @pytest.mark.parametrize("link", [5, {"href": "/exports"}, ["/exports?page=2"]])
    def test_a_link_of_another_type_is_reported(self, api, client, link):
        api.get(f"{BASE}/exports", **page([export(1)], link))
        with pytest.raises(UnexpectedResponse, match="link that is not a string"):
            list(client.list_exports())

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_not_followed(self, api, client, status):
        api.get(f"{BASE}/exports", status_code=status, headers={"Location": "https://evil.example/exports"})
        api.get("https://evil.example/exports", **page([]))
        with pytest.raises(UnexpectedResponse, match=f"status {status}"):
            list(client.list_exports())
        assert {request.hostname for request in api.request_history} == {"api.connectif.test"}


class TestRetries:
    @pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
    def test_a_server_error_is_retried(self, api, client, status):
        api.get(
            f"{BASE}/exports/e1",
            [{"status_code": status}, {"status_code": status, "text": "<html>"}, {"json": export(1)}],
        )
        assert client.get_export("e1").id == "e1"
        assert api.call_count == 3

    def test_a_permanent_server_error_is_raised_after_the_maximum_number_of_attempts(self, api, make_client):
        api.get(f"{BASE}/exports/e1", status_code=503, json={"title": "Down"})
        with pytest.raises(ServerError, match=r"503.*Down") as raised:
            make_client(retry_policy=RetryPolicy(attempts=4)).get_export("e1")
        assert api.call_count == 4
        assert raised.value.final is False

    def test_waits_grow_up_to_a_maximum(self, api, simulated_time, make_client):
        api.get(f"{BASE}/exports/e1", status_code=500)
        with pytest.raises(ServerError):
            make_client(retry_policy=RetryPolicy(attempts=9), random=lambda: 1.0).get_export("e1")
        assert simulated_time.slept == [1, 2, 4, 8, 16, 30, 30, 30]

    def test_waits_have_jitter(self, api, simulated_time, make_client):
        api.get(f"{BASE}/exports/e1", status_code=500)
        with pytest.raises(ServerError):
            make_client(retry_policy=RetryPolicy(attempts=3), random=lambda: 0.0).get_export("e1")
        assert simulated_time.slept == [0.5, 1.0]

    @pytest.mark.parametrize(
        "error",
        [
            requests.ConnectTimeout,
            requests.ReadTimeout,
            requests.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
        ],
    )
    def test_a_broken_connection_is_retried_and_then_raised(self, api, client, error):
        api.get(f"{BASE}/exports/e1", [{"exc": error}, {"json": export(1)}])
        assert client.get_export("e1").id == "e1"
        api.get(f"{BASE}/exports/e2", exc=error)
        with pytest.raises(ConnectionProblem, match=r"api\.connectif\.test"):
            client.get_export("e2")
        assert api.call_count == 2 + 6

    def test_retries_are_logged(self, api, client, caplog):
        api.get(f"{BASE}/exports/e1", [{"status_code": 503}, {"status_code": 429}, {"json": export(1)}])
        client.get_export("e1")
        logged = [(record.levelno, record.message) for record in caplog.records if "Retrying" in record.message]
        assert [level for level, _ in logged] == [logging.WARNING, logging.INFO]

    def test_a_server_error_that_asks_for_a_longer_wait_than_allowed_is_raised_immediately(
        self, api, simulated_time, client
    ):
        api.get(f"{BASE}/exports/e1", status_code=503, headers={"Retry-After": "86400"})
        with pytest.raises(ServerError):
            client.get_export("e1")
        assert simulated_time.slept == []


class TestRateLimit:
    def test_the_wait_that_a_429_asks_for_is_respected(self, api, simulated_time, client):
        api.get(f"{BASE}/exports/e1", [{"status_code": 429, "headers": {"Retry-After": "20"}}, {"json": export(1)}])
        started = simulated_time.now
        client.get_export("e1")
        assert simulated_time.now - started == 20

    def test_a_429_is_retried_more_often_than_other_errors(self, api, client):
        limited = {"status_code": 429, "headers": {"RateLimit-Reset": "5"}}
        api.get(f"{BASE}/exports/e1", [limited] * 60 + [{"json": export(1)}])
        assert client.get_export("e1").id == "e1"

    @pytest.mark.parametrize("headers", [{}, {"Retry-After": "5"}, {"X-RateLimit-Reset": "5"}])
    def test_retries_of_a_429_end(self, api, simulated_time, make_client, headers):
        api.get(f"{BASE}/exports/e1", status_code=429, headers=headers)
        started = simulated_time.now
        with pytest.raises(RateLimited):
            make_client(retry_policy=RetryPolicy(seconds=100)).get_export("e1")
        assert 60 < simulated_time.now - started <= 100

    def test_an_api_that_asks_for_no_wait_is_not_flooded_with_requests(self, api, simulated_time, make_client):
        def respond(request, context):
            assert api.call_count < 100, "flooded"
            context.status_code, context.headers["Retry-After"] = 429, "0"

        api.get(f"{BASE}/exports/e1", json=respond)
        with pytest.raises(RateLimited):
            make_client(retry_policy=RetryPolicy(seconds=300), random=lambda: 0.5).get_export("e1")
        assert simulated_time.slept[:4] == [0.5, 1, 2, 4]

    def test_clients_that_are_given_the_same_wait_come_back_at_different_times(self, api, simulated_time, make_client):
        waits = set()
        for chance in (0.1, 0.5, 0.9):
            limited = {"status_code": 429, "headers": {"Retry-After": "20"}}
            api.get(f"{BASE}/exports/e1", [limited, {"json": export(1)}])
            started = simulated_time.now
            make_client(random=lambda chance=chance: chance).get_export("e1")
            waits.add(round(simulated_time.now - started, 3))
        assert len(waits) == 3
        assert min(waits) > 20

    def test_a_successful_response_with_nothing_remaining_delays_the_next_request(self, api, simulated_time, client):
        spent = {"RateLimit-Remaining": "0", "RateLimit-Reset": "8"}
        api.get(f"{BASE}/exports/e1", json=export(1), headers=spent)
        started = simulated_time.now
        client.get_export("e1")
        assert simulated_time.now == started
        client.get_export("e1")
        assert simulated_time.now - started == 8

    def test_it_also_delays_a_creation(self, api, simulated_time, client):
        api.get(f"{BASE}/exports/e1", json=export(1), headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "8"})
        api.post(f"{BASE}/exports", status_code=201, json=export(2))
        client.get_export("e1")
        client.post_export(CONTACTS)
        assert simulated_time.slept == [8]

    @pytest.mark.parametrize("seconds", ["100000", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_an_implausible_wait_is_not_a_reason_to_fail_or_to_wait_long(self, api, simulated_time, client, seconds):
        limited = {"status_code": 429, "headers": {"Retry-After": seconds}}
        api.get(f"{BASE}/exports/e1", [limited, {"json": export(1), "headers": {"RateLimit-Reset": seconds}}])
        client.get_export("e1")
        client.get_export("e1")
        assert sum(simulated_time.slept) <= 1

    @pytest.mark.parametrize("status", [429, 503])
    def test_the_error_says_which_wait_was_ignored(self, api, simulated_time, client, status):
        api.get(f"{BASE}/exports/e1", status_code=status, headers={"Retry-After": "1" + "0" * 100})
        with pytest.raises(Unavailable, match=r"Its Retry-After, '10{39}', is not plausible and is ignored\."):
            client.get_export("e1")
        assert max(simulated_time.slept) <= 30

    def test_a_reset_in_epoch_milliseconds_is_waited_for(self, api, simulated_time, client):
        spent = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": f"{simulated_time.now * 1000 + 2000:.0f}"}
        api.get(f"{BASE}/exports/e1", json=export(1), headers=spent)
        client.get_export("e1")
        client.get_export("e1")
        assert simulated_time.slept == [2]

    def test_a_wait_that_is_longer_than_allowed_raises_an_error_immediately(self, api, simulated_time, client):
        api.get(f"{BASE}/exports/e1", status_code=429, headers={"Retry-After": "86400"})
        api.post(f"{BASE}/exports", status_code=201, json=export(2))
        with pytest.raises(RateLimited, match="asks to wait 86400 s") as raised:
            client.get_export("e1")
        assert raised.value.retry_after == 86400
        with pytest.raises(RateLimited, match="asks to wait another 86400 s"):
            client.post_export(CONTACTS)
        assert simulated_time.slept == []
        assert api.call_count == 1


class TestPostExport:
    @pytest.mark.parametrize(("request_", "path"), [(CONTACTS, "/exports"), (REPORT, "/exports/type/data-explorer")])
    def test_the_body_is_sent_as_json_to_the_path_of_the_type(self, api, client, request_, path):
        api.post(f"{BASE}{path}", status_code=201, json=export(1))
        assert client.post_export(request_).id == "e1"
        assert api.last_request.json() == request_.body()
        assert api.last_request.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 415, 422])
    def test_a_refusal_is_final(self, api, client, status):
        api.post(f"{BASE}/exports", status_code=status, json={"status": status, "title": "No"})
        with pytest.raises(ApiError) as raised:
            client.post_export(CONTACTS)
        assert raised.value.final
        assert api.call_count == 1

    def test_a_429_is_not_retried(self, api, client):
        api.post(f"{BASE}/exports", status_code=429, headers={"Retry-After": "9"})
        with pytest.raises(RateLimited) as raised:
            client.post_export(CONTACTS)
        assert raised.value.retry_after == 9
        assert api.call_count == 1

    def test_without_a_connection_nothing_was_sent(self, api, client):
        api.post(f"{BASE}/exports", exc=requests.ConnectTimeout)
        with pytest.raises(ConnectionProblem) as raised:
            client.post_export(CONTACTS)
        assert raised.value.sent is False
        assert api.call_count == 1

    @pytest.mark.parametrize(
        "outcome",
        [
            {"status_code": 500},
            {"status_code": 503, "headers": {"Retry-After": "1"}},
            {"status_code": 408},
            {"status_code": 302, "headers": {"Location": "/exports"}},
            {"status_code": 201, "text": "<html>"},
            {"status_code": 204},
            {"status_code": 201, "json": {"ok": True}},
            {"exc": requests.ReadTimeout},
            {"exc": requests.ConnectionError},
            {"exc": requests.exceptions.ChunkedEncodingError},
        ],
        ids=str,
    )
    def test_any_other_failure_has_an_unknown_outcome_and_is_not_retried(self, api, simulated_time, client, outcome):
        api.post(f"{BASE}/exports", **outcome)
        with pytest.raises(CreationOutcomeUnknown, match="A new export was requested"):
            client.post_export(CONTACTS)
        assert api.call_count == 1
        assert simulated_time.slept == []


class TestSecrets:
    @pytest.mark.parametrize(
        "outcome",
        [
            {"status_code": 401, "text": f"bad {KEY}"},
            {"status_code": 400, "json": {"detail": f"bad {KEY}"}},
            {"status_code": 500, "json": {"detail": f"bad {KEY}"}},
            {"status_code": 429},
            {"status_code": 302, "headers": {"Location": "https://evil.example"}},
            {"text": f"<html>{KEY}"},
            {"json": {"results": KEY}},
            {"exc": requests.ReadTimeout(f"while sending apiKey {KEY}")},
            {"exc": requests.ConnectionError(f"while sending apiKey {KEY}")},
            {"exc": requests.exceptions.InvalidHeader(f"apiKey {KEY}")},
        ],
        ids=lambda outcome: "-".join(map(str, outcome)) + str(outcome.get("status_code", "")),
    )
    @pytest.mark.parametrize("call", ["list", "get", "create"])
    def test_no_error_shows_the_key(self, api, client, caplog, outcome, call):
        api.register_uri(requests_mock_module.ANY, requests_mock_module.ANY, **outcome)
        try:
            if call == "list":
                list(client.list_exports())
            elif call == "get":
                client.get_export("e1")
            else:
                client.post_export(CONTACTS)
        except ConnectifError as error:
            shown = traceback.format_exc() + str(error) + repr(error) + repr(vars(error))
            logging.getLogger("airflow.task").exception("Failed")
        else:
            raise AssertionError("no error was raised")
        assert KEY_SECRET not in shown
        assert KEY_SECRET not in caplog.text
