# SPDX-License-Identifier: Apache-2.0
"""Calls in an event loop, and what an interrupt of the caller does to them."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from airflow_provider_connectif.files.stores.event_loop import run_in_loop


class Interrupt(BaseException):
    """What Airflow raises for ``execution_timeout``."""


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own, as fsspec has one."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield loop
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


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
