# SPDX-License-Identifier: Apache-2.0
"""The list operator: the ids of the matching exports, for ``.expand(export_id=…)``."""

from __future__ import annotations

import inspect
import json
from datetime import datetime, timezone
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import DAG

from airflow_provider_connectif.operators.connectif import ConnectifListExportsOperator
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from tests.airflow_harness import FakeTask
from tests.sample_exports import PAGES, fill_the_list


def listing(**arguments: Any) -> ConnectifListExportsOperator:
    return ConnectifListExportsOperator(task_id="list", **arguments)


class TestSelection:
    @pytest.fixture
    def created(self, sandbox) -> list[str]:
        """Five exports, created one hour after another, in a list that is not in this order."""
        sandbox.set(order="shuffled")
        bodies: list[dict[str, Any]] = [
            {"exportType": "contacts", "filters": {"segmentId": "seg-1"}},
            {"exportType": "data-explorer", "filters": {"reportId": "rep-1"}, "title": "Sales"},
            {"exportType": "data-explorer", "filters": {"reportId": "rep-1"}, "title": "Sales", "origin": "api"},
            {"exportType": "contacts", "fail": True},
            {"exportType": "banner-stats"},
        ]
        for hour, body in enumerate(bodies):
            body |= {"createdAt": f"2026-11-25T{hour:02}:00:00Z", "finishedAt": f"2026-11-25T{hour:02}:30:00Z"}
        return [sandbox.create_in_app(body) for body in bodies]

    @pytest.mark.parametrize(
        ("arguments", "selected"),
        [
            ({}, [0, 1, 2, 4]),
            ({"export_type": "contacts"}, [0]),
            ({"status": "error"}, [3]),
            ({"status": None}, [0, 1, 2, 3, 4]),
            ({"origin": "api"}, [2]),
            ({"report_id": "rep-1"}, [1, 2]),
            ({"segment_id": "seg-1"}, [0]),
            ({"created_after": "2026-11-25T02:00:00Z"}, [4]),
            ({"finished_after": "2026-11-25T02:00:00Z"}, [2, 4]),
            ({"finished_after": "2026-11-25 03:00:00+01:00"}, [2, 4]),
            ({"finished_after": datetime(2026, 11, 25, 2, tzinfo=timezone.utc)}, [2, 4]),
            ({"latest_per": "report_id", "export_type": "data-explorer"}, [2]),
            ({"latest_per": "export_type", "status": None}, [2, 3, 4]),
            ({"latest_per": "file_name"}, [0, 2, 4]),
            ({"export_type": "form-stats"}, []),
        ],
    )
    def test_applies_each_filter_and_is_oldest_first(self, sandbox, task, created, arguments, selected):
        assert task.run(listing(**arguments)) == [created[index] for index in selected]

    def test_needs_one_request_per_page_and_no_download(self, sandbox, task):
        for _ in range(101):
            sandbox.create_in_app()
        assert len(task.run(listing())) == 101
        assert sandbox.stats.by_route == {"GET /exports": 3}

    def test_is_logged(self, sandbox, task, created, task_log, caplog):
        task.run(listing(export_type="contacts"))
        assert "Found 1 matching export(s)." in task_log() + caplog.text

    def test_is_json_serializable_and_contains_only_ids(self, sandbox, task, created):
        result = task.run(listing())
        assert json.loads(json.dumps(result)) == result
        assert all(isinstance(each, str) for each in result)

    def test_finds_the_right_17_of_2000_exports_on_40_pages(self, sandbox, task):
        """Some names contain others; the newest export of one report failed, that of another is in progress."""
        sandbox.set(order="shuffled")
        wanted = fill_the_list(sandbox)
        sandbox_requests = sandbox.stats.requests
        assert task.run(listing(export_type="data-explorer", latest_per="file_name")) == wanted
        assert len(wanted) == 17
        assert sandbox.stats.requests - sandbox_requests == PAGES

    def test_is_complete_even_if_pages_shift_while_they_are_read(self, sandbox, task):
        created = [sandbox.create_in_app() for _ in range(120)]
        sandbox.set(shifting_pages=True)
        assert set(created) <= set(task.run(listing()))


