# SPDX-License-Identifier: Apache-2.0
"""Progress in the log: a line every few seconds, with the size, the speed and the time left."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.tasks.progress import ProgressLog, format_size


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def progress(lines, clock) -> ProgressLog:
    return ProgressLog(lines.append, interval=10.0, clock=clock)


def test_blocks_within_the_interval_log_nothing(progress, lines, clock):
    for done in range(1000):
        progress("a.csv", done, None)
        clock.now += 0.009
    assert lines == []


def test_a_line_has_the_progress_the_speed_and_the_time_left(progress, lines, clock):
    progress("a.csv", 0, 4_000_000)
    clock.now += 10
    progress("a.csv", 1_000_000, 4_000_000)
    assert lines == ["a.csv: 1.0 MB of 4.0 MB (25%), 100.0 kB/s, about 30 s left."]


def test_the_total_may_be_unknown(progress, lines, clock):
    progress("a.csv", 0, None)
    clock.now += 20
    progress("a.csv", 2000, None)
    assert lines == ["a.csv: 2.0 kB, 100 bytes/s."]


def test_no_percentage_is_shown_if_the_total_is_exceeded(progress, lines, clock):
    progress("a.csv", 0, 10)
    clock.now += 10
    progress("a.csv", 2000, 10)
    assert lines == ["a.csv: 2.0 kB, 200 bytes/s."]


def test_each_object_has_its_own_interval(progress, lines, clock):
    progress("a.csv", 0, None)
    clock.now += 9
    progress("b.csv", 0, None)
    clock.now += 9
    progress("b.csv", 10, None)
    assert lines == []
    clock.now += 1
    progress("b.csv", 20, None)
    assert lines == ["b.csv: 20 bytes, 2 bytes/s."]


def test_a_clock_that_does_not_advance_is_not_an_error(lines, clock):
    progress = ProgressLog(lines.append, interval=0.0, clock=clock)
    progress("a.csv", 10, 10)
    progress("a.csv", 10, 10)
    assert all(line.startswith("a.csv: 10 bytes") for line in lines)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_400_000_000, "1.4 GB"), (5 * 10**12, "5.0 TB")],
)
def test_sizes_are_formatted_with_units(count, text):
    assert format_size(count) == text
