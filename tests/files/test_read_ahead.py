# SPDX-License-Identifier: Apache-2.0
"""Blocks made by a thread: closed at any moment, it is gone."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_connectif.files import read_ahead
from airflow_provider_connectif.files.read_ahead import ReadAhead


def test_closing_waits_for_a_thread_that_is_just_being_started(monkeypatch: pytest.MonkeyPatch) -> None:
    starting, problems = threading.Event(), []

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
        except BaseException as problem:
            problems.append(problem)

    both = [threading.Thread(target=read), threading.Thread(target=close)]
    with monkeypatch.context() as patched:
        patched.setattr(read_ahead.threading, "Thread", SlowToStart)
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(10)
    assert not problems
    assert not [thread for thread in threading.enumerate() if thread.name == "connectif-read-ahead"]


def test_what_is_closed_before_its_first_block_starts_no_thread() -> None:
    asked = []
    blocks = ReadAhead(lambda: asked.append(1) or b"block", depth=2)  # type: ignore[func-returns-value]
    blocks.close()
    with pytest.raises(ValueError, match="closed before its end"):
        next(blocks)
    assert not asked


@pytest.mark.parametrize("depth", [1, 2, 3, 6])
def test_every_block_comes_in_its_turn_and_no_more_wait_than_allowed(depth: int) -> None:
    made = 0
    ahead = []

    def make() -> bytes:
        nonlocal made
        made += 1
        return b"%d" % made if made <= 200 else b""

    taken = []
    for block in ReadAhead(make, depth=depth):
        taken.append(block)
        ahead.append(made - len(taken))
    assert taken == [b"%d" % number for number in range(1, 201)]
    assert max(ahead) <= depth + 1  # one more is being made
