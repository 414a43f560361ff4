# SPDX-License-Identifier: Apache-2.0
"""The control routes, and the methods of the running sandbox."""

from __future__ import annotations

from typing import Any

import pytest
import requests


def test_an_export_is_created_in_the_application(sandbox, client) -> None:
    (export_id,) = client.control("POST", "exports", json={}).json()["ids"]
    export = client.export(export_id)
    assert (export["origin"], export["exportType"], export["version"]) == ("app", "contacts", "v6")
    assert (sandbox.stats.created_in_app, sandbox.stats.created_by_api) == (1, 0)


def test_an_export_of_the_application_has_the_given_fields(client) -> None:
    body = {
        "exportType": "data-explorer",
        "filters": {"reportId": "r9", "fromDate": "2023-01-01", "toDate": "2023-01-31"},
        "title": "Sólo / uno",
        "delimiter": ";",
        "dateFormat": "LLL",
        "version": "v2",
        "createdAt": "2023-02-01T00:00:00Z",
        "finishedAt": "2023-02-01T00:05:00.123Z",
    }
    (export_id,) = client.control("POST", "exports", json=body).json()["ids"]
    export = client.export(export_id)
    for name in ("exportType", "filters", "delimiter", "dateFormat", "version", "finishedAt"):
        assert export[name] == body[name]
    assert export["createdAt"] == "2023-02-01T00:00:00.000Z"
    assert export["fileName"].startswith("sólo / uno-20230101-20230131-")


def test_an_export_of_the_application_may_have_its_own_options(sandbox, client, clock) -> None:
    options = {"seconds_per_export": 30, "rows": 5}
    export_id = sandbox.create_in_app({"options": options})
    assert client.export(export_id)["status"] == "inProgress"
    assert client.create()["status"] == "finished"
    clock.move(30)
    assert client.export(export_id)["total"] == 5


def test_exports_finish_out_of_order_and_in_the_same_millisecond(sandbox, client, clock) -> None:
    for finished in ("12:00:03", "12:00:01", "12:00:01"):
        body = {"createdAt": "2023-04-26T12:00:00Z", "finishedAt": f"2023-04-26T{finished}Z"}
        client.control("POST", "exports", json=body)
    clock.move(1)
    exports = client.get("/exports").json()["results"][::-1]
    assert [export["status"] for export in exports] == ["inProgress", "finished", "finished"]
    assert exports[1]["finishedAt"] == exports[2]["finishedAt"] == "2023-04-26T12:00:01.000Z"


@pytest.mark.parametrize("fail", [True, False])
def test_a_single_export_can_be_made_to_fail_or_succeed(sandbox, client, fail: bool) -> None:
    sandbox.set(fail=0.0 if fail else 1.0)
    export_id = sandbox.create_in_app({"fail": fail})
    assert client.export(export_id)["status"] == ("error" if fail else "finished")


def test_many_exports_are_created_at_once(client) -> None:
    assert len(set(client.control("POST", "exports", json={"count": 2000}).json()["ids"])) == 2000


@pytest.mark.parametrize("status", ["finished", "error"])
def test_an_export_is_ended_by_a_control_request(sandbox, client, clock, status: str) -> None:
    sandbox.set(seconds_per_export=1000)
    export_id = client.create()["id"]
    clock.move(3)
    response = client.control("POST", f"exports/{export_id}", json={"status": status})
    assert response.json() == {"status": status}
    clock.move(3)
    assert client.export(export_id)["finishedAt"] == "2023-04-26T12:00:03.000Z"
    sandbox.end_export(export_id, fails=status == "finished")
    assert client.export(export_id)["status"] == status


def test_an_unknown_export_cannot_be_ended(sandbox, client) -> None:
    assert client.control("POST", "exports/0", json={"status": "finished"}).status_code == 404
    with pytest.raises(KeyError):
        sandbox.end_export("0")


def test_options_are_changed_and_returned(sandbox, client) -> None:
    changed = client.control("POST", "options", json={"rows": 7, "fail": ["contacts"]}).json()
    assert (changed["rows"], changed["fail"]) == (7, ["contacts"])
    assert client.control("GET", "options").json() == changed == sandbox.options.as_json()
    assert client.create()["total"] == 7


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"colour": 1}, "colour"),
        ({"rows": "7"}, "rows"),
        ({"rows": -1}, "rows"),
        ({"rows": True}, "rows"),
        ({"archive": "rar"}, "archive"),
        ({"ranges": "no"}, "ranges"),
        ({"fail": 2}, "fail"),
        ({"fail": None}, "fail"),
        ({"known_segments": "s1"}, "known_segments"),
        ({"rate_limit_window": 0}, "rate_limit_window"),
        ({"seconds_per_export": "fast"}, "seconds_per_export"),
        ({"faults": ["list:nothing"]}, "kind"),
        ([], "object"),
    ],
)
def test_an_invalid_option_is_rejected_by_name_and_changes_nothing(sandbox, client, changes: Any, word: str) -> None:
    before = sandbox.options
    response = client.control("POST", "options", json=changes)
    assert response.status_code == 400
    assert word in response.json()["detail"]
    assert sandbox.options == before


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({"colour": 1}, "colour"),
        ({"createdAt": "yesterday"}, "yesterday"),
        ({"options": {"rows": "x"}}, "rows"),
        ({"count": "x"}, "count"),
        ({"version": "newest"}, "newest"),
    ],
)
def test_an_invalid_export_is_rejected_with_the_reason(client, body: Any, word: str) -> None:
    response = client.control("POST", "exports", json=body)
    assert response.status_code == 400
    assert word in response.json()["detail"]
    assert client.get("/exports").json()["results"] == []


def test_a_reset_discards_exports_faults_counts_and_changes(sandbox, client) -> None:
    client.create()
    sandbox.fault("list", "500")
    sandbox.set(rows=3)
    assert client.control("POST", "reset").status_code == 200
    assert client.get("/exports").json()["results"] == []
    assert (sandbox.options.rows, sandbox.stats.requests, sandbox.stats.created) == (100, 1, [])


def test_control_requests_need_no_key_and_are_not_counted(sandbox, client) -> None:
    assert client.control("GET", "stats").status_code == 200
    assert client.control("PUT", "stats").status_code == 405
    assert sandbox.stats.requests == 0


def test_requests_and_exports_are_counted(sandbox, client) -> None:
    export = client.create()
    client.export(export["id"])
    client.export("0")
    client.post("/exports", {})
    requests.get(f"{sandbox.url}/exports", timeout=10)
    requests.get(f"{sandbox.url}/nothing", timeout=10)
    stats = client.control("GET", "stats").json()
    assert stats["requests"] == 6
    assert stats["by_route"] == {"POST /exports": 2, "GET /exports/{id}": 2, "GET /exports": 1, "unknown": 1}
    assert stats["by_status"] == {"201": 1, "200": 1, "404": 2, "422": 1, "401": 1}
    assert stats["created"] == [
        {"id": export["id"], "createdAt": "2023-04-26T12:00:00.000Z", "body": client.contacts()}
    ]
    assert sandbox.stats.as_json() == stats


def test_a_snapshot_of_the_counts_does_not_change(sandbox, client) -> None:
    client.create()
    before = sandbox.stats
    client.create()
    assert (before.requests, before.by_route, len(before.created)) == (1, {"POST /exports": 1}, 1)
