# SPDX-License-Identifier: Apache-2.0
"""Calls in a background thread, and the limit on what is queued."""

from __future__ import annotations

import threading
from concurrent.futures import Future

import pytest

from airflow_provider_connectif.files.background import BackgroundCalls, FutureQueue
from tests.files.remote_files import package_threads


def done(result: object) -> Future[object]:
    future: Future[object] = Future()
    future.set_result(result)
    return future


def test_results_arrive_in_the_order_in_which_futures_were_added() -> None:
    results: list[object] = []
    queue = FutureQueue(10, results.append)
    for number in range(3):
        queue.add(done(number), 1)
    queue.drain()
    assert results == [0, 1, 2]


def test_a_full_queue_waits_for_its_first_future() -> None:
    results: list[object] = []
    queue = FutureQueue(10, results.append)
    first: Future[object] = Future()
    queue.add(first, 10)
    timer = threading.Timer(0.05, first.set_result, ["first"])
    timer.start()
    queue.make_room(1)
    assert results == ["first"]
    timer.join()


def test_an_empty_queue_has_room_for_more_than_its_limit() -> None:
    FutureQueue(10).make_room(11)


def test_a_failure_is_raised_even_behind_a_running_future() -> None:
    queue: FutureQueue[object] = FutureQueue(10)
    queue.add(Future(), 1)
    failed: Future[object] = Future()
    failed.set_exception(OSError("refused"))
    queue.add(failed, 1)
    with pytest.raises(OSError, match="refused"):
        queue.raise_failure()


def test_calls_are_made_one_after_the_other_and_finish_waits_for_them() -> None:
    calls = BackgroundCalls()
    made: list[int] = []
    for number in range(20):
        calls.submit(made.append, number)
    calls.finish()
    assert made == list(range(20))
    assert not package_threads()


def test_an_exception_of_a_call_is_raised_in_the_caller() -> None:
    calls = BackgroundCalls()

    def fail() -> None:
        raise ZeroDivisionError

    calls.submit(fail)
    with pytest.raises(ZeroDivisionError):
        calls.finish()
    calls.close()
    calls.close()
    assert not package_threads()


def test_no_call_goes_on_after_an_interrupt_while_the_thread_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    begun, ended = threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        ended.wait(60)

    def start_and_interrupt(thread: threading.Thread) -> None:
        start(thread)
        begun.wait(0.2)  # so that the test fails if the call begins
        raise KeyboardInterrupt

    calls = BackgroundCalls()
    monkeypatch.setattr(threading.Thread, "start", start_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        calls.submit(call)
    calls.close()
    ended.set()
    assert not begun.is_set()
