# SPDX-License-Identifier: Apache-2.0
"""Blocks from a background thread, which ends whenever the iterator is closed."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_connectif.files import read_ahead
from airflow_provider_connectif.files.read_ahead import ReadAhead


def test_closing_waits_for_a_thread_that_is_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, errors = threading.Event(), []

    class SlowToStart(threading.Thread):
        def start(self) -> None:
            starting.set()
            threading.Event().wait(0.2)
            super().start()

    blocks = ReadAhead(lambda: b"block", depth=2)

    def read() -> None:
        with pytest.raises(ValueError, match="closed before its end"):
            list(blocks)

    def close() -> None:
        starting.wait(10)
        try:
            blocks.close()
        except BaseException as error:
            errors.append(error)

    both = [threading.Thread(target=read), threading.Thread(target=close)]
    with monkeypatch.context() as patched:
        patched.setattr(read_ahead.threading, "Thread", SlowToStart)
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(10)
    assert not errors
    assert not [thread for thread in threading.enumerate() if thread.name == "connectif-read-ahead"]


def test_closing_before_the_first_block_starts_no_thread() -> None:
    calls = []
    blocks = ReadAhead(lambda: calls.append(1) or b"block", depth=2)  # type: ignore[func-returns-value]
    blocks.close()
    with pytest.raises(ValueError, match="closed before its end"):
        next(blocks)
    assert not calls


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_blocks_are_in_order_and_no_more_than_depth_are_queued(depth: int) -> None:
    produced = 0
    ahead = []

    def produce() -> bytes:
        nonlocal produced
        produced += 1
        return b"%d" % produced if produced <= 200 else b""

    consumed = []
    for block in ReadAhead(produce, depth=depth):
        consumed.append(block)
        ahead.append(produced - len(consumed))
    assert consumed == [b"%d" % number for number in range(1, 201)]
    assert max(ahead) <= depth + 1  # one more is being produced


def test_nothing_is_produced_after_an_interrupt_while_the_thread_was_started(monkeypatch: pytest.MonkeyPatch) -> None:
    start = threading.Thread.start
    begun, ended = threading.Event(), threading.Event()

    def produce() -> bytes:
        begun.set()
        ended.wait(0.5)
        ended.set()
        return b""

    def start_and_interrupt(thread: threading.Thread) -> None:
        start(thread)
        begun.wait(10)
        raise KeyboardInterrupt

    blocks = ReadAhead(produce, depth=2)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", start_and_interrupt)
        with pytest.raises(KeyboardInterrupt):
            next(blocks)
    blocks.close()
    assert ended.is_set()  # the call that had begun when it was closed
    with pytest.raises(ValueError, match="closed before its end"):
        next(blocks)
