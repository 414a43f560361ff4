# SPDX-License-Identifier: Apache-2.0
"""How a wait handles the results and errors of polls, and its loop."""

from __future__ import annotations

import itertools
import logging
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import (
    AuthenticationFailed,
    ConnectifError,
    ConnectionUnusable,
    ExportFailed,
    NotFound,
    PermissionDenied,
    ServerError,
    UnexpectedResponse,
    WaitTimeout,
)
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poll import IdReader, NewestReader
from airflow_provider_connectif.api.polling.wait import MAX_SETUP_FAILURES, MIN_INTERVAL, ExportWait
from tests.simulated_clock import SimulatedClock


def found(*exports: Export, error: ConnectifError | None = None, **errors: ConnectifError) -> IdReader:
    """Return a reader that has found exports, and errors by id."""
    reader = IdReader([*(export.id for export in exports), *errors])
    reader.found = {**{export.id: export for export in exports}, **errors}
    reader.error = error
    return reader


def newest(export: Export | None) -> NewestReader:
    """Return a reader of a complete list."""
    reader = NewestReader(ExportFilter())
    reader.take([export] if export else [])
    reader.end(complete=True)
    return reader


def failed(error: ConnectifError) -> IdReader:
    """Return a reader of a poll that failed."""
    return found(error=error)


class TestIds:
    def test_end_the_wait_when_all_are_finished(self):
        export_wait = ExportWait(["a", "b", "a"])
        assert not export_wait.handle_exports(found(Export("a", "finished"), Export("b", "inProgress")))
        assert export_wait.pending == ["b"]
        assert export_wait.handle_exports(found(Export("b", "finished")))
        assert export_wait.result == ["a", "b"]

    def test_that_were_seen_finished_are_not_polled_again(self):
        export_wait = ExportWait(["a", "b"])
        export_wait.handle_exports(found(Export("a", "finished")))
        assert export_wait.handle_exports(found(Export("b", "finished")))

    def test_have_no_result_before_the_end(self):
        with pytest.raises(RuntimeError):
            _ = ExportWait(["a"]).result

    @pytest.mark.parametrize("status", ["error", "Failed", "cancelled", "canceled"])
    def test_that_failed_end_the_wait_with_an_error(self, status):
        with pytest.raises(ExportFailed, match=status):
            ExportWait(["a", "b"]).handle_exports(found(Export("b", status)))

    def test_are_seen_finished_although_the_poll_was_not_complete(self):
        export_wait = ExportWait(["a", "b"])
        assert not export_wait.handle_exports(found(Export("a", "finished"), error=ServerError("500")))
        assert export_wait.pending == ["b"]


class TestExportThatDoesNotExist:
    """A replica of the API may lag behind: one 404 is not a deletion."""

    def poll(self, how_often: int, *, every: float, **arguments: Any) -> ExportWait:
        clock = SimulatedClock()
        export_wait = ExportWait(["a"], monotonic=clock.monotonic, **arguments)
        for _ in range(how_often):
            clock.sleep(every)
            assert not export_wait.handle_exports(found(a=NotFound("no a")))
        return export_wait

    def test_ends_the_wait_if_the_api_repeats_it_for_three_minutes(self):
        export_wait = self.poll(3, every=60)
        assert export_wait.refused
        with pytest.raises(NotFound):
            self.poll(4, every=60)

    def test_does_not_end_the_wait_by_many_polls_in_a_short_time(self):
        self.poll(100, every=1)

    def test_ends_the_wait_sooner_if_it_was_seen_before(self):
        clock = SimulatedClock()
        export_wait = ExportWait(["a"], monotonic=clock.monotonic)
        export_wait.handle_exports(found(Export("a", "queued")))
        export_wait.handle_exports(found(a=NotFound("no a")))
        clock.sleep(60)
        with pytest.raises(NotFound):
            export_wait.handle_exports(found(a=NotFound("no a")))

    def test_counts_from_the_last_time_it_was_seen(self):
        clock = SimulatedClock()
        export_wait = ExportWait(["a"], monotonic=clock.monotonic)
        for _ in range(10):
            clock.sleep(50)
            export_wait.handle_exports(found(a=NotFound("no a")))
            assert export_wait.refused
            export_wait.handle_exports(found(Export("a", "queued")))
            assert not export_wait.refused

    def test_is_the_same_for_the_list(self):
        clock = SimulatedClock()
        export_wait = ExportWait(export_filter=TestFilter.FILTER, monotonic=clock.monotonic)
        reader = export_wait.new_newest_reader()
        reader.error = NotFound("no list")
        assert not export_wait.handle_newest(reader)
        clock.sleep(180)
        with pytest.raises(NotFound):
            export_wait.handle_newest(reader)


