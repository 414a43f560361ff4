# SPDX-License-Identifier: Apache-2.0
"""The stream of exports that end: a kill at any step loses none, and repeats only those of the last round."""

from __future__ import annotations

import asyncio
import json
import logging
import tracemalloc
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import InvalidArgument, ServerError
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.cursor import MAX_IDS, Cursor
from airflow_provider_connectif.api.polling.event_stream import (
    DELIVERY_SECONDS,
    MIN_ROUND_INTERVAL,
    EndedExportStream,
    NewExportsReader,
)

BEGIN = datetime(2026, 11, 1, tzinfo=timezone.utc)
SIGNED_URL = "https://files.example/secret"


class Killed(BaseException):
    """The process is killed: nothing after this runs."""


class Ended(Exception):
    """The process ends."""


def finished(name: str, seconds: float) -> Export:
    return Export(name, "finished", finished_at=BEGIN + timedelta(seconds=seconds))


def failed(name: str, seconds: float) -> Export:
    return Export(name, "error", created_at=BEGIN, finished_at=BEGIN + timedelta(seconds=seconds))


def failed_without_a_time(name: str, seconds: float) -> Export:
    return Export(name, "cancelled", created_at=BEGIN + timedelta(seconds=seconds))


DONE = ExportFilter(status="finished")
FAILED = ExportFilter(failed=True)


class Scenario:
    """A list of exports, a state store, and the delivered exports: what outruns a process.

    :param make: makes an export of the kind that is watched, from its name and the second at which it ended
    :param export_filter: selects this kind
    """

    def __init__(self, make: Callable[[str, float], Export] = finished, export_filter: ExportFilter = DONE) -> None:
        self.make = make
        self.filter = export_filter
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
        self.listed += [self.make(name, seconds) for name in names]
        other = failed if self.make is finished else finished
        self.listed += [other(f"not {name}", seconds) for name in names]

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

    def reads(self, how_many: int, actions: list[Any] | None = None) -> Callable[[NewExportsReader], Awaitable[None]]:
        """Return a function that reads the list so many times, and then ends the process."""
        numbers = iter(range(how_many))

        async def read(reader: NewExportsReader) -> None:
            number = next(numbers, None)
            if number != 0:
                await self.sleep(MIN_ROUND_INTERVAL)
            if number is None:
                raise Ended
            if actions and number < len(actions) and actions[number]:
                actions[number]()
                actions[number] = None
            for first in range(0, len(self.listed), 2):
                reader.take(self.listed[first : first + 2])
            reader.end(complete=True)

        return read

    def run_process(self, how_many: int, actions: list[Any] | None = None, store: bool = True) -> list[str]:
        """Run a process for some rounds, or until it is killed, and return what it yielded."""
        yielded: list[str] = []

        async def follow() -> None:
            stream = EndedExportStream(
                self.filter,
                self if store else None,
                clock=lambda: self.now,
                sleep=self.sleep,
                log=logging.getLogger("t"),
            )
            async for export in stream.new_exports(self.reads(how_many, actions)):
                self.step()
                yielded.append(export.id)
                self.in_delivery.append((self.now, export.id))

        try:
            asyncio.run(follow())
        except Ended:
            pass
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


KINDS = {"finished": (finished, DONE), "failed": (failed, FAILED), "undated": (failed_without_a_time, FAILED)}


def killed_at(step: int, kind: str) -> tuple[Scenario, list[list[str]]]:
    """Run three processes, of which the first is killed at a step; exports end in between."""
    scenario = Scenario(*KINDS[kind])
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


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("step", range(1, STEPS))
def test_a_kill_at_any_step_loses_none_and_repeats_only_those_of_the_last_round(step, kind):
    scenario, runs = killed_at(step, kind)
    assert {export.id for export in scenario.listed if scenario.filter.matches(export)} == set(scenario.delivered)
    repeated = [name for name in scenario.delivered if scenario.delivered.count(name) > 1]
    assert len(set(repeated)) <= 4  # two exports a round, and the stored cursor is one round behind
    assert runs[2] == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_kills_cover_every_step(kind):
    scenario, runs = killed_at(0, kind)
    assert scenario.steps_of_first_run < STEPS
    assert len(runs[0]) == 8


def test_delivery_takes_less_time_than_a_round():
    assert DELIVERY_SECONDS < MIN_ROUND_INTERVAL * 0.9


def read(cursor: Cursor | None, *pages: list[Export], complete: bool = True) -> NewExportsReader:
    reader = NewExportsReader(DONE, cursor)
    for page in pages:
        reader.take(page)
    reader.end(complete=complete)
    return reader


