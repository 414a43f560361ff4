# SPDX-License-Identifier: Apache-2.0
"""Progress: a line now and then, with what people want to know."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.tasks.progress import Progress, size


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
def progress(lines, clock) -> Progress:
    return Progress(lines.append, every=10.0, clock=clock)


def test_says_nothing_at_every_block(progress, lines, clock):
    for done in range(1000):
        progress("a.csv", done, None)
        clock.now += 0.009
    assert lines == []


def test_says_how_far_how_fast_and_how_long_still(progress, lines, clock):
    progress("a.csv", 0, 4_000_000)
    clock.now += 10
    progress("a.csv", 1_000_000, 4_000_000)
    assert lines == ["a.csv: 1.0 MB of 4.0 MB (25%), 100.0 kB/s, about 30 s to go."]


def test_does_without_a_total(progress, lines, clock):
    progress("a.csv", 0, None)
    clock.now += 20
    progress("a.csv", 2000, None)
    assert lines == ["a.csv: 2.0 kB, 100 bytes/s."]


def test_makes_no_share_of_a_total_that_is_exceeded(progress, lines, clock):
    progress("a.csv", 0, 10)
    clock.now += 10
    progress("a.csv", 2000, 10)
    assert lines == ["a.csv: 2.0 kB, 200 bytes/s."]


def test_counts_each_object_by_itself(progress, lines, clock):
    progress("a.csv", 0, None)
    clock.now += 9
    progress("b.csv", 0, None)
    clock.now += 9
    progress("b.csv", 10, None)
    assert lines == []
    clock.now += 1
    progress("b.csv", 20, None)
    assert lines == ["b.csv: 20 bytes, 2 bytes/s."]


def test_bears_a_clock_that_stands_still(lines, clock):
    progress = Progress(lines.append, every=0.0, clock=clock)
    progress("a.csv", 10, 10)
    progress("a.csv", 10, 10)
    assert all(line.startswith("a.csv: 10 bytes") for line in lines)


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (1_400_000_000, "1.4 GB"), (5 * 10**12, "5.0 TB")],
)
def test_sizes_are_for_people(count, words):
    assert size(count) == words
