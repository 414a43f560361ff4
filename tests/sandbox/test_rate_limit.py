# SPDX-License-Identifier: Apache-2.0
"""The rate limit in each style. The clock is at a whole second, so that a window has just started."""

from __future__ import annotations

import re

import pytest


def statuses(client, count: int) -> list[int]:
    return [client.get("/exports").status_code for _ in range(count)]


def test_there_is_no_limit_by_default(client) -> None:
    assert statuses(client, 20) == [200] * 20
    assert not any("ratelimit" in name.lower() for name in client.get("/exports").headers)


def test_requests_beyond_the_limit_get_429_until_the_window_ends(sandbox, client, clock) -> None:
    sandbox.set(rate_limit=3)
    assert statuses(client, 5) == [200, 200, 200, 429, 429]
    clock.move(0.9)
    assert statuses(client, 1) == [429]
    clock.move(0.1)
    assert statuses(client, 4) == [200, 200, 200, 429]
    assert sandbox.stats.rate_limited == 4


def test_the_window_has_the_configured_length(sandbox, client, clock) -> None:
    sandbox.set(rate_limit=1, rate_limit_window=10.0)
    assert statuses(client, 2) == [200, 429]
    clock.move(9)
    assert statuses(client, 1) == [429]
    clock.move(1)
    assert statuses(client, 1) == [200]


def test_nothing_is_created_beyond_the_limit(sandbox, client) -> None:
    sandbox.set(rate_limit=1)
    responses = [client.post("/exports", client.contacts()).status_code for _ in range(3)]
    assert responses == [201, 429, 429]
    assert sandbox.stats.created_by_api == 1


def test_files_are_not_limited(sandbox, client) -> None:
    url = client.create()["fileUrl"]
    sandbox.set(rate_limit=1)
    assert [client.call("GET", url, headers={"Authorization": None}).status_code for _ in range(3)] == [200] * 3


@pytest.mark.parametrize(
    ("style", "within", "beyond"),
    [
        (
            "ratelimit",
            {"RateLimit-Limit": "1", "RateLimit-Remaining": "0", "RateLimit-Reset": "8"},
            {"RateLimit-Limit": "1", "RateLimit-Remaining": "0", "RateLimit-Reset": "8"},
        ),
        (
            "x-ratelimit",
            {"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1682510410"},
            {"X-RateLimit-Limit": "1", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1682510410"},
        ),
        ("retry-after", {}, {"Retry-After": "8"}),
        ("retry-after-date", {}, {"Retry-After": "Wed, 26 Apr 2023 12:00:10 GMT"}),
        ("none", {}, {}),
    ],
)
def test_the_limit_is_reported_in_each_style(sandbox, client, clock, style: str, within: dict, beyond: dict) -> None:
    sandbox.set(rate_limit=1, rate_limit_window=10.0, rate_limit_headers=style)
    clock.move(2.5)
    for expected in (within, beyond):
        response = client.get("/exports")
        reported = {name for name in response.headers if re.search("ratelimit|retry", name.lower())}
        assert {name.lower(): response.headers[name] for name in reported} == {
            name.lower(): value for name, value in expected.items()
        }
    assert response.status_code == 429


def test_the_remaining_requests_are_counted_down(sandbox, client) -> None:
    sandbox.set(rate_limit=3)
    assert [client.get("/exports").headers["RateLimit-Remaining"] for _ in range(4)] == ["2", "1", "0", "0"]


def test_errors_report_the_limit_too(sandbox, client) -> None:
    sandbox.set(rate_limit=5)
    assert client.get("/exports/0").headers["RateLimit-Remaining"] == "4"