class TestFilter:
    FILTER = ExportFilter(export_type="contacts")

    def test_waits_for_a_matching_export(self):
        export_wait = ExportWait(export_filter=self.FILTER)
        assert not export_wait.handle_newest(newest(None))
        assert not export_wait.handle_newest(newest(Export("a", "queued")))
        assert export_wait.handle_newest(newest(Export("b", "finished")))
        assert export_wait.result == ["b"]

    def test_has_no_pending_ids(self):
        assert ExportWait(export_filter=self.FILTER).pending == []

    def test_asks_for_the_newest_export_of_the_last_complete_list(self):
        export_wait = ExportWait(export_filter=ExportFilter())
        export_wait.handle_newest(newest(Export("a", "queued")))
        assert export_wait.new_newest_reader().missing_id() == "a"

    def test_is_not_satisfied_by_a_list_that_was_not_complete(self):
        export_wait = ExportWait(export_filter=ExportFilter())
        reader = NewestReader(ExportFilter())
        reader.take([Export("a", "finished")])
        reader.error = ServerError("500")
        reader.end(complete=False)
        assert not export_wait.handle_newest(reader)


class TestFailedPoll:
    @pytest.mark.parametrize("error", [ServerError("500"), UnexpectedResponse("HTML")])
    def test_is_logged_if_the_wait_was_resumed(self, error, caplog):
        export_wait = ExportWait(["a"], resumed=True)
        with caplog.at_level(logging.WARNING):
            export_wait.handle_exports(failed(error))
        assert "Still waiting." in caplog.text

    def test_with_a_temporary_error_is_logged_at_the_first_poll(self):
        ExportWait(["a"]).handle_exports(failed(ServerError("500")))

    def test_with_a_final_error_raises_it_at_the_first_poll_only(self):
        export_wait = ExportWait(["a"])
        with pytest.raises(UnexpectedResponse):
            export_wait.handle_exports(failed(UnexpectedResponse("HTML")))
        export_wait.handle_exports(found(Export("a", "queued")))
        export_wait.handle_exports(failed(UnexpectedResponse("HTML")))

    @pytest.mark.parametrize(
        "error", [AuthenticationFailed("401"), ConnectionUnusable("no connection 'c'")], ids=lambda e: type(e).__name__
    )
    def test_because_of_the_connection_raises_after_ten_in_a_row(self, error):
        export_wait = ExportWait(["a"], resumed=True)
        for _ in range(MAX_SETUP_FAILURES - 1):
            export_wait.handle_exports(failed(error))
        with pytest.raises(type(error)):
            export_wait.handle_exports(failed(error))

    @pytest.mark.parametrize("other", [found(Export("a", "queued")), failed(ServerError("500"))])
    def test_because_of_the_connection_does_not_count_if_it_works_in_between(self, other):
        export_wait = ExportWait(["a"], resumed=True)
        for _ in range(3):
            for _ in range(MAX_SETUP_FAILURES - 1):
                export_wait.handle_exports(failed(ConnectionUnusable("no connection")))
            export_wait.handle_exports(other)

    def test_that_was_refused_raises_at_the_first_poll(self):
        with pytest.raises(PermissionDenied):
            ExportWait(["a"]).handle_exports(failed(PermissionDenied("403")))

    def test_that_was_refused_later_raises_if_the_api_repeats_it(self):
        clock = SimulatedClock()
        export_wait = ExportWait(["a"], resumed=True, monotonic=clock.monotonic)
        export_wait.handle_exports(found(a=PermissionDenied("403")))
        clock.sleep(180)
        with pytest.raises(PermissionDenied):
            export_wait.handle_exports(found(a=PermissionDenied("403")))

    def test_is_logged_once_while_the_error_stays_the_same(self, caplog):
        export_wait = ExportWait(["a", "b"], resumed=True)
        for error in (ServerError("500."), ServerError("500."), ServerError("502."), ServerError("502.")):
            export_wait.handle_exports(failed(error))
        export_wait.handle_exports(found(Export("a", "queued"), b=ServerError("of b.")))
        export_wait.handle_exports(failed(ServerError("502.")))
        messages = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert messages == [f"{text} Still waiting." for text in ("500.", "502.", "of b.", "502.")]


class TestMessages:
    def test_report_progress_when_it_changes(self, caplog):
        export_wait = ExportWait(["a"])
        with caplog.at_level(logging.INFO):
            for progress in (1, 1, 2):
                export_wait.handle_exports(found(Export("a", "inProgress", progress=progress, total=4)))
        assert [record.getMessage() for record in caplog.records] == [
            "Export a: inProgress, 1 of 4 (25%).",
            "Export a: inProgress, 2 of 4 (50%).",
        ]

    def test_report_an_unknown_status_once(self, caplog):
        export_wait = ExportWait(["a"])
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                assert not export_wait.handle_exports(found(Export("a", "archiving")))
        assert caplog.text.count("unknown status, 'archiving'; it is treated as not finished") == 1

    def test_describe_at_most_ten_exports(self):
        export_wait = ExportWait([f"e{number}" for number in range(12)])
        export_wait.handle_exports(found(Export("e0", "queued")))
        text = export_wait.describe()
        assert text.startswith("e0 (Export e0: queued.), e1 (not seen)")
        assert text.endswith("e9 (not seen), 2 more")

    def test_describe_a_filter(self):
        export_wait = ExportWait(export_filter=TestFilter.FILTER)
        export_wait.handle_newest(newest(None))
        assert export_wait.describe().startswith("an export with export_type=contacts (No export with")


