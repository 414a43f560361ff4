# SPDX-License-Identifier: Apache-2.0
"""The create operator: one export per task instance (promise 1), and argument errors before any request (promise 9)."""

from __future__ import annotations

import json
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException
from airflow.sdk import DAG

from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from tests.airflow_harness import ACTIVITIES, FakeTask

REPORT = {
    "export_type": "data-explorer",
    "report_id": "rep-1",
    "from_date": "2026-11-01",
    "to_date": "2026-11-30",
}


def create(**arguments: Any) -> ConnectifCreateExportOperator:
    return ConnectifCreateExportOperator(task_id="create", **arguments)


class TestCreating:
    @pytest.mark.parametrize(
        ("arguments", "body"),
        [
            (
                {"export_type": "contacts", "segment_id": "seg-1", "delimiter": ";", "version": "v5"},
                {"exportType": "contacts", "delimiter": ";", "version": "v5", "filters": {"segmentId": "seg-1"}},
            ),
            (
                {**ACTIVITIES, "activity_types": ["purchase"], "date_format": "LL"},
                {
                    "exportType": "activities",
                    "dateFormat": "LL",
                    "filters": {
                        "fromDate": "2026-11-01T00:00:00.000Z",
                        "toDate": "2026-11-02T00:00:00.000Z",
                        "activityTypes": ["purchase"],
                    },
                },
            ),
            (REPORT, {"filters": {"reportId": "rep-1", "fromDate": "2026-11-01", "toDate": "2026-11-30"}}),
            (
                {**REPORT, "from_date": date(2026, 11, 1), "to_date": date(2026, 11, 2)},
                {"filters": {"reportId": "rep-1", "fromDate": "2026-11-01", "toDate": "2026-11-02"}},
            ),
        ],
    )
    def test_sends_the_arguments_and_returns_the_id(self, sandbox, task, arguments, body):
        export_id = task.run(create(**arguments))
        [created] = sandbox.stats.created
        assert export_id == created["id"]
        assert body.items() <= created["body"].items()

    def test_does_not_wait(self, sandbox, task):
        sandbox.set(seconds_per_export=30)
        assert task.run(create(export_type="contacts"))

    def test_logs_the_export(self, sandbox, task, task_log, caplog):
        export_id = task.run(create(export_type="contacts"))
        assert f"Created export {export_id} (contacts)." in task_log() + caplog.text


class TestOneExport:
    def test_a_retry_returns_the_same_export(self, sandbox, task):
        first = task.run(create(export_type="contacts"))
        assert task.run(create(export_type="contacts")) == first
        assert sandbox.stats.created_by_api == 1

    def test_a_retry_whose_templates_render_differently_returns_the_same_export(self, sandbox, task):
        first = task.run(create(export_type="contacts"))
        assert task.run(create(export_type="contacts", segment_id="other")) == first

    def test_a_task_cleared_after_success_creates_another_export(self, sandbox, task):
        first = task.run(create(export_type="contacts"))
        task.clear()
        second = task.run(create(export_type="contacts"))
        assert second != first
        assert [created["id"] for created in sandbox.stats.created] == [first, second]
        assert task.run(create(export_type="contacts")) == second

    @pytest.mark.parametrize("fault", ["create-then-500", "create-then-cut"])
    def test_is_created_even_if_the_response_is_lost(self, sandbox, task, fault):
        sandbox.fault("create", fault)
        export_id = task.run(create(export_type="contacts"))
        assert [created["id"] for created in sandbox.stats.created] == [export_id]

    def test_is_created_even_if_the_process_dies_before_the_response(self, sandbox, task, monkeypatch):
        from airflow_provider_connectif.api.client import ConnectifClient

        original = ConnectifClient.post_export

        def killed(self: ConnectifClient, request: Any) -> Any:
            original(self, request)
            raise SystemExit  # nothing runs after this

        with monkeypatch.context() as dying:
            dying.setattr(ConnectifClient, "post_export", killed)
            with pytest.raises(SystemExit):
                task.run(create(export_type="contacts"))
        export_id = task.run(create(export_type="contacts"))
        assert [created["id"] for created in sandbox.stats.created] == [export_id]

    def test_is_created_for_each_task_instance(self, sandbox):
        assert FakeTask().run(create(export_type="contacts")) != FakeTask().run(create(export_type="contacts"))

    def test_is_created_for_each_attempt_without_a_state_store_and_this_is_logged_once(self, sandbox, caplog):
        task = FakeTask(store=None)
        assert task.run(create(export_type="contacts"))
        assert caplog.text.count("no task state store") == 1
        task.run(create(export_type="contacts"))
        assert sandbox.stats.created_by_api == 2

    def test_is_recorded_without_a_secret(self, sandbox, task):
        task.run(create(**ACTIVITIES))
        [record] = task.store.content.values()
        assert json.loads(record)["request"]["filters"]["fromDate"] == "2026-11-01T00:00:00.000Z"
        assert sandbox.key.partition(":")[2] not in record


