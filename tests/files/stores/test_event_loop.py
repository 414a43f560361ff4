# SPDX-License-Identifier: Apache-2.0
"""Calls in an event loop, and what an interrupt of the caller does to them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider_connectif.files.stores.event_loop import run_in_loop


class Interrupt(BaseException):
    """What Airflow raises for ``execution_timeout``."""


@pytest.fixture
def interrupt() -> Iterator[None]:
    """Let ``SIGALRM`` raise an :class:`Interrupt` in the main thread."""

    def raise_interrupt(*_: object) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, raise_interrupt)
    yield
    signal.signal(signal.SIGALRM, before)


def test_the_result_is_returned(loop: asyncio.AbstractEventLoop) -> None:
    async def double(number: int, *, times: int) -> int:
        return number * times

    assert run_in_loop(loop, double, 2, times=3) == 6


def test_an_exception_is_raised_in_the_caller(loop: asyncio.AbstractEventLoop) -> None:
    async def fail() -> None:
        raise FileNotFoundError("a.csv")

    with pytest.raises(FileNotFoundError, match=r"a\.csv"):
        run_in_loop(loop, fail)


@pytest.mark.usefixtures("interrupt")
def test_an_interrupted_call_has_ended_when_the_interrupt_is_raised(loop: asyncio.AbstractEventLoop) -> None:
    done: list[str] = []

    async def work() -> None:
        os.kill(os.getpid(), signal.SIGALRM)
        await asyncio.sleep(0.2)
        done.append("work")

    with pytest.raises(Interrupt):
        run_in_loop(loop, work)
    assert done == ["work"]


@pytest.mark.usefixtures("interrupt")
def test_an_interrupted_call_that_does_not_end_is_cancelled(loop: asyncio.AbstractEventLoop) -> None:
    done: list[str] = []

    async def hang() -> None:
        os.kill(os.getpid(), signal.SIGALRM)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            done.append("cancelled")
            raise

    with pytest.raises(Interrupt):
        run_in_loop(loop, hang, grace=0.05)
    assert done == ["cancelled"]


class InterruptedLoop:
    """An event loop whose caller is interrupted while it schedules the first callback."""

    def __init__(self, loop: asyncio.AbstractEventLoop, scheduled_before: bool) -> None:
        self.loop = loop
        self.scheduled_before = scheduled_before
        self.interrupted = False
        self.started = threading.Event()

    def create_task(self, coroutine: Any) -> Any:
        return self.loop.create_task(coroutine)

    def call_soon_threadsafe(self, callback: Callable[[], object]) -> None:
        if self.interrupted or self.scheduled_before:
            self.loop.call_soon_threadsafe(callback)
        if not self.interrupted:
            self.interrupted = True
            assert self.started.wait(30 if self.scheduled_before else 0) == self.scheduled_before
            raise Interrupt


@pytest.mark.parametrize("scheduled", [True, False])
def test_a_call_that_is_interrupted_while_it_is_scheduled_has_ended_or_never_starts(
    loop: asyncio.AbstractEventLoop, scheduled: bool
) -> None:
    interrupted = InterruptedLoop(loop, scheduled)
    done: list[str] = []

    async def work() -> None:
        interrupted.started.set()
        await asyncio.sleep(0.2)
        done.append("work")

    began = time.monotonic()
    with pytest.raises(Interrupt):
        run_in_loop(interrupted, work, grace=30)  # type: ignore[arg-type]
    assert done == (["work"] if scheduled else [])
    assert time.monotonic() - began < 30
