# SPDX-License-Identifier: Apache-2.0
"""The poller: who joins and leaves when, and what a failing round does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import AuthenticationFailed, NotFound, ServerError
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poller import Poller
from airflow_provider_connectif.api.polling.wait import MIN_INTERVAL, ExportWait


class Api:
    """The client, as far as a survey of few exports asks it; it notes what happens."""

    def __init__(self) -> None:
        self.exports: dict[str, str] = {}
        self.rounds: list[str] = []
        self.problems: list[Exception] = []
        self.opened = 0
        self.closed = 0
        self.slow = 0.0

    async def open(self) -> Any:
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1

    def get_export(self, export_id: str) -> Export:
        self.rounds.append(export_id)
        time.sleep(self.slow)
        if self.problems:
            raise self.problems.pop(0)
        if export_id not in self.exports:
            raise NotFound(f"no {export_id}")
        return Export(export_id, self.exports[export_id])


@pytest.fixture
def api() -> Api:
    return Api()


def run(api: Api, play: Callable[[Poller], Coroutine[Any, Any, Any]]) -> Any:
    """Play something with a poller, and see that it ends: no task is left, and every client is closed."""

    async def whole() -> Any:
        poller = Poller(api.open, random=lambda: 0.0)
        result = await asyncio.wait_for(play(poller), 20)
        for _ in range(40):
            if len(asyncio.all_tasks()) == 1:
                break
            await asyncio.sleep(0.05)
        assert len(asyncio.all_tasks()) == 1
        assert poller.waiter_count == 0
        return result

    result = asyncio.run(whole())
    assert api.closed >= api.opened
    return result


def test_waits_until_the_watch_is_over(api):
    api.exports["a"] = "queued"

    async def play(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2))
        await asyncio.sleep(0.3)
        assert poller.waiter_count == 1
        api.exports["a"] = "finished"
        await waiting

    run(api, play)
    assert api.opened == 1
    assert api.rounds == ["a", "a"]


def test_looks_no_oftener_than_the_shortest_interval(api):
    api.exports["a"] = "queued"

    async def play(poller: Poller) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(poller.wait(ExportWait(["a"]), 0.0), 3.5 * MIN_INTERVAL)

    run(api, play)
    assert 1 <= len(api.rounds) <= 3


def test_somebody_impatient_who_joins_is_not_kept_waiting(api):
    api.exports.update(a="queued", b="finished")

    async def play(poller: Poller) -> float:
        patient = asyncio.create_task(poller.wait(ExportWait(["a"]), 60))
        await asyncio.sleep(0.1)
        began = time.monotonic()
        await poller.wait(ExportWait(["b"]), 0.2)
        took = time.monotonic() - began
        patient.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await patient
        return took

    assert run(api, play) < 2


@pytest.mark.parametrize("how_many", [1, 3])
def test_a_failing_round_fails_nobody(api, how_many):
    api.exports.update({"a": "finished", "b": "finished"})
    api.problems = [ServerError("500") for _ in range(how_many)]

    async def play(poller: Poller) -> None:
        await asyncio.gather(poller.wait(ExportWait(["a"]), 0.2), poller.wait(ExportWait(["b"]), 0.2))

    run(api, play)


def test_a_bug_in_a_round_fails_nobody_and_is_told_by_its_place_without_its_words(api, caplog):
    api.exports["a"] = "finished"
    api.problems = [ZeroDivisionError("surprise")]
    run(api, lambda poller: poller.wait(ExportWait(["a"], resumed=True), 0.2))
    assert "failed with ZeroDivisionError (test_poller.py, line " in caplog.text
    assert "surprise" not in caplog.text


def test_a_connection_that_is_gone_when_the_key_is_refused_fails_nobody(api):
    """Looking the connection up again may itself go wrong, in ways that are not this package's."""
    api.exports["a"] = "finished"
    real_open = api.open

    async def sometimes() -> Any:
        if api.opened == 1:
            api.opened += 1
            api.closed += 1
            raise LookupError("no such connection for a moment")
        return await real_open()

    api.open = sometimes  # type: ignore[method-assign]
    api.exports["a"] = "queued"

    async def play(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"], resumed=True), 0.2))
        await asyncio.sleep(0.3)
        api.problems = [AuthenticationFailed("401")]
        api.exports["a"] = "finished"
        await asyncio.wait_for(waiting, 5)

    run(api, play)


def test_a_key_that_is_refused_twice_in_one_round_is_told(api):
    api.exports["a"] = "queued"

    async def play(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"], resumed=True), 0.2))
        await asyncio.sleep(0.3)
        api.problems = [AuthenticationFailed("401"), AuthenticationFailed("401")]
        with pytest.raises(AuthenticationFailed):
            await waiting

    run(api, play)
    assert api.opened == 2


def test_one_who_is_unlucky_leaves_alone(api):
    api.exports["a"] = "queued"

    async def play(poller: Poller) -> None:
        other = asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2))
        with pytest.raises(NotFound):
            await poller.wait(ExportWait(["gone"]), 0.2)
        api.exports["a"] = "finished"
        await other

    run(api, play)


def test_the_last_who_leaves_during_a_round_waits_for_no_answer_and_leaves_nothing(api):
    api.exports["a"] = "queued"
    api.slow = 0.4

    async def play(poller: Poller) -> float:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2))
        await asyncio.sleep(0.3)
        assert api.rounds == ["a"]
        began = time.monotonic()
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting
        return time.monotonic() - began

    assert run(api, play) < 0.2


def test_one_who_joins_while_the_old_round_is_being_ended_is_served(api):
    api.exports["a"] = "queued"
    api.slow = 0.3

    async def play(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"]), 0.2))
        await asyncio.sleep(0.3)
        waiting.cancel()
        await asyncio.sleep(0)
        api.exports["b"] = "finished"
        await asyncio.wait_for(poller.wait(ExportWait(["b"]), 0.2), 5)

    run(api, play)


def test_the_last_who_leaves_ends_the_poller_at_once_however_patient(api):
    api.exports["a"] = "queued"

    async def play(poller: Poller) -> None:
        waiting = asyncio.create_task(poller.wait(ExportWait(["a"]), 60))
        await asyncio.sleep(0.1)
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await waiting

    run(api, play)
