# SPDX-License-Identifier: Apache-2.0
"""Telling of finished exports: kills at every step lose none, and what is told twice was told in the last round."""

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
ADDRESS = "https://files.example/secret"


class Killed(BaseException):
    """The process is gone: nothing after this runs."""


class World:
    """A list of exports, a store, and what arrived: all that outlives a process."""

    def __init__(self) -> None:
        self.now = 0.0
        self.listed: list[Export] = []
        self.stored: str | None = None
        self.on_its_way: list[tuple[float, str]] = []
        self.arrived: list[str] = []
        self.steps = 0
        self.die_at = 0
        self.died_or_ended_at = 0
        self.broken = 0

    def finish(self, *names: str, seconds: float = 0.0) -> None:
        self.listed += [Export(name, "finished", finished_at=BEGIN + timedelta(seconds=seconds)) for name in names]

    def step(self) -> None:
        self.steps += 1
        if self.steps == self.die_at:
            raise Killed

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.step()
        # What is told arrives within two seconds, if its process lives so long.
        self.arrived += [name for moment, name in self.on_its_way if moment + 2 <= self.now]
        self.on_its_way = [(moment, name) for moment, name in self.on_its_way if moment + 2 > self.now]

    async def read(self) -> Any:
        self.step()
        if self.broken:
            self.broken -= 1
            raise RuntimeError("the database is away")
        return None if self.stored is None else json.loads(self.stored)

    async def write(self, value: Any) -> None:
        self.step()
        self.stored = json.dumps(value)
        self.step()

    async def rounds(self, how_many: int, scenes: list[Any] | None = None) -> AsyncIterator[tuple[Export, ...]]:
        for number in range(how_many):
            if scenes and number < len(scenes) and scenes[number]:
                scenes[number]()
                scenes[number] = None
            yield tuple(self.listed)
            await self.sleep(MIN_ROUND_INTERVAL)

    def live(self, how_many: int, scenes: list[Any] | None = None, store: bool = True) -> list[str]:
        """Be one process for so many rounds, or until it is killed; gives what it told."""
        told: list[str] = []

        async def follow() -> None:
            stream = FinishedExportStream(
                ExportFilter(status="finished"),
                self if store else None,
                clock=lambda: self.now,
                sleep=self.sleep,
                log=logging.getLogger("t"),
            )
            async for export in stream.new_exports(self.rounds(how_many, scenes)):
                self.step()
                told.append(export.id)
                self.on_its_way.append((self.now, export.id))

        try:
            asyncio.run(follow())
        except Killed:
            self.on_its_way = []
        return told


@pytest.fixture
def world() -> World:
    return World()


class TestAnnouncing:
    def test_begins_with_what_finishes_after_the_first_round_of_all(self, world):
        world.finish("old")
        assert world.live(3, [None, lambda: world.finish("new")]) == ["new"]

    def test_tells_each_once_within_one_life(self, world):
        assert world.live(9, [None, lambda: world.finish("a", "b"), None, lambda: world.finish("c")]) == ["a", "b", "c"]

    def test_goes_on_after_a_restart_where_it_was(self, world):
        world.live(5, [None, lambda: world.finish("a")])
        world.finish("while away")
        assert world.live(3) == ["while away"]

    def test_stores_its_beginning_at_once(self, world):
        world.finish("old")
        world.live(1)
        world.finish("new")
        assert world.live(1) == ["new"]

    def test_keeps_its_cursor_one_round_behind(self, world):
        world.live(2, [None, lambda: world.finish("a")])
        assert world.live(1) == ["a"]

    def test_does_not_take_what_was_told_a_moment_ago_as_arrived(self, world):
        """After the event loop was held up, rounds can come at once after each other."""

        async def no_sleep(seconds: float) -> None:
            world.step()

        world.sleep = no_sleep  # type: ignore[method-assign]
        world.live(6, [None, lambda: world.finish("a")])
        assert world.live(1) == ["a"]

    def test_without_a_store_begins_anew_at_each_start(self, world):
        assert world.live(3, [None, lambda: world.finish("a")], store=False) == ["a"]
        world.finish("while away")
        assert world.live(3, store=False) == []

    def test_does_not_begin_while_the_store_cannot_be_read(self, world):
        """Taking the list as it is would lose what finished since the last life."""
        world.live(3)
        world.finish("while away")
        world.broken = 3
        assert world.live(5) == ["while away"]

    def test_bears_a_store_that_fails_and_stores_later(self, world):
        def fail() -> None:
            world.finish("a")
            world.broken = 2

        assert world.live(9, [None, fail, None, lambda: world.finish("b")]) == ["a", "b"]
        assert world.live(3) == []

    def test_says_whose_name_is_missing_where_the_store_cannot_tell(self, world):
        async def unclear() -> Any:
            raise InvalidArgument("consumer", "several")

        world.read = unclear  # type: ignore[method-assign]
        with pytest.raises(InvalidArgument):
            world.live(1)

    def test_begins_anew_where_the_store_holds_something_else(self, world, caplog):
        world.stored = json.dumps({"not": "a cursor"})
        assert world.live(3, [None, lambda: world.finish("a")]) == ["a"]
        assert "not readable" in caplog.text


