# SPDX-License-Identifier: Apache-2.0
"""Rounds: nothing that is slow delays anything else, and nothing sleeps in a thread (promise 11)."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from airflow_provider_connectif.api.client import ConnectifClient, RetryPolicy
from airflow_provider_connectif.api.errors import ServerError, Unavailable
from airflow_provider_connectif.api.export_pages import ListPage
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling import rounds
from airflow_provider_connectif.api.polling.event_stream import NewExportsReader
from airflow_provider_connectif.api.polling.poller import Poller
from airflow_provider_connectif.api.polling.wait import ExportWait
from tests.api.simulated_time import BASE, KEY
from tests.simulated_clock import SimulatedClock


class SlowClient:
    """A client of an API with two pages, which can be told not to respond."""

    def __init__(self) -> None:
        self.may_respond = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.blocks: set[str] = set()
        self.requested: list[str] = []

    async def open(self) -> Any:
        return self

    def close(self) -> None:
        pass

    def get_export(self, export_id: str) -> Export:
        self._request(export_id)
        return Export(export_id, "finished")

    def get_page(self, url: str | None, *, page_size: int) -> ListPage:
        number = url or "page 1"
        self._request(number)
        listed = [Export(f"{number}, {index}", "finished") for index in range(3)]
        return ListPage(listed, number, number, "page 2" if number == "page 1" else None)

    def resolve_page_link(self, page: ListPage) -> str:
        return str(page.link)

    def _request(self, what: str) -> None:
        self.requested.append(what)
        if what in self.blocks:
            self.arrived.release()
            assert self.may_respond.wait(60)


def poller_of(client: Any, **arguments: Any) -> Poller:
    return Poller(client.open, random=lambda: 0.0, **arguments)


async def until_arrived(client: SlowClient, how_many: int) -> None:
    for _ in range(6000):
        how_many -= client.arrived.acquire(blocking=False)
        if not how_many:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{how_many} requests did not arrive")


@pytest.mark.parametrize("how_many", [6, 20])
def test_slow_accounts_do_not_delay_a_quick_one_nor_the_default_executor(how_many):
    slow, quick = SlowClient(), SlowClient()
    slow.blocks = {"a"}

    async def scenario() -> None:
        pollers = [poller_of(slow) for _ in range(how_many)]
        waiting = [asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2)) for poller in pollers]
        try:
            await until_arrived(slow, how_many)
            await asyncio.wait_for(poller_of(quick).wait(ExportWait(["b"]), 0.2), 30)
            # As many calls as there are threads in the default executor, at the same time.
            barrier = threading.Barrier(5)
            await asyncio.gather(*(asyncio.to_thread(barrier.wait, 30) for _ in range(5)))
        finally:
            slow.may_respond.set()
        await asyncio.gather(*waiting)

    asyncio.run(scenario())


def test_an_export_on_an_early_page_does_not_wait_for_a_slow_page():
    client = SlowClient()
    client.blocks = {"page 2"}

    async def scenario() -> None:
        poller = poller_of(client)
        ids = ["page 1, 0", "page 1, 1", "page 2, 0"]
        early, same_page, late = (asyncio.create_task(poller.wait(ExportWait([each]), 0.2)) for each in ids)
        try:
            await until_arrived(client, 1)
            await asyncio.wait_for(asyncio.gather(early, same_page), 30)
            assert not late.done()
        finally:
            client.may_respond.set()
        await late

    asyncio.run(scenario())


def test_waits_by_id_do_not_read_the_list_that_a_filter_needs():
    client = SlowClient()
    client.blocks = {"page 2"}

    async def scenario() -> None:
        poller = poller_of(client)
        newest = asyncio.create_task(poller.wait(ExportWait(export_filter=ExportFilter()), 0.2))
        try:
            await until_arrived(client, 1)
            await asyncio.wait_for(poller.wait(ExportWait(["a"]), 0.2), 30)
            assert client.requested == ["page 1", "page 2", "a"]
        finally:
            client.may_respond.set()
        await newest

    asyncio.run(scenario())


class Api:
    """The real client, whose sleeping is an error, and the responses of an API."""

    def __init__(self, clock: SimulatedClock, requests_mock: Any) -> None:
        self.clock = clock
        self.api = requests_mock
        self.sent_at: list[float] = []

    def respond(self, *statuses: int, **headers: str) -> None:
        remaining = list(statuses)

        def body(_: Any, context: Any) -> Any:
            self.sent_at.append(self.clock.monotonic())
            context.status_code = remaining.pop(0) if remaining else 200
            if context.status_code != 200:
                context.headers.update(headers)
            return {"id": "a", "status": "finished", "title": "No"}

        self.api.get(f"{BASE}/exports/a", json=body)

    async def open(self) -> Any:
        def no_sleep(_: float) -> None:
            raise AssertionError("A thread sleeps.")

        policy = RetryPolicy(attempts=1, seconds=0.0)
        clocks: dict[str, Any] = {"clock": self.clock.time, "monotonic": self.clock.monotonic}
        return ConnectifClient(KEY, BASE, retry_policy=policy, sleep=no_sleep, random=lambda: 0.0, **clocks)

    def wait(self) -> None:
        self.clock.run(poller_of(self, clock=self.clock.monotonic).wait(ExportWait(["a"]), 100.0))


@pytest.fixture
def api(requests_mock: Any) -> Api:
    return Api(SimulatedClock(), requests_mock)


class TestAttempts:
    def test_after_a_refusal_by_the_rate_limit_wait_in_the_event_loop(self, api):
        api.respond(429, 429, 429, **{"Retry-After": "7"})
        api.wait()
        assert api.sent_at == pytest.approx([100, 107, 114, 121], abs=0.01)

    def test_before_the_rate_limit_is_reset_are_not_sent(self, api):
        def spend(request: Any, context: Any) -> Any:
            context.headers.update({"RateLimit-Remaining": "0", "RateLimit-Reset": "20"})
            return {"id": "a", "status": "queued" if len(api.api.request_history) < 3 else "finished"}

        api.api.get(f"{BASE}/exports/a", json=spend)

        async def scenario() -> None:
            await poller_of(api, clock=api.clock.monotonic).wait(ExportWait(["a"]), 5.0)

        api.clock.run(scenario())
        assert api.clock.monotonic() == pytest.approx(5 + 20 + 20, abs=0.1)

    def test_are_two_in_a_round_if_the_api_fails(self, api):
        api.respond(500, 500, 500)
        api.wait()
        assert [round(sent_at, -2) for sent_at in api.sent_at] == [100, 100, 200, 200]

    def test_that_would_wait_too_long_are_left_to_the_next_round(self, api):
        api.respond(429, **{"Retry-After": "90"})
        api.wait()
        assert api.sent_at == pytest.approx([100, 200], abs=0.01)


def test_a_round_ends_after_an_hour(monkeypatch):
    """However slow an API is, its waits hear of it, and other requests by the same waits are not put off forever."""
    clock, client = SimulatedClock(), SlowClient()
    original = SlowClient.get_export

    def get_export(self: SlowClient, export_id: str) -> Export:
        clock.sleep(rounds.MAX_ROUND_SECONDS * 0.6)
        if export_id == "broken":
            raise ServerError("500")
        return original(self, export_id)

    monkeypatch.setattr(SlowClient, "get_export", get_export)
    monkeypatch.setattr(SlowClient, "retry_delay", lambda *_: 1.0, raising=False)
    wait = ExportWait(["broken", "a"])
    errors: list[Any] = []
    monkeypatch.setattr(wait, "handle_exports", lambda reader: errors.extend(reader.found.values()) or True)
    clock.run(poller_of(client, clock=clock.monotonic).wait(wait, 1.0))
    assert any(isinstance(error, Unavailable) for error in errors)
    assert clock.monotonic() < 3 * rounds.MAX_ROUND_SECONDS


def test_a_first_round_comes_at_once_if_it_is_asked_for():
    clock, client = SimulatedClock(), SlowClient()

    async def scenario() -> list[float]:
        lists = poller_of(client, clock=clock.monotonic).lists
        ended = []
        with lists.subscribed(60, first_within=5) as subscription:
            for _ in range(2):
                await subscription.read(NewExportsReader(ExportFilter(), None))
                ended.append(clock.monotonic())
            with lists.subscribed(60, first_within=5) as late:
                await late.read(NewExportsReader(ExportFilter(), None))
                ended.append(clock.monotonic())
        return ended

    assert clock.run(scenario()) == pytest.approx([0, 60, 65], abs=0.01)