def done(name: str, seconds: float | None = 0.0) -> Export:
    finished_at = None if seconds is None else BEGIN + timedelta(seconds=seconds)
    return Export(name, "finished", finished_at=finished_at, file_url=SIGNED_URL)


class TestReader:
    def test_finds_new_exports_in_the_order_of_their_finishing_times_without_signed_urls(self):
        reader = read(Cursor.start([done("old")]), [done("c", 9), Export("x", "queued"), done("old")], [done("b", 5)])
        assert [(export.id, export.file_url) for export in reader.new_exports] == [("b", None), ("c", None)]
        assert read(reader.cursor, [done("c", 9), done("b", 5), done("old")]).new_exports == []

    def test_starts_a_cursor_that_has_seen_everything_however_long_the_list_is(self):
        listed = [done(str(number), number % 1700) for number in range(5000)]
        reader = read(None, *(listed[first : first + 50] for first in range(0, 5000, 50)))
        assert (reader.new_exports, reader.count) == ([], 5000)
        assert reader.cursor.new_exports(listed) == []
        assert len(reader.cursor.seen) <= MAX_IDS

    def test_starts_no_cursor_from_a_part_of_the_list(self):
        """What is on the other pages would be new in the next round."""
        assert read(None, [done("a")], complete=False).cursor is None

    def test_finds_new_exports_in_a_part_of_the_list_once(self):
        reader = read(Cursor.start([]), [done("a")], complete=False)
        assert [export.id for export in reader.new_exports] == ["a"]
        assert [export.id for export in read(reader.cursor, [done("a")], [done("b", -5)]).new_exports] == ["b"]

    def test_keeps_exports_without_a_finishing_time_that_are_on_the_other_pages(self):
        cursor = read(Cursor.start([done("undated", None)]), [done("a")], complete=False).cursor
        assert read(cursor, [done("a")], [done("undated", None)]).new_exports == []

    def test_forgets_exports_without_a_finishing_time_that_are_no_longer_listed(self):
        assert set(read(Cursor.start([done("undated", None)]), [done("a")]).cursor.seen) == {"a"}

    def test_keeps_only_new_exports(self):
        listed = [done(str(number), number) for number in range(5000)]
        cursor = Cursor.start(listed)
        tracemalloc.start()
        try:
            for first in range(0, 5000, 50):
                read(cursor, listed[first : first + 50])
            reader = read(cursor, *(listed[first : first + 50] for first in range(0, 5000, 50)))
            kept, _ = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert reader.count == 5000
        assert kept < 500_000  # the cursor's 800 ids


class TestErrors:
    def follow(self, errors: list[Exception | None], caplog: pytest.LogCaptureFixture) -> list[str]:
        remaining = iter(errors)
        yielded = []

        async def read(reader: NewExportsReader) -> None:
            error = next(remaining, Ended())
            if isinstance(error, Ended):
                raise error
            reader.error = error
            if error is None:
                reader.take([done("a")])
                reader.end(complete=True)

        async def run() -> None:
            stream = EndedExportStream(DONE, None, log=logging.getLogger("t"), clock=lambda: 0.0)
            async for export in stream.new_exports(read):
                yielded.append(export.id)

        with pytest.raises(Ended):
            asyncio.run(run())
        return [record.getMessage() for record in caplog.records if record.name == "t"]

    def test_of_a_round_are_logged_once_while_they_stay_the_same(self, caplog):
        errors = [ServerError("500."), ServerError("500."), ServerError("502."), None, ServerError("502.")]
        messages = [message for message in self.follow(errors, caplog) if "Still watching" in message]
        assert messages == [f"{text} Still watching for exports that finish." for text in ("500.", "502.", "502.")]

    def test_of_the_first_rounds_do_not_start_the_cursor(self, caplog):
        with caplog.at_level(logging.INFO):
            messages = self.follow([ServerError("500."), None], caplog)
        assert messages[-1] == "Watching for exports that finish from now on; 1 have finished before."

    def test_say_which_exports_are_watched(self, caplog):
        async def read(reader: NewExportsReader) -> None:
            if reader.cursor is not None:
                raise Ended
            reader.take([failed("a", 0), finished("b", 0)])
            reader.end(complete=True)

        async def run() -> None:
            async for _ in EndedExportStream(FAILED, None, log=logging.getLogger("t")).new_exports(read):
                raise AssertionError

        with caplog.at_level(logging.INFO), pytest.raises(Ended):
            asyncio.run(run())
        assert caplog.messages == ["Watching for exports that fail from now on; 1 have failed before."]