class TestErrors:
    def test_a_missing_scope_is_final_and_named(self, sandbox, task, monkeypatch):
        key = sandbox.options.read_only_key
        connection = {"conn_type": "connectif", "host": sandbox.url, "password": key}
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", json.dumps(connection))
        with pytest.raises(AirflowFailException, match="exports write scope"):
            task.run(create(export_type="contacts"))

    def test_a_field_that_the_api_rejects_is_final_and_named(self, sandbox, task):
        sandbox.set(known_reports=("other",))
        with pytest.raises(AirflowFailException, match="/filters/reportId"):
            task.run(create(**REPORT))

    def test_an_unavailable_api_is_not_final(self, sandbox, task, monkeypatch):
        from airflow_provider_connectif.api import client

        monkeypatch.setattr(client.RetryPolicy.__init__, "__defaults__", (2, 1.0, 0.05))
        sandbox.fault("list", "503", times=99)
        with pytest.raises(AirflowException, match="503") as caught:
            task.run(create(export_type="contacts"))
        assert not isinstance(caught.value, AirflowFailException)
        assert sandbox.stats.created_by_api == 0


WRONG = [
    ({"export_type": "banners"}, "export_type: 'banners' is not supported"),
    ({"export_type": None}, "export_type: None is not supported"),
    ({"export_type": "contacts", "segment_id": ""}, "segment_id: '' is not a segment id: it is empty"),
    ({"export_type": "contacts", "from_date": "2026-11-01"}, "from_date: is not supported for export_type='contacts'"),
    ({"export_type": "contacts", "activity_types": ["purchase"]}, "activity_types: is not supported for"),
    ({"export_type": "contacts", "report_id": "r"}, "report_id: is not supported for"),
    ({"export_type": "contacts", "delimiter": "\t"}, "delimiter: "),
    ({"export_type": "contacts", "date_format": "iso"}, "date_format: 'iso' is not supported"),
    ({"export_type": "contacts", "version": "5"}, "version: '5' is not a version"),
    ({"export_type": "activities"}, "from_date: is missing"),
    ({**ACTIVITIES, "from_date": "2026-11-01"}, "from_date: .*2026-11-01.* has no time zone"),
    ({**ACTIVITIES, "from_date": "2026-11-01T00:00:00"}, "from_date: .* has no time zone"),
    ({**ACTIVITIES, "to_date": "2026-12-11T00:00:00Z"}, "to_date: .* more than 31 days .* export_windows"),
    ({**ACTIVITIES, "to_date": "2026-10-01T00:00:00Z"}, "to_date: .* is before from_date"),
    ({**ACTIVITIES, "to_date": ACTIVITIES["from_date"]}, "to_date: .*CronDataIntervalTimetable"),
    ({**ACTIVITIES, "activity_types": "purchase"}, "activity_types: 'purchase' is not a list"),
    ({**ACTIVITIES, "activity_types": []}, "activity_types: is an empty list"),
    ({**REPORT, "report_id": None}, "report_id: is missing"),
    ({**REPORT, "from_date": "2026-11-01T00:00:00Z"}, "from_date: .* is not a date \\(YYYY-MM-DD\\)"),
    ({**REPORT, "version": "v5"}, "version: is not supported for"),
    ({**REPORT, "date_format": "L"}, "date_format: is not supported for"),
    ({**REPORT, "segment_id": "s"}, "segment_id: is not supported for"),
]


class TestArguments:
    @pytest.mark.parametrize(("arguments", "words"), WRONG)
    def test_invalid_arguments_fail_when_the_dag_is_parsed(self, arguments, words):
        with pytest.raises(ConnectifArgumentError, match=words):
            create(**arguments)

    @pytest.mark.parametrize(("arguments", "words"), [each for each in WRONG if "is empty" not in each[1]])
    def test_invalid_arguments_fail_after_rendering_before_any_request(self, sandbox, task, arguments, words):
        operator = create(export_type="{{ x }}")
        for name, value in arguments.items():
            setattr(operator, name, value)  # as Airflow's rendering does
        with pytest.raises(ConnectifArgumentError, match=words):
            operator.execute(task.context())
        assert sandbox.stats.requests == 0

    def test_values_that_are_not_known_yet_are_not_checked(self):
        with DAG("lake"):
            other = create(export_type="contacts")
            for number, unknown in enumerate(("{{ x }}", "{% if x %}y{% endif %}", other.output, other.output["x"])):
                arguments = dict.fromkeys(("from_date", "to_date", "activity_types", "version", "delimiter"), unknown)
                ConnectifCreateExportOperator(task_id=f"a{number}", export_type="activities", **arguments)
                ConnectifCreateExportOperator(task_id=f"b{number}", export_type=unknown, report_id=unknown)

    def test_known_values_are_checked_even_if_others_are_unknown(self):
        with pytest.raises(ConnectifArgumentError, match="version: '5' is not a version"):
            create(export_type="{{ x }}", from_date="{{ ds }}", version="5")
        with pytest.raises(ConnectifArgumentError, match="from_date: is not supported for export_type='contacts'"):
            create(export_type="contacts", from_date="{{ ds }}")

    def test_all_arguments_are_templated(self):
        import inspect

        named = set(inspect.signature(ConnectifCreateExportOperator.__init__).parameters) - {"self", "kwargs"}
        assert named == set(ConnectifCreateExportOperator.template_fields)

    def test_an_argument_error_is_a_value_error_that_airflow_does_not_retry(self):
        assert issubclass(ConnectifArgumentError, AirflowFailException)
        assert issubclass(ConnectifArgumentError, ValueError)

    def test_datetimes_in_any_time_zone_are_accepted(self, sandbox, task):
        start = datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=1)))
        task.run(create(export_type="activities", from_date=start, to_date=start + timedelta(days=31)))
        filters = sandbox.stats.created[0]["body"]["filters"]
        assert (filters["fromDate"], filters["toDate"]) == ("2026-11-01T00:00:00.000Z", "2026-12-02T00:00:00.000Z")
