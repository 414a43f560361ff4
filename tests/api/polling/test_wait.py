# SPDX-License-Identifier: Apache-2.0
"""How a wait handles the results and errors of polls, and its loop."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import (
    AuthenticationFailed,
    ExportFailed,
    NotFound,
    ServerError,
    UnexpectedResponse,
    WaitTimeout,
)
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poll import PollResult
from airflow_provider_connectif.api.polling.wait import MIN_INTERVAL, ExportWait
from tests.simulated_clock import SimulatedClock


def result_of(*exports: Export | tuple[str, NotFound], **newest: Any) -> PollResult:
    found = {each.id: each if isinstance(each, Export) else None for each in exports if isinstance(each, Export)}
    return PollResult(found, newest)


class TestIds:
    def test_end_the_wait_when_all_are_finished(self):
        export_wait = ExportWait(["a", "b", "a"])
        assert not export_wait.handle_result(result_of(Export("a", "finished"), Export("b", "inProgress")))
        assert export_wait.pending == ["b"]
        assert export_wait.handle_result(result_of(Export("b", "finished")))
        assert export_wait.result == ["a", "b"]

    def test_that_were_seen_finished_are_not_polled_again(self):
        export_wait = ExportWait(["a", "b"])
        export_wait.handle_result(result_of(Export("a", "finished")))
        assert export_wait.handle_result(result_of(Export("b", "finished")))

    def test_have_no_result_before_the_end(self):
        with pytest.raises(RuntimeError):
            _ = ExportWait(["a"]).result

    @pytest.mark.parametrize("status", ["error", "Failed", "cancelled", "canceled"])
    def test_that_failed_end_the_wait_with_an_error(self, status):
        with pytest.raises(ExportFailed, match=status):
            ExportWait(["a", "b"]).handle_result(result_of(Export("b", status)))

    def test_that_do_not_exist_end_the_wait_with_an_error(self):
        with pytest.raises(NotFound):
            ExportWait(["a"]).handle_result(PollResult({"a": NotFound("no a")}, {}))


class TestFilter:
    FILTER = ExportFilter(export_type="contacts")

    def test_waits_for_a_matching_export(self):
        export_wait = ExportWait(export_filter=self.FILTER)
        assert not export_wait.handle_result(PollResult({}, {self.FILTER: None}))
        assert not export_wait.handle_result(PollResult({}, {self.FILTER: Export("a", "queued")}))
        assert export_wait.handle_result(PollResult({}, {self.FILTER: Export("b", "finished")}))
        assert export_wait.result == ["b"]

    def test_has_no_pending_ids(self):
        assert ExportWait(export_filter=self.FILTER).pending == []
        assert ExportWait(export_filter=self.FILTER).filters == [self.FILTER]


class TestFailedPoll:
    @pytest.mark.parametrize("error", [ServerError("500"), UnexpectedResponse("HTML")])
    def test_is_logged_if_the_wait_was_resumed(self, error, caplog):
        export_wait = ExportWait(["a"], resumed=True)
        with caplog.at_level(logging.WARNING):
            export_wait.handle_error(error)
        assert "Still waiting." in caplog.text

    def test_with_a_temporary_error_is_logged_at_the_first_poll(self):
        ExportWait(["a"]).handle_error(ServerError("500"))

    def test_with_a_final_error_raises_it_at_the_first_poll_only(self):
        export_wait = ExportWait(["a"])
        with pytest.raises(UnexpectedResponse):
            export_wait.handle_error(UnexpectedResponse("HTML"))
        export_wait.handle_result(result_of(Export("a", "queued")))
        export_wait.handle_error(UnexpectedResponse("HTML"))

    def test_that_was_refused_always_raises(self):
        with pytest.raises(AuthenticationFailed):
            ExportWait(["a"], resumed=True).handle_error(AuthenticationFailed("401"))


class TestMessages:
    def test_report_progress_when_it_changes(self, caplog):
        export_wait = ExportWait(["a"])
        with caplog.at_level(logging.INFO):
            for progress in (1, 1, 2):
                export_wait.handle_result(result_of(Export("a", "inProgress", progress=progress, total=4)))
        assert [record.getMessage() for record in caplog.records] == [
            "Export a: inProgress, 1 of 4 (25%).",
            "Export a: inProgress, 2 of 4 (50%).",
        ]

    def test_report_an_unknown_status_once(self, caplog):
        export_wait = ExportWait(["a"])
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                assert not export_wait.handle_result(result_of(Export("a", "archiving")))
        assert caplog.text.count("unknown status, 'archiving'; it is treated as not finished") == 1

    def test_describe_at_most_ten_exports(self):
        export_wait = ExportWait([f"e{number}" for number in range(12)])
        export_wait.handle_result(result_of(Export("e0", "queued")))
        text = export_wait.describe()
        assert text.startswith("e0 (Export e0: queued.), e1 (not seen)")
        assert text.endswith("e9 (not seen), 2 more")

    def test_describe_a_filter(self):
        export_wait = ExportWait(export_filter=TestFilter.FILTER)
        export_wait.handle_result(PollResult({}, {TestFilter.FILTER: None}))
        assert export_wait.describe().startswith("an export with export_type=contacts (No export with")


class FakeClient:
    """An API client whose export changes with each request."""

    def __init__(self, *statuses: str) -> None:
        self.statuses = itertools.chain(statuses, itertools.repeat("queued"))
        self.requests = 0

    def get_export(self, export_id: str) -> Export:
        self.requests += 1
        return Export(export_id, next(self.statuses))


class TestLoop:
    def test_polls_at_the_intervals_until_the_exports_are_finished(self):
        clock, slept = SimulatedClock(), []
        client: Any = FakeClient("queued", "queued", "finished")
        export_wait = ExportWait(["a"], clock=clock.time)
        assert export_wait.run(client, [5.0, 7.0], sleep=slept.append) == ["a"]
        assert slept == [5.0, 7.0]

    def test_respects_the_minimum_interval(self):
        slept: list[float] = []
        client: Any = FakeClient("queued", "finished")
        ExportWait(["a"]).run(client, itertools.repeat(0.0), sleep=slept.append)
        assert slept == [MIN_INTERVAL]

    def test_polls_a_last_time_at_the_deadline(self):
        clock, client = SimulatedClock(), FakeClient()
        export_wait = ExportWait(["a"], timeout=150, deadline=clock.time() + 150, clock=clock.time)
        with pytest.raises(WaitTimeout, match=r"Timed out after 150 s while waiting for a \(Export a: queued\.\)\."):
            export_wait.run(client, itertools.repeat(60.0), sleep=clock.sleep)  # type: ignore[arg-type]
        assert clock.monotonic() == 150
        assert client.requests == 4

    def test_returns_exports_that_finished_just_before_the_deadline(self):
        clock = SimulatedClock()
        client: Any = FakeClient("queued", "finished")
        export_wait = ExportWait(["a"], deadline=clock.time() + 30, clock=clock.time)
        assert export_wait.run(client, itertools.repeat(60.0), sleep=clock.sleep) == ["a"]