class TestErrors:
    def test_a_refused_key_is_final(self, sandbox, task, monkeypatch):
        connection = {"conn_type": "connectif", "host": sandbox.url, "password": "some:thing"}
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", json.dumps(connection))
        with pytest.raises(AirflowFailException, match="refused the API key"):
            task.run(listing())

    def test_an_unavailable_api_is_not_final(self, sandbox, task, monkeypatch):
        from airflow_provider_connectif.api import client

        monkeypatch.setattr(client.RetryPolicy.__init__, "__defaults__", (2, 1.0, 0.05))
        sandbox.fault("list", "503", times=99)
        with pytest.raises(AirflowException, match="503") as caught:
            task.run(listing())
        assert not isinstance(caught.value, AirflowFailException)


WRONG = [
    ({"export_type": ""}, "export_type: '' is not a non-empty string; use one, or omit the argument"),
    ({"status": " "}, "status: ' ' is not supported; use 'queued', 'inProgress', 'finished', 'error'"),
    ({"status": "done"}, "status: 'done' is not supported; use 'queued', 'inProgress', 'finished', 'error'"),
    ({"origin": 5}, "origin: 5 is not supported; use 'app' or 'api'"),
    ({"report_id": ["a"]}, "report_id: .* is not a report id but a list"),
    ({"segment_id": ""}, "segment_id: '' is not a segment id: it is empty"),
    ({"created_after": "2026-11-25"}, "created_after: '2026-11-25' has no time zone; use a date-time"),
    (
        {"finished_after": "2026-11-25T10:00:00"},
        "finished_after: .* has no time zone; use a date-time with a time",
    ),
    ({"finished_after": datetime(2026, 11, 25)}, "finished_after: .* has no time zone"),  # noqa: DTZ001
    ({"finished_after": "yesterday"}, "finished_after: 'yesterday' is not an ISO 8601 date-time; use a date-time"),
    ({"created_after": 5}, "created_after: '5' is not a date-time; use a date-time with a time zone"),
    ({"latest_per": "title"}, "latest_per: 'title' is not supported; use 'report_id', 'export_type' or 'file_name'"),
    ({"latest_per": ["report_id"]}, "latest_per: .* is not supported; use 'report_id'"),
]


class TestArguments:
    @pytest.mark.parametrize(("arguments", "words"), WRONG)
    def test_invalid_arguments_fail_when_the_dag_is_parsed(self, arguments, words):
        with pytest.raises(ConnectifArgumentError, match=words):
            listing(**arguments)

    @pytest.mark.parametrize(("arguments", "words"), [each for each in WRONG if "" not in each[0].values()])
    def test_invalid_arguments_fail_after_rendering_before_any_request(self, sandbox, task, arguments, words):
        operator = listing()
        for name, value in arguments.items():
            setattr(operator, name, value)  # as Airflow's rendering does
        with pytest.raises(ConnectifArgumentError, match=words):
            operator.execute(task.context())
        assert sandbox.stats.requests == 0

    def test_values_that_are_not_known_yet_are_not_checked(self):
        with DAG("lake"):
            other = listing()
            for number, unknown in enumerate(("{{ x }}", "{% if x %}y{% endif %}", other.output)):
                arguments = dict.fromkeys(ConnectifListExportsOperator.template_fields, unknown)
                ConnectifListExportsOperator(task_id=f"a{number}", **arguments)

    def test_known_values_are_checked_even_if_others_are_unknown(self):
        with pytest.raises(ConnectifArgumentError, match=r"created_after: .* has no time zone"):
            listing(finished_after="{{ x }}", created_after="2026-11-25")

    def test_all_arguments_are_templated(self):
        named = set(inspect.signature(ConnectifListExportsOperator.__init__).parameters) - {"self", "kwargs"}
        assert named == set(ConnectifListExportsOperator.template_fields)

    def test_invalid_arguments_of_a_mapped_operator_are_not_retried(self):
        with DAG("lake", schedule=None):
            mapped = ConnectifListExportsOperator.partial(task_id="list").expand(finished_after=["2026-11-25"])
        with pytest.raises(ConnectifArgumentError, match="has no time zone") as caught:
            mapped.unmap({"finished_after": "2026-11-25"})
        assert isinstance(caught.value, AirflowFailException)

    def test_the_connection_can_be_chosen(self, sandbox, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_OTHER", sandbox.connection_json)
        monkeypatch.delenv("AIRFLOW_CONN_CONNECTIF_DEFAULT")
        export_id = sandbox.create_in_app()
        assert FakeTask().run(listing(connectif_conn_id="other")) == [export_id]
