# SPDX-License-Identifier: Apache-2.0
"""The client against scripted answers: paging, filters, errors, retries, pace. Nothing sleeps."""

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
    AuthenticationFailed,
    ConnectifError,
    ConnectionProblem,
    CreationOutcomeUnknown,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    RateLimited,
    RequestRejected,
    ServerError,
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
    def test_each_carries_the_key_and_says_who_asks(self, api, make_client):
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

    def test_an_export_is_read_by_its_id(self, api, client):
        api.get(f"{BASE}/exports/e1", json=export(1, fileUrl="https://files.test/1"))
        assert client.get_export("e1").file_url == "https://files.test/1"

    def test_an_id_cannot_lead_to_another_path(self, api, client):
        api.get(requests_mock_module.ANY, json=export(1))
        client.get_export("../stores/1?x=1")
        assert api.last_request.url == f"{BASE}/exports/..%2Fstores%2F1%3Fx%3D1"

    @pytest.mark.parametrize("export_id", ["", " ", ".", ".."])
    def test_an_id_that_is_none_is_refused_before_anything_is_sent(self, api, client, export_id):
        with pytest.raises(InvalidArgument, match="export_id"):
            client.get_export(export_id)
        assert api.call_count == 0

    def test_a_base_url_with_a_path_keeps_it(self, api, make_client):
        api.get(f"{BASE}/proxy/exports", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/proxy/exports?page=2", **page([export(2)]))
        assert ids(make_client(f"{BASE}/proxy").list_exports()) == ["e1", "e2"]

    def test_the_key_is_not_shown_by_the_client(self, client):
        assert KEY_SECRET not in repr(client) + repr(vars(client))


class TestPaging:
    def test_the_first_export_comes_after_one_request_and_no_more_are_made_than_needed(self, api, client):
        for number in range(1, 201):
            exports = [export(n) for n in range(50 * (number - 1), 50 * number)]
            api.get(
                f"{BASE}/exports?page={number}",
                **page(exports, f"/exports?page={number + 1}" if number < 200 else None),
            )
        walk = client.list_exports()
        assert next(walk).id == "e0"
        assert api.call_count == 1
        list(islice(walk, 49))
        assert api.call_count == 1
        next(walk)
        assert api.call_count == 2
        assert sum(1 for _ in walk) == 10_000 - 51
        assert api.call_count == 200

    def test_memory_stays_flat_over_ten_thousand_exports(self, client, monkeypatch):
        padding = "x" * 2000

        def answer(self, method, address, **arguments):
            number = int(address.partition("page=")[2] or 1)
            body = page(
                [export(50 * number + n, fileName=padding) for n in range(50)],
                f"/exports?page={number + 1}" if number < 200 else None,
            )
            response = requests.Response()
            response.status_code, response.url = 200, f"{BASE}/exports?page={number}"
            response._content = json.dumps(body["json"]).encode()
            return response

        monkeypatch.setattr(requests.Session, "request", answer)
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
    def test_links_are_followed_in_every_form(self, api, client, link):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], link))
        api.get(f"{BASE}/exports?page=2", **page([export(2)]))
        api.get(f"{BASE}/exports/?page=2", **page([export(2)]))
        assert ids(client.list_exports()) == ["e1", "e2"]
        assert api.last_request.url.startswith(f"{BASE}/exports")

    def test_a_link_to_another_host_ends_in_an_error_and_the_key_does_not_go_there(self, api, client):
        api.get(f"{BASE}/exports", **page([export(1)], "https://evil.example/exports?page=2"))
        api.get("https://evil.example/exports", **page([export(2)]))
        walk = client.list_exports()
        assert next(walk).id == "e1"
        with pytest.raises(UnexpectedResponse, match="another host"):
            next(walk)
        assert [request.hostname for request in api.request_history] == ["api.connectif.test"]

    def test_exports_that_a_shifting_list_repeats_come_once(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(3), export(2)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(2), export(1)]))
        assert ids(client.list_exports()) == ["e3", "e2", "e1"]

    def test_a_page_without_news_is_no_end(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(1)], "?page=3"))
        api.get(f"{BASE}/exports?page=3", **page([], "?page=4"))
        api.get(f"{BASE}/exports?page=4", **page([export(2)]))
        assert ids(client.list_exports()) == ["e1", "e2"]

    def test_a_list_that_leads_back_to_a_page_that_was_read_ends(self, api, client, caplog):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(2)], "/exports?page=1&pageSize=50"))
        assert ids(client.list_exports()) == ["e1", "e2"]
        assert "already read" in caplog.text

    def test_a_page_that_leads_to_itself_ends(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(2)], "?page=2"))
        assert ids(client.list_exports()) == ["e1", "e2"]
        assert api.call_count == 2

    def test_a_list_without_end_or_news_is_an_error_though_its_addresses_change(self, api, client):
        def answer(request, context):
            number = int(request.qs["page"][0])
            assert number < 300, "nothing ends this list"
            return page([export(1)], f"?page={number + 1}")["json"]

        api.get(f"{BASE}/exports", json=answer)
        with pytest.raises(UnexpectedResponse, match="does not end"):
            list(client.list_exports())
        assert 100 <= api.call_count <= 110

    @pytest.mark.parametrize("links", [None, {}, {"next": None}, {"next": ""}, []])
    def test_a_page_without_a_next_link_is_the_last(self, api, client, links):
        api.get(f"{BASE}/exports", json={"results": [export(1)], "links": links})
        assert ids(client.list_exports()) == ["e1"]

    def test_an_error_on_a_later_page_comes_after_what_was_read(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(1)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", status_code=403)
        walk = client.list_exports()
        assert next(walk).id == "e1"
        with pytest.raises(PermissionDenied):
            next(walk)

    def test_pages_come_as_they_are(self, api, client):
        api.get(f"{BASE}/exports?page=1", **page([export(1), export(2)], "?page=2"))
        api.get(f"{BASE}/exports?page=2", **page([export(2)]))
        assert [ids(exports) for exports in client.list_pages()] == [["e1", "e2"], ["e2"]]


class TestFilters:
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
    def test_they_apply_over_all_pages(self, client, filters, expected):
        assert ids(client.list_exports(ExportFilter(**filters))) == expected


class TestAnswersThatAreNotTheApis:
    def test_html_in_place_of_json_says_so(self, api, client):
        api.get(f"{BASE}/exports", text="<html>Log in</html>", headers={"Content-Type": "text/html; charset=utf-8"})
        with pytest.raises(UnexpectedResponse, match="text/html instead of JSON") as raised:
            list(client.list_exports())
        assert "Host" in str(raised.value)
        assert api.call_count == 1

    @pytest.mark.parametrize("body", [[], {}, {"results": None}, {"results": {}}, "text", 5, None])
    def test_a_list_of_the_wrong_shape_says_so(self, api, client, body):
        api.get(f"{BASE}/exports", text=json.dumps(body))
        with pytest.raises(UnexpectedResponse, match="no results"):
            list(client.list_exports())

    @pytest.mark.parametrize("item", [None, "e1", [], {}, {"id": "e1"}, {"status": "x"}, {"id": 5, "status": "x"}])
    def test_an_export_of_the_wrong_shape_says_so(self, api, client, item):
        api.get(f"{BASE}/exports/e1", text=json.dumps(item))
        with pytest.raises(UnexpectedResponse, match="described an export"):
            client.get_export("e1")

    @pytest.mark.parametrize("link", [5, {"href": "/exports"}, ["/exports?page=2"]])
    def test_a_link_of_the_wrong_shape_says_so(self, api, client, link):
        api.get(f"{BASE}/exports", **page([export(1)], link))
        with pytest.raises(UnexpectedResponse, match="link that is not a string"):
            list(client.list_exports())

    @pytest.mark.parametrize("status", [301, 302, 307, 308])
    def test_a_redirect_is_not_followed(self, api, client, status):
        api.get(f"{BASE}/exports", status_code=status, headers={"Location": "https://evil.example/exports"})
        api.get("https://evil.example/exports", **page([]))
        with pytest.raises(UnexpectedResponse, match=f"status {status}"):
            list(client.list_exports())
        assert api.call_count == 1


VALIDATION = {
    "status": 422,
    "title": "Unprocessable entity",
    "detail": "The request is not valid",
    "validationErrors": [
        {"name": "segmentId", "path": "/filters/segmentId", "reason": "Value is not valid"},
        {"name": "delimiter", "reason": "Value is not allowed"},
    ],
}


class TestRefusals:
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
    def test_each_status_has_its_error_and_is_not_asked_again(self, api, client, status, kind, words):
        api.get(f"{BASE}/exports/e1", status_code=status)
        with pytest.raises(ApiError, match=words) as raised:
            client.get_export("e1")
        assert type(raised.value) is kind
        assert raised.value.status == status
        assert raised.value.final
        assert api.call_count == 1

    def test_a_creation_names_the_write_scope(self, api, client):
        api.post(f"{BASE}/exports", status_code=403, json={"title": "Forbidden", "code": "E0103"})
        with pytest.raises(PermissionDenied, match=r"write scope.*Forbidden.*E0103"):
            client.post_export(CONTACTS)

    def test_the_fields_that_are_rejected_are_named_with_their_reasons(self, api, client):
        api.post(f"{BASE}/exports", status_code=422, json=VALIDATION)
        with pytest.raises(RequestRejected) as raised:
            client.post_export(CONTACTS)
        assert "/filters/segmentId: Value is not valid" in str(raised.value)
        assert "delimiter: Value is not allowed" in str(raised.value)

    @pytest.mark.parametrize(
        "body",
        [[], "no", 5, None, {"validationErrors": "x"}, {"validationErrors": [None, {}, {"path": 5}]}, {"title": 5}],
    )
    def test_an_error_of_any_shape_is_still_its_own(self, api, client, body):
        api.get(f"{BASE}/exports/e1", status_code=422, json=body)
        with pytest.raises(RequestRejected):
            client.get_export("e1")

    def test_long_words_are_cut_and_stay_on_one_line(self, api, client):
        api.get(f"{BASE}/exports/e1", status_code=400, json={"title": "a\nb", "detail": "long " * 1000})
        with pytest.raises(RequestRejected) as raised:
            client.get_export("e1")
        assert len(str(raised.value)) < 500
        assert "\n" not in str(raised.value)

    def test_an_answer_that_quotes_the_key_or_an_address_does_not_pass_it_on(self, api, client):
        detail = f"no access for 'apiKey {KEY}' to https://files.test/1.zip?sig=abcdef1234&x=1"
        for status in (400, 403, 404, 500):
            api.get(f"{BASE}/exports/e1", status_code=status, json={"detail": detail})
            with pytest.raises(ApiError) as raised:
                client.get_export("e1")
            assert "no access for" in str(raised.value)
            assert KEY_SECRET not in str(raised.value)
            assert "abcdef1234" not in str(raised.value)


class TestRetries:
    @pytest.mark.parametrize("status", [500, 502, 503, 504, 408])
    def test_a_server_error_is_tried_again(self, api, client, status):
        api.get(
            f"{BASE}/exports/e1",
            [{"status_code": status}, {"status_code": status, "text": "<html>"}, {"json": export(1)}],
        )
        assert client.get_export("e1").id == "e1"
        assert api.call_count == 3

    def test_a_server_error_that_stays_is_told_after_as_many_tries_as_allowed(self, api, make_client):
        api.get(f"{BASE}/exports/e1", status_code=503, json={"title": "Down"})
        with pytest.raises(ServerError, match=r"503.*Down") as raised:
            make_client(retry_policy=RetryPolicy(attempts=4)).get_export("e1")
        assert api.call_count == 4
        assert raised.value.final is False

    def test_waits_grow_and_are_bounded(self, api, simulated_time, make_client):
        api.get(f"{BASE}/exports/e1", status_code=500)
        with pytest.raises(ServerError):
            make_client(retry_policy=RetryPolicy(attempts=9), random=lambda: 1.0).get_export("e1")
        assert simulated_time.slept == [1, 2, 4, 8, 16, 30, 30, 30]

    def test_waits_are_spread(self, api, simulated_time, make_client):
        api.get(f"{BASE}/exports/e1", status_code=500)
        with pytest.raises(ServerError):
            make_client(retry_policy=RetryPolicy(attempts=3), random=lambda: 0.0).get_export("e1")
        assert simulated_time.slept == [0.5, 1.0]

    @pytest.mark.parametrize(
        "problem",
        [
            requests.ConnectTimeout,
            requests.ReadTimeout,
            requests.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
        ],
    )
    def test_a_broken_exchange_is_tried_again_and_then_told(self, api, client, problem):
        api.get(f"{BASE}/exports/e1", [{"exc": problem}, {"json": export(1)}])
        assert client.get_export("e1").id == "e1"
        api.get(f"{BASE}/exports/e2", exc=problem)
        with pytest.raises(ConnectionProblem, match=r"api\.connectif\.test"):
            client.get_export("e2")
        assert api.call_count == 2 + 6

    def test_they_are_told_to_the_log(self, api, client, caplog):
        api.get(f"{BASE}/exports/e1", [{"status_code": 503}, {"status_code": 429}, {"json": export(1)}])
        client.get_export("e1")
        told = [(record.levelno, record.message) for record in caplog.records if "Retrying" in record.message]
        assert [level for level, _ in told] == [logging.WARNING, logging.INFO]

    def test_a_server_error_that_asks_for_patience_beyond_ours_is_told_at_once(self, api, simulated_time, client):
        api.get(f"{BASE}/exports/e1", status_code=503, headers={"Retry-After": "86400"})
        with pytest.raises(ServerError):
            client.get_export("e1")
        assert simulated_time.slept == []


class TestTheRateLimit:
    def test_what_a_429_asks_is_waited(self, api, simulated_time, client):
        api.get(f"{BASE}/exports/e1", [{"status_code": 429, "headers": {"Retry-After": "20"}}, {"json": export(1)}])
        began = simulated_time.now
        client.get_export("e1")
        assert simulated_time.now - began == 20

    def test_a_429_is_borne_far_beyond_the_tries_that_errors_have(self, api, client):
        limited = {"status_code": 429, "headers": {"RateLimit-Reset": "5"}}
        api.get(f"{BASE}/exports/e1", [limited] * 60 + [{"json": export(1)}])
        assert client.get_export("e1").id == "e1"

    @pytest.mark.parametrize("headers", [{}, {"Retry-After": "5"}, {"X-RateLimit-Reset": "5"}])
    def test_patience_with_429_ends(self, api, simulated_time, make_client, headers):
        api.get(f"{BASE}/exports/e1", status_code=429, headers=headers)
        began = simulated_time.now
        with pytest.raises(RateLimited):
            make_client(retry_policy=RetryPolicy(seconds=100)).get_export("e1")
        assert 60 < simulated_time.now - began <= 100

    def test_an_api_that_asks_for_no_wait_at_all_is_not_hammered(self, api, simulated_time, make_client):
        def answer(request, context):
            assert api.call_count < 100, "hammered"
            context.status_code, context.headers["Retry-After"] = 429, "0"

        api.get(f"{BASE}/exports/e1", json=answer)
        with pytest.raises(RateLimited):
            make_client(retry_policy=RetryPolicy(seconds=300), random=lambda: 0.5).get_export("e1")
        assert simulated_time.slept[:4] == [0.5, 1, 2, 4]

    def test_many_that_were_told_the_same_moment_come_back_at_different_ones(self, api, simulated_time, make_client):
        moments = set()
        for chance in (0.1, 0.5, 0.9):
            limited = {"status_code": 429, "headers": {"Retry-After": "20"}}
            api.get(f"{BASE}/exports/e1", [limited, {"json": export(1)}])
            began = simulated_time.now
            make_client(random=lambda chance=chance: chance).get_export("e1")
            moments.add(round(simulated_time.now - began, 3))
        assert len(moments) == 3
        assert min(moments) > 20

    def test_nothing_remaining_on_a_good_answer_delays_the_next_request(self, api, simulated_time, client):
        spent = {"RateLimit-Remaining": "0", "RateLimit-Reset": "8"}
        api.get(f"{BASE}/exports/e1", json=export(1), headers=spent)
        began = simulated_time.now
        client.get_export("e1")
        assert simulated_time.now == began
        client.get_export("e1")
        assert simulated_time.now - began == 8

    def test_it_delays_a_creation_too(self, api, simulated_time, client):
        api.get(f"{BASE}/exports/e1", json=export(1), headers={"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "8"})
        api.post(f"{BASE}/exports", status_code=201, json=export(2))
        client.get_export("e1")
        client.post_export(CONTACTS)
        assert simulated_time.slept == [8]

    @pytest.mark.parametrize("seconds", ["86400", "1e300", "Fri, 31 Dec 9999 23:59:59 GMT"])
    def test_a_demand_beyond_our_patience_is_told_and_not_slept(self, api, simulated_time, client, seconds):
        api.get(f"{BASE}/exports/e1", status_code=429, headers={"Retry-After": seconds})
        api.post(f"{BASE}/exports", status_code=201, json=export(2))
        with pytest.raises(RateLimited) as raised:
            client.get_export("e1")
        assert raised.value.retry_after == 86400
        with pytest.raises(RateLimited, match="asks to wait another 86400 s"):
            client.post_export(CONTACTS)
        assert simulated_time.slept == []
        assert api.call_count == 1


class TestSendingACreation:
    @pytest.mark.parametrize(("request_", "path"), [(CONTACTS, "/exports"), (REPORT, "/exports/type/data-explorer")])
    def test_the_body_goes_to_the_types_path_as_json(self, api, client, request_, path):
        api.post(f"{BASE}{path}", status_code=201, json=export(1))
        assert client.post_export(request_).id == "e1"
        assert api.last_request.json() == request_.body()
        assert api.last_request.headers["Content-Type"] == "application/json"

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 415, 422])
    def test_a_clear_no_is_told_as_such(self, api, client, status):
        api.post(f"{BASE}/exports", status_code=status)
        with pytest.raises(ApiError) as raised:
            client.post_export(CONTACTS)
        assert raised.value.final
        assert api.call_count == 1

    def test_a_429_created_nothing(self, api, client):
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
        "fate",
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
    def test_where_nobody_can_say_it_is_unknown_and_never_sent_twice(self, api, simulated_time, client, fate):
        api.post(f"{BASE}/exports", **fate)
        with pytest.raises(CreationOutcomeUnknown, match="A new export was requested"):
            client.post_export(CONTACTS)
        assert api.call_count == 1
        assert simulated_time.slept == []


class TestSecrets:
    @pytest.mark.parametrize(
        "fate",
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
        ids=lambda fate: "-".join(map(str, fate)) + str(fate.get("status_code", "")),
    )
    @pytest.mark.parametrize("call", ["list", "get", "create"])
    def test_no_error_shows_the_key(self, api, client, caplog, fate, call):
        api.register_uri(requests_mock_module.ANY, requests_mock_module.ANY, **fate)
        try:
            if call == "list":
                list(client.list_exports())
            elif call == "get":
                client.get_export("e1")
            else:
                client.post_export(CONTACTS)
        except ConnectifError as problem:
            shown = traceback.format_exc() + str(problem) + repr(problem) + repr(vars(problem))
            logging.getLogger("airflow.task").exception("Failed")
        else:
            raise AssertionError("nothing failed")
        assert KEY_SECRET not in shown
        assert KEY_SECRET not in caplog.text
