# SPDX-License-Identifier: Apache-2.0
"""The stream of finished exports: a kill at any step loses none, and repeats only those of the last round."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import AuthenticationFailed, InvalidArgument, ServerError
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.event_stream import (
    DELIVERY_SECONDS,
    MIN_ROUND_INTERVAL,
    FinishedExportStream,
    poll_finished_exports,
)

BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)
SIGNED_URL = "https://files.example/secret"


class Killed(BaseException):
    """The process is killed: nothing after this runs."""


class Scenario:
    """A list of exports, a state store, and the delivered exports: what outruns a process."""

    def __init__(self) -> None:
        self.now = 0.0
        self.listed: list[Export] = []
        self.stored: str | None = None
        self.in_delivery: list[tuple[float, str]] = []
        self.delivered: list[str] = []
        self.steps = 0
        self.kill_at = 0
        self.steps_of_first_run = 0
        self.failing_reads = 0

    def finish(self, *names: str, seconds: float = 0.0) -> None:
        self.listed += [Export(name, "finished", finished_at=BEGIN + timedelta(seconds=seconds)) for name in names]

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.kill_at:
            raise Killed

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.step()
        # An export is delivered two seconds after it was yielded, if the process is still running.
        self.delivered += [name for yielded_at, name in self.in_delivery if yielded_at + 2 <= self.now]
        self.in_delivery = [each for each in self.in_delivery if each[0] + 2 > self.now]

    async def read(self) -> Any:
        self.step()
        if self.failing_reads:
            self.failing_reads -= 1
            raise RuntimeError("the database is unavailable")
        return None if self.stored is None else json.loads(self.stored)

    async def write(self, value: Any) -> None:
        self.step()
        self.stored = json.dumps(value)
        self.step()

    async def rounds(self, how_many: int, actions: list[Any] | None = None) -> AsyncIterator[tuple[Export, ...]]:
        for number in range(how_many):
            if actions and number < len(actions) and actions[number]:
                actions[number]()
                actions[number] = None
            yield tuple(self.listed)
            await self.sleep(MIN_ROUND_INTERVAL)

    def run_process(self, how_many: int, actions: list[Any] | None = None, store: bool = True) -> list[str]:
        """Run a process for some rounds, or until it is killed, and return what it yielded."""
        yielded: list[str] = []

        async def follow() -> None:
            stream = FinishedExportStream(
                ExportFilter(status="finished"),
                self if store else None,
                clock=lambda: self.now,
                sleep=self.sleep,
                log=logging.getLogger("t"),
            )
            async for export in stream.new_exports(self.rounds(how_many, actions)):
                self.step()
                yielded.append(export.id)
                self.in_delivery.append((self.now, export.id))

        try:
            asyncio.run(follow())
        except Killed:
            self.in_delivery = []
        return yielded


@pytest.fixture
def scenario() -> Scenario:
    return Scenario()


class TestNewExports:
    def test_are_those_that_finish_after_the_very_first_round(self, scenario):
        scenario.finish("old")
        assert scenario.run_process(3, [None, lambda: scenario.finish("new")]) == ["new"]

    def test_are_yielded_once_by_one_process(self, scenario):
        actions = [None, lambda: scenario.finish("a", "b"), None, lambda: scenario.finish("c")]
        assert scenario.run_process(9, actions) == ["a", "b", "c"]

    def test_continue_after_a_restart(self, scenario):
        scenario.run_process(5, [None, lambda: scenario.finish("a")])
        scenario.finish("in between")
        assert scenario.run_process(3) == ["in between"]

    def test_are_counted_from_a_cursor_that_is_stored_immediately(self, scenario):
        scenario.finish("old")
        scenario.run_process(1)
        scenario.finish("new")
        assert scenario.run_process(1) == ["new"]

    def test_are_repeated_if_the_cursor_is_one_round_behind(self, scenario):
        scenario.run_process(2, [None, lambda: scenario.finish("a")])
        assert scenario.run_process(1) == ["a"]

    def test_are_not_taken_to_be_delivered_right_after_they_were_yielded(self, scenario):
        """After the event loop was blocked, rounds can follow each other immediately."""

        async def no_sleep(seconds: float) -> None:
            scenario.step()

        scenario.sleep = no_sleep  # type: ignore[method-assign]
        scenario.run_process(6, [None, lambda: scenario.finish("a")])
        assert scenario.run_process(1) == ["a"]

    def test_are_counted_from_each_start_without_a_store(self, scenario):
        assert scenario.run_process(3, [None, lambda: scenario.finish("a")], store=False) == ["a"]
        scenario.finish("in between")
        assert scenario.run_process(3, store=False) == []

    def test_are_not_yielded_while_the_store_cannot_be_read(self, scenario):
        """To start from the current list would lose what finished since the last process."""
        scenario.run_process(3)
        scenario.finish("in between")
        scenario.failing_reads = 3
        assert scenario.run_process(5) == ["in between"]

    def test_are_yielded_while_the_store_fails_and_stored_later(self, scenario):
        def fail() -> None:
            scenario.finish("a")
            scenario.failing_reads = 2

        assert scenario.run_process(9, [None, fail, None, lambda: scenario.finish("b")]) == ["a", "b"]
        assert scenario.run_process(3) == []

    def test_raise_the_stores_error_if_it_is_not_clear_whose_cursor_to_read(self, scenario):
        async def unclear() -> Any:
            raise InvalidArgument("consumer", "several")

        scenario.read = unclear  # type: ignore[method-assign]
        with pytest.raises(InvalidArgument):
            scenario.run_process(1)

    def test_are_counted_from_the_start_if_the_store_has_something_else(self, scenario, caplog):
        scenario.stored = json.dumps({"not": "a cursor"})
        assert scenario.run_process(3, [None, lambda: scenario.finish("a")]) == ["a"]
        assert "not readable" in caplog.text


def killed_at(step: int) -> tuple[Scenario, list[list[str]]]:
    """Run three processes, of which the first is killed at a step; exports finish in between."""
    scenario = Scenario()
    scenario.run_process(2)
    names = iter(range(100))
    actions = [lambda: scenario.finish(str(next(names)), str(next(names)), seconds=-next(names)) for _ in range(4)]
    scenario.steps, scenario.kill_at = 0, step
    runs = [scenario.run_process(7, actions)]
    scenario.steps_of_first_run, scenario.kill_at = scenario.steps, 0
    scenario.finish("in between")
    for scene in actions:
        if scene:
            scene()
    runs += [scenario.run_process(4), scenario.run_process(3)]
    return scenario, runs


STEPS = 60


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_kill_at_any_step_loses_none_and_repeats_only_those_of_the_last_round(step):
    scenario, runs = killed_at(step)
    finished = {export.id for export in scenario.listed}
    assert finished <= set(scenario.delivered)
    repeated = [name for name in scenario.delivered if scenario.delivered.count(name) > 1]
    assert len(set(repeated)) <= 4  # two exports a round, and the stored cursor is one round behind
    assert runs[2] == []


def test_the_kills_cover_every_step():
    scenario, runs = killed_at(0)
    assert scenario.steps_of_first_run < STEPS
    assert len(runs[0]) == 8


def test_delivery_takes_less_time_than_a_round():
    assert DELIVERY_SECONDS < MIN_ROUND_INTERVAL * 0.9


class FakeClient:
    """The API client, as far as the list is concerned."""

    def __init__(self) -> None:
        self.errors: list[Exception] = []
        self.opened = self.closed = self.requests = 0

    async def open(self) -> Any:
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1

    def list_exports(self) -> Any:
        self.requests += 1
        if self.errors:
            raise self.errors.pop(0)
        yield Export("a", "finished", file_url=SIGNED_URL)
        yield Export("b", "queued")


def run_rounds(client: FakeClient, how_many: int, interval: float = 60.0) -> tuple[list[Any], list[float]]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def collect() -> list[Any]:
        found = []
        stream = poll_finished_exports(
            client.open, interval, sleep=sleep, random=lambda: 0.5, log=logging.getLogger("t")
        )
        async for listed in stream:
            found.append(listed)
            if len(found) == how_many:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    return asyncio.run(collect()), slept


class TestRounds:
    def test_yield_the_finished_exports_without_their_signed_urls(self):
        found, _ = run_rounds(FakeClient(), 1)
        assert [[(export.id, export.file_url) for export in listed] for listed in found] == [[("a", None)]]

    def test_come_at_the_interval_minus_some_jitter(self):
        _, slept = run_rounds(FakeClient(), 3)
        assert slept == [57.0, 57.0]

    def test_respect_the_minimum_interval(self):
        _, slept = run_rounds(FakeClient(), 2, interval=0.1)
        assert slept == [MIN_ROUND_INTERVAL * 0.95]

    def test_continue_after_any_error_which_is_logged_once(self, caplog):
        client = FakeClient()
        client.errors = [ServerError("500."), ServerError("500."), ZeroDivisionError("x")]
        found, slept = run_rounds(client, 1)
        assert (len(found), len(slept)) == (1, 3)
        assert [record.getMessage().split(".")[0] for record in caplog.records if record.name == "t"] == [
            "500",
            "Polling the list of exports failed with ZeroDivisionError",
        ]

    def test_read_the_connection_again_if_the_key_is_refused(self):
        client = FakeClient()
        client.errors = [AuthenticationFailed("401")]
        run_rounds(client, 1)
        assert (client.opened, client.closed) == (2, 2)

    def test_leave_no_client_open(self):
        client = FakeClient()
        run_rounds(client, 2)
        assert (client.opened, client.closed) == (1, 1)
