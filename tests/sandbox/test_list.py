# SPDX-License-Identifier: Apache-2.0
"""The list and its pages, including misleading ones."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest


@pytest.fixture
def ids(client, clock) -> list[str]:
    """The ids of seven exports, created a second apart, oldest first."""
    created = []
    for _ in range(7):
        created.append(client.create()["id"])
        clock.move(1)
    return created


def all_pages(client, first: str = "/exports?page=1&pageSize=3", max_pages: int = 10) -> list[list[str]]:
    """Follow the next links, and return the ids page by page."""
    pages, url = [], first
    while url and len(pages) < max_pages:
        body = client.get(url).json()
        pages.append([export["id"] for export in body["results"]])
        url = body["links"].get("next")
    return pages


def test_the_newest_comes_first_and_the_links_lead_through_all_pages(client, ids) -> None:
    newest = ids[::-1]
    assert all_pages(client) == [newest[:3], newest[3:6], newest[6:]]


def test_links_are_absolute_and_end_at_the_first_and_last_page(client, ids) -> None:
    first, second, last = (client.get(f"/exports?page={page}&pageSize=3").json()["links"] for page in (1, 2, 3))
    url = client.running.url
    assert first == {"next": f"{url}/exports?page=2&pageSize=3"}
    assert second == {"prev": f"{url}/exports?page=1&pageSize=3", "next": f"{url}/exports?page=3&pageSize=3"}
    assert last == {"prev": f"{url}/exports?page=2&pageSize=3"}


def test_a_page_has_50_exports_by_default(client) -> None:
    client.control("POST", "exports", json={"count": 51})
    body = client.get("/exports").json()
    assert len(body["results"]) == 50
    assert parse_qs(urlsplit(body["links"]["next"]).query) == {"page": ["2"], "pageSize": ["50"]}


def test_an_exactly_full_page_is_the_last(client, ids) -> None:
    assert client.get("/exports?pageSize=7").json()["links"] == {}


def test_a_page_beyond_the_end_is_empty(client, ids) -> None:
    body = client.get("/exports?page=9&pageSize=3").json()
    assert (body["results"], "next" in body["links"]) == ([], False)


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("page=0", "page"),
        ("page=x", "page"),
        ("pageSize=0", "pageSize"),
        ("pageSize=101", "pageSize"),
        ("page=", "page"),
    ],
)
def test_invalid_pages_are_rejected(client, query: str, name: str) -> None:
    response = client.get(f"/exports?{query}")
    assert response.status_code == 422
    assert response.json()["validationErrors"][0]["name"] == name


def test_the_oldest_may_come_first(sandbox, client, ids) -> None:
    sandbox.set(order="oldest")
    assert all_pages(client) == [ids[:3], ids[3:6], ids[6:]]


def test_the_order_may_be_shuffled_but_is_stable_across_pages(sandbox, client, ids) -> None:
    sandbox.set(order="shuffled")
    seen = [export_id for page in all_pages(client) for export_id in page]
    assert sorted(seen) == sorted(ids)
    assert seen not in (ids, ids[::-1])


def test_pages_may_shift_so_that_an_export_is_seen_twice(sandbox, client, ids) -> None:
    sandbox.set(shifting_pages=True)
    first, second, *_ = all_pages(client)
    assert first[-1] == second[0]
    assert sandbox.stats.created_in_app >= 2


def test_the_last_page_may_lead_to_the_first(sandbox, client, ids) -> None:
    sandbox.set(paging_loop=True)
    pages = all_pages(client, max_pages=4)
    assert pages[3] == pages[0]


def test_next_may_lead_to_another_host_and_a_key_sent_there_is_counted(sandbox, client, ids) -> None:
    sandbox.set(next_host=f"http://localhost:{sandbox.port}")
    url = client.get("/exports?pageSize=3").json()["links"]["next"]
    assert url == f"http://localhost:{sandbox.port}/exports?page=2&pageSize=3"
    assert sandbox.stats.foreign_requests_with_authorization == 0
    client.get(url)
    assert sandbox.stats.foreign_requests_with_authorization == 1


def test_an_export_created_meanwhile_is_listed_by_its_timestamp(client, ids) -> None:
    client.control("POST", "exports", json={"createdAt": "2020-01-01T00:00:00Z"})
    assert client.get("/exports?pageSize=100").json()["results"][-1]["createdAt"].startswith("2020")
