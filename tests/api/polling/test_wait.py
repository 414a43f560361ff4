# SPDX-License-Identifier: Apache-2.0
"""What a wait makes of the answers that it gets, whoever asks."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from airflow_provider_connectif.api.errors import (
    AuthenticationFailed,
    ExportFailed,
    NotFound,
    ServerError,
    UnexpectedResponse,
)
from airflow_provider_connectif.api.filters import ExportFilter
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.api.polling.poll import PollResult
from airflow_provider_connectif.api.polling.wait import ExportWait


def result_of(*exports: Export | tuple[str, NotFound], **newest: Any) -> PollResult:
    found = {each.id: each if isinstance(each, Export) else None for each in exports if isinstance(each, Export)}
    return PollResult(found, newest)


class TestIds:
    def test_are_over_when_all_are_finished(self):
        watch = ExportWait(["a", "b", "a"])
        assert not watch.handle_result(result_of(Export("a", "finished"), Export("b", "inProgress")))
        assert watch.pending == ["b"]
        assert watch.handle_result(result_of(Export("b", "finished")))
        assert watch.result == ["a", "b"]

    def test_that_were_seen_finished_need_not_be_seen_again(self):
        watch = ExportWait(["a", "b"])
        watch.handle_result(result_of(Export("a", "finished")))
        assert watch.handle_result(result_of(Export("b", "finished")))

    def test_have_no_result_before(self):
        with pytest.raises(RuntimeError):
            _ = ExportWait(["a"]).result

    @pytest.mark.parametrize("status", ["error", "Failed", "cancelled", "canceled"])
    def test_that_failed_end_it(self, status):
        with pytest.raises(ExportFailed, match=status):
            ExportWait(["a", "b"]).handle_result(result_of(Export("b", status)))

    def test_that_do_not_exist_end_it(self):
        with pytest.raises(NotFound):
            ExportWait(["a"]).handle_result(PollResult({"a": NotFound("no a")}, {}))


class TestAMatch:
    MATCH = ExportFilter(export_type="contacts")

    def test_waits_for_one_that_fits(self):
        watch = ExportWait(export_filter=self.MATCH)
        assert not watch.handle_result(PollResult({}, {self.MATCH: None}))
        assert not watch.handle_result(PollResult({}, {self.MATCH: Export("a", "queued")}))
        assert watch.handle_result(PollResult({}, {self.MATCH: Export("b", "finished")}))
        assert watch.result == ["b"]

    def test_has_no_pending_ids(self):
        assert ExportWait(export_filter=self.MATCH).pending == []
        assert ExportWait(export_filter=self.MATCH).filters == [self.MATCH]


class TestAFailingRound:
    @pytest.mark.parametrize("problem", [ServerError("500"), UnexpectedResponse("HTML")])
    def test_is_borne_once_the_wait_has_begun(self, problem, caplog):
        watch = ExportWait(["a"], resumed=True)
        with caplog.at_level(logging.WARNING):
            watch.handle_error(problem)
        assert "Still waiting." in caplog.text

    def test_that_may_pass_is_borne_at_the_first_look(self):
        ExportWait(["a"]).handle_error(ServerError("500"))

    def test_that_cannot_pass_is_not_borne_at_the_first_look(self):
        watch = ExportWait(["a"])
        with pytest.raises(UnexpectedResponse):
            watch.handle_error(UnexpectedResponse("HTML"))
        watch.handle_result(result_of(Export("a", "queued")))
        watch.handle_error(UnexpectedResponse("HTML"))

    def test_that_is_a_clear_no_is_never_borne(self):
        with pytest.raises(AuthenticationFailed):
            ExportWait(["a"], resumed=True).handle_error(AuthenticationFailed("401"))


class TestWords:
    def test_tell_progress_when_it_changes(self, caplog):
        watch = ExportWait(["a"])
        with caplog.at_level(logging.INFO):
            for progress in (1, 1, 2):
                watch.handle_result(result_of(Export("a", "inProgress", progress=progress, total=4)))
        assert [record.getMessage() for record in caplog.records] == [
            "Export a: inProgress, 1 of 4 (25%).",
            "Export a: inProgress, 2 of 4 (50%).",
        ]

    def test_tell_an_unknown_status_once(self, caplog):
        watch = ExportWait(["a"])
        with caplog.at_level(logging.INFO):
            for _ in range(3):
                assert not watch.handle_result(result_of(Export("a", "archiving")))
        assert caplog.text.count("unknown status, 'archiving'; it is treated as not finished") == 1

    def test_name_what_is_waited_for_and_no_more_than_ten(self):
        watch = ExportWait([f"e{number}" for number in range(12)])
        watch.handle_result(result_of(Export("e0", "queued")))
        words = watch.describe()
        assert words.startswith("e0 (Export e0: queued.), e1 (not seen)")
        assert words.endswith("e9 (not seen), 2 more")

    def test_name_a_match(self):
        watch = ExportWait(export_filter=TestAMatch.MATCH)
        watch.handle_result(PollResult({}, {TestAMatch.MATCH: None}))
        assert watch.describe().startswith("an export with export_type=contacts (No export with")