class TestStall:
    TEXT = "The progress of export a has not changed for"

    def see(self, export_wait: ExportWait, clock: SimulatedClock, minutes: int, progress: int | None, **fields: Any):
        """Poll once a minute."""
        for _ in range(minutes):
            export = Export("a", **{"status": "inProgress", "progress": progress, "total": 400, **fields})
            if export_wait.export_filter is None:
                export_wait.handle_exports(found(export))
            else:
                export_wait.handle_newest(newest(export))
            clock.sleep(60)

    @pytest.fixture(params=[{"export_ids": ["a"]}, {"export_filter": ExportFilter()}], ids=["id", "filter"])
    def waiting(self, request) -> tuple[ExportWait, SimulatedClock]:
        clock = SimulatedClock()
        return ExportWait(**request.param, monotonic=clock.monotonic), clock

    def test_is_logged_once(self, waiting, caplog):
        self.see(*waiting, minutes=30, progress=120)
        assert self.TEXT not in caplog.text
        self.see(*waiting, minutes=200, progress=120)
        [message] = [text for text in caplog.messages if self.TEXT in text]
        assert message == (
            f"{self.TEXT} 30 minutes: inProgress, 120 of 400 (30%). It may be stalled at Connectif. Still waiting."
        )

    def test_is_logged_again_after_progress(self, waiting, caplog):
        for progress in (120, 121):
            self.see(*waiting, minutes=100, progress=progress)
        self.see(*waiting, minutes=100, progress=121, status="archiving")
        assert caplog.text.count(self.TEXT) == 3

    def test_is_not_logged_while_there_is_progress(self, waiting, caplog):
        for progress in range(20):
            self.see(*waiting, minutes=25, progress=progress)
        assert self.TEXT not in caplog.text

    def test_is_not_logged_without_any_progress_to_see(self, waiting, caplog):
        self.see(*waiting, minutes=500, progress=None)
        self.see(*waiting, minutes=500, progress=None, status="queued")
        assert self.TEXT not in caplog.text

    def test_includes_the_time_in_which_polls_failed(self, waiting, caplog):
        _, clock = waiting
        self.see(*waiting, minutes=1, progress=3)
        clock.sleep(3000)
        self.see(*waiting, minutes=1, progress=3)
        assert f"{self.TEXT} 51 minutes" in caplog.text

    def test_of_one_export_does_not_hide_that_of_another(self, caplog):
        clock = SimulatedClock()
        export_wait = ExportWait(["a", "b"], monotonic=clock.monotonic)
        for minute in range(100):
            other = Export("b", "inProgress", progress=min(minute, 50))
            export_wait.handle_exports(found(Export("a", "inProgress", progress=1), other))
            clock.sleep(60)
        assert [message.split()[4] for message in caplog.messages if "has not changed" in message] == ["a", "b"]


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
        export_wait = ExportWait(["a"], clock=clock.time, monotonic=clock.monotonic)
        assert export_wait.run(client, [5.0, 7.0], sleep=slept.append) == ["a"]
        assert slept == [5.0, 7.0]

    def test_respects_the_minimum_interval(self):
        slept: list[float] = []
        client: Any = FakeClient("queued", "finished")
        ExportWait(["a"]).run(client, itertools.repeat(0.0), sleep=slept.append)
        assert slept == [MIN_INTERVAL]

    def test_polls_a_last_time_at_the_deadline(self):
        clock, client = SimulatedClock(), FakeClient()
        export_wait = ExportWait(
            ["a"], timeout=150, deadline=clock.time() + 150, clock=clock.time, monotonic=clock.monotonic
        )
        with pytest.raises(WaitTimeout, match=r"Timed out after 150 s while waiting for a \(Export a: queued\.\)\."):
            export_wait.run(client, itertools.repeat(60.0), sleep=clock.sleep)  # type: ignore[arg-type]
        assert clock.monotonic() == 150
        assert client.requests == 4

    def test_returns_exports_that_finished_just_before_the_deadline(self):
        clock = SimulatedClock()
        client: Any = FakeClient("queued", "finished")
        export_wait = ExportWait(["a"], deadline=clock.time() + 30, clock=clock.time, monotonic=clock.monotonic)
        assert export_wait.run(client, itertools.repeat(60.0), sleep=clock.sleep) == ["a"]

    @pytest.mark.parametrize("change", [-3600.0, 3600.0])
    def test_is_not_affected_by_a_change_of_the_wall_clock(self, change):
        clock, changed = SimulatedClock(), [0.0]
        client: Any = FakeClient()

        def sleep(seconds):
            clock.sleep(seconds)
            changed[0] = change

        export_wait = ExportWait(
            ["a"],
            deadline=clock.time() + 150,
            clock=lambda: clock.time() + changed[0],
            monotonic=clock.monotonic,
        )
        with pytest.raises(WaitTimeout):
            export_wait.run(client, itertools.repeat(60.0), sleep=sleep)
        assert clock.monotonic() == 150
