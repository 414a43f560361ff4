# SPDX-License-Identifier: Apache-2.0
"""The poller: waits that start and end at any time, and rounds that fail."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import (
    AuthenticationFailed,
    ConnectionUnusable,
    InvalidConnection,
    NotFound,
    ServerError,
)
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poller import Poller
from airflow_provider_connectif.api.polling.wait import MIN_INTERVAL, ExportWait
from tests.simulated_clock import SimulatedClock


class FakeClient:
    """The API client, as far as a poll for few exports uses it."""

    def __init__(self) -> None:
        self.exports: dict[str, str] = {}
        self.requested: list[str] = []
        self.errors: list[Exception] = []
        self.opened = 0
        self.closed = 0
        #: Set when a request arrives; the response waits for the other one.
        self.request_arrived = threading.Event()
        self.may_respond = threading.Event()
        self.may_respond.set()

    async def open(self) -> Any:
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1

    def retry_delay(self, error: BaseException | None, attempt: int) -> float:
        return 0.01

    def get_export(self, export_id: str) -> Export:
        self.requested.append(export_id)
        self.request_arrived.set()
        assert self.may_respond.wait(60)
        if self.errors:
            raise self.errors.pop(0)
        if export_id not in self.exports:
            raise NotFound(f"no {export_id}")
        return Export(export_id, self.exports[export_id])


@pytest.fixture
def client() -> FakeClient:
    return FakeClient()


@pytest.fixture
def clock() -> SimulatedClock:
    return SimulatedClock()


@pytest.fixture
def run(client: FakeClient, clock: SimulatedClock) -> Callable[[Callable[[Poller], Coroutine[Any, Any, Any]]], Any]:
    """Run a scenario with a poller, and check that no task and no open client is left afterwards."""

    def run_scenario(scenario: Callable[[Poller], Coroutine[Any, Any, Any]]) -> Any:
        async def main() -> Any:
            poller = Poller(client.open, clock=clock.monotonic, random=lambda: 0.0)
            result = await scenario(poller)
            while len(asyncio.all_tasks()) > 1:
                await asyncio.sleep(0.1)
                assert clock.monotonic() < 1000, asyncio.all_tasks()
            assert waiter_count(poller) == 0
            return result

        result = clock.run(main())
        assert client.closed >= client.opened
        return result

    return run_scenario


def waiter_count(poller: Poller) -> int:
    return len(poller.ids._subscriptions) + len(poller.lists._subscriptions)


async def cancel(task: asyncio.Task[Any]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


def test_waits_until_the_export_is_finished(client, run):
    client.exports["a"] = "queued"

    async def scenario(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2))
        await asyncio.sleep(0.3)
        assert waiter_count(poller) == 1
        client.exports["a"] = "finished"
        await waiting

    run(scenario)
    assert client.opened == 1
    assert client.requested == ["a", "a"]


def test_respects_the_minimum_interval(client, run):
    client.exports["a"] = "queued"

    async def scenario(poller: Poller) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(poller.wait(ExportWait(["a"]), 0.0), 3.5 * MIN_INTERVAL)

    run(scenario)
    assert len(client.requested) == 3


def test_the_jitter_makes_an_interval_shorter(client, clock):
    client.exports["a"] = "finished"
    poller = Poller(client.open, clock=clock.monotonic, random=lambda: 1.0)
    clock.run(poller.wait(ExportWait(["a"]), 60))
    assert clock.monotonic() == pytest.approx(54.0)


def test_sleeps_with_the_sleep_function_that_is_passed(client, clock):
    client.exports["a"] = "finished"
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.sleep(seconds)

    poller = Poller(client.open, clock=clock.monotonic, sleep=sleep, random=lambda: 0.0)
    asyncio.run(poller.wait(ExportWait(["a"]), 60))
    assert slept[0] == 60.0


def test_a_wait_with_a_shorter_interval_is_served_early(client, clock, run):
    client.exports.update(a="queued", b="finished")

    async def scenario(poller: Poller) -> None:
        long_wait = asyncio.create_task(poller.wait(ExportWait(["a"]), 60))
        await asyncio.sleep(0.1)
        started = clock.monotonic()
        await poller.wait(ExportWait(["b"]), 0.2)
        assert clock.monotonic() - started == pytest.approx(0.1, abs=0.001)
        await cancel(long_wait)

    run(scenario)


@pytest.mark.parametrize("how_many", [1, 3])
def test_a_failed_round_does_not_end_any_wait(client, run, how_many):
    client.exports.update({"a": "finished", "b": "finished"})
    client.errors = [ServerError("500") for _ in range(how_many)]

    async def scenario(poller: Poller) -> None:
        await asyncio.gather(poller.wait(ExportWait(["a"]), 0.2), poller.wait(ExportWait(["b"]), 0.2))

    run(scenario)


def test_a_bug_in_a_round_does_not_end_any_wait_and_is_logged_by_place_without_its_message(client, run, caplog):
    client.exports["a"] = "finished"
    client.errors = [ZeroDivisionError("surprise")]
    run(lambda poller: poller.wait(ExportWait(["a"], resumed=True), 0.2))
    assert "failed with ZeroDivisionError (test_poller.py, line " in caplog.text
    assert "surprise" not in caplog.text


def test_a_missing_connection_after_a_refused_key_does_not_end_any_wait(client, run):
    """Reading the connection again may fail with errors that are not this package's."""
    client.exports["a"] = "finished"
    original = client.open

    async def open_client() -> Any:
        if client.opened == 1:
            client.opened += 1
            client.closed += 1
            raise LookupError("no such connection right now")
        return await original()

    client.open = open_client  # type: ignore[method-assign]
    client.exports["a"] = "queued"

    async def scenario(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"], resumed=True), 0.2))
        await asyncio.sleep(0.3)
        client.errors = [AuthenticationFailed("401")]
        client.exports["a"] = "finished"
        await asyncio.wait_for(waiting, 5)

    run(scenario)


def test_a_key_that_is_refused_in_ten_rounds_in_a_row_ends_the_wait(client, clock, run):
    client.exports["a"] = "queued"
    refused = AuthenticationFailed("401")

    async def scenario(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"], resumed=True), 1.0))
        await asyncio.sleep(1.5)
        # With the client of the first round, and then once in each round with a new one.
        client.errors = [refused] * 10
        await asyncio.sleep(12)
        assert not waiting.done()
        client.errors = [refused] * 11
        with pytest.raises(AuthenticationFailed):
            await waiting

    run(scenario)


@pytest.mark.parametrize("error", [LookupError("secret"), InvalidConnection("The connection has no API key.")])
def test_a_connection_that_cannot_be_used_ends_the_wait_after_ten_rounds_and_is_named(client, clock, run, error):
    async def open_client() -> Any:
        raise error

    client.open = open_client  # type: ignore[method-assign]
    poller = Poller(open_client, connection="shop", clock=clock.monotonic, random=lambda: 0.0)
    with pytest.raises(ConnectionUnusable, match=r"cannot use the connection shop: .*(LookupError|no API key)") as e:
        clock.run(poller.wait(ExportWait(["a"], resumed=True), 60))
    assert clock.monotonic() == pytest.approx(600)
    assert not e.value.final
    assert "secret" not in str(e.value)


def test_an_export_that_does_not_exist_ends_only_its_own_wait(client, clock, run):
    client.exports["a"] = "queued"

    async def scenario(poller: Poller) -> None:
        other = asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2))
        with pytest.raises(NotFound):
            await poller.wait(ExportWait(["gone"], monotonic=clock.monotonic), 0.2)
        client.exports["a"] = "finished"
        await other

    run(scenario)


def test_cancelling_the_last_wait_during_a_round_does_not_wait_for_the_response(client, run):
    client.exports["a"] = "queued"
    client.may_respond.clear()

    async def scenario(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(client.request_arrived.wait)
        await cancel(waiting)
        assert client.closed == 0
        client.may_respond.set()

    run(scenario)


def test_a_wait_that_starts_while_the_old_round_is_being_cancelled_is_served(client, run):
    client.exports["a"] = "queued"
    client.may_respond.clear()

    async def scenario(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2))
        await asyncio.sleep(0.2)
        await asyncio.to_thread(client.request_arrived.wait)
        waiting.cancel()
        await asyncio.sleep(0)
        client.exports["b"] = "finished"
        served = asyncio.create_task(poller.wait(ExportWait(["b"]), 0.2))
        await asyncio.sleep(0)
        client.may_respond.set()
        await asyncio.wait_for(served, 5)

    run(scenario)


def test_cancelling_the_last_wait_ends_the_poller_immediately_whatever_its_interval(client, clock, run):
    client.exports["a"] = "queued"

    async def scenario(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"]), 60))
        await asyncio.sleep(0.1)
        await cancel(waiting)

    run(scenario)
    assert clock.monotonic() < 1
