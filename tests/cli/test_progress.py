# SPDX-License-Identifier: Apache-2.0
"""The progress of a download, in a terminal and elsewhere."""

from __future__ import annotations

import io

import pytest

from airflow_provider_connectif.cli.progress import show_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def a_terminal_that_moves_its_cursor(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "120")


def test_a_terminal_gets_a_bar_for_each_file():
    stream = Terminal()
    with show_progress(stream) as on_progress:
        on_progress("one.csv", 500, 1000)
        on_progress("one.csv", 1000, 1000)
        on_progress("[two].csv", 1, None)
    last = stream.getvalue().rpartition("one.csv")[2]
    assert "1.0/1.0 kB" in last
    assert "[two].csv" in last
    assert "\x1b[" in stream.getvalue()


def test_the_bar_of_a_compressed_file_is_full_at_its_end():
    stream = Terminal()
    with show_progress(stream) as on_progress:
        on_progress("one.csv.gz", 400, 1000)
        on_progress("two.csv.gz", 300, 1000)
    last = stream.getvalue().rpartition("one.csv.gz")[2]
    assert "400/400 bytes" in last
    assert "300/300 bytes" in last


@pytest.mark.parametrize("stream", [io.StringIO, Terminal], ids=["a file", "a dumb terminal"])
def test_other_streams_get_no_bar(stream, monkeypatch):
    if stream is Terminal:
        monkeypatch.setenv("TERM", "dumb")
    stream = stream()
    with show_progress(stream) as on_progress:
        on_progress("one.csv", 500, 1000)
        on_progress("one.csv", 1000, 1000)
    assert stream.getvalue() == ""