def killed_at(step: int) -> tuple[World, list[list[str]]]:
    """Three lives; the first one killed at a step of its own, each with exports that finish."""
    world = World()
    world.live(2)
    names = iter(range(100))
    scenes = [lambda: world.finish(str(next(names)), str(next(names)), seconds=-next(names)) for _ in range(4)]
    world.steps, world.die_at = 0, step
    lives = [world.live(7, scenes)]
    world.died_or_ended_at, world.die_at = world.steps, 0
    world.finish("while away")
    for scene in scenes:
        if scene:
            scene()
    lives += [world.live(4), world.live(3)]
    return world, lives


STEPS = 60


@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_kill_at_any_step_loses_none_and_repeats_those_of_the_last_round_alone(step):
    world, lives = killed_at(step)
    finished = {export.id for export in world.listed}
    assert finished <= set(world.arrived)
    again = [name for name in world.arrived if world.arrived.count(name) > 1]
    assert len(set(again)) <= 4  # two exports a round, and the stored cursor is one round behind
    assert lives[2] == []


def test_the_kills_meet_every_step_that_there_is():
    world, lives = killed_at(0)
    assert world.died_or_ended_at < STEPS
    assert len(lives[0]) == 8


def test_what_settles_takes_less_than_a_round():
    assert DELIVERY_SECONDS < MIN_ROUND_INTERVAL * 0.9


class Api:
    """The client, as far as the list goes."""

    def __init__(self) -> None:
        self.problems: list[Exception] = []
        self.opened = self.closed = self.asked = 0

    async def open(self) -> Any:
        self.opened += 1
        return self

    def close(self) -> None:
        self.closed += 1

    def list_exports(self) -> Any:
        self.asked += 1
        if self.problems:
            raise self.problems.pop(0)
        yield Export("a", "finished", file_url=ADDRESS)
        yield Export("b", "queued")


def some_rounds(api: Api, how_many: int, interval: float = 60.0) -> tuple[list[Any], list[float]]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def collect() -> list[Any]:
        found = []
        stream = poll_finished_exports(api.open, interval, sleep=sleep, random=lambda: 0.5, log=logging.getLogger("t"))
        async for listed in stream:
            found.append(listed)
            if len(found) == how_many:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        return found

    return asyncio.run(collect()), slept


class TestRounds:
    def test_give_the_finished_ones_without_their_addresses(self):
        found, _ = some_rounds(Api(), 1)
        assert [[(export.id, export.file_url) for export in listed] for listed in found] == [[("a", None)]]

    def test_come_at_the_interval_less_some_jitter(self):
        _, slept = some_rounds(Api(), 3)
        assert slept == [57.0, 57.0]

    def test_come_no_oftener_than_the_shortest_interval(self):
        _, slept = some_rounds(Api(), 2, interval=0.1)
        assert slept == [MIN_ROUND_INTERVAL * 0.95]

    def test_go_on_after_any_failure_which_is_said_once(self, caplog):
        api = Api()
        api.problems = [ServerError("500."), ServerError("500."), ZeroDivisionError("x")]
        found, slept = some_rounds(api, 1)
        assert (len(found), len(slept)) == (1, 3)
        assert [record.getMessage().split(".")[0] for record in caplog.records if record.name == "t"] == [
            "500",
            "Polling the list of exports failed with ZeroDivisionError",
        ]

    def test_look_the_connection_up_again_where_the_key_is_refused(self):
        api = Api()
        api.problems = [AuthenticationFailed("401")]
        some_rounds(api, 1)
        assert (api.opened, api.closed) == (2, 2)

    def test_leave_no_client_open(self):
        api = Api()
        some_rounds(api, 2)
        assert (api.opened, api.closed) == (1, 1)
