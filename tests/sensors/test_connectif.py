# SPDX-License-Identifier: Apache-2.0
"""The sensor: the same result, the same errors and the same deadline in every mode (promise 10)."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk import DAG

from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from tests import airflow_harness
from tests.airflow_harness import FakeTask
from tests.simulated_clock import CLOCK

MODES = ("poke", "reschedule", "deferrable")


def sensor_of(mode: str, **arguments: Any) -> ConnectifExportSensor:
    defaults = {"task_id": "wait", "poke_interval": 0.05, "timeout": 20, "deferrable": mode == "deferrable"}
    return ConnectifExportSensor(mode="poke" if mode == "deferrable" else mode, **{**defaults, **arguments})


def wait(task: FakeTask, mode: str, **arguments: Any) -> Any:
    """Wait to the end in a mode, as Airflow does: after each reschedule, a new process has a new operator."""
    while True:
        try:
            return task.run(sensor_of(mode, **arguments))
        except AirflowRescheduleException as again:
            task.reschedules += 1
            task.ti.first_reschedule = task.ti.first_reschedule or CLOCK.utcnow()
            CLOCK.sleep((again.reschedule_date - CLOCK.utcnow()).total_seconds())


def run_trigger(deferred: TaskDeferred) -> Any:
    return airflow_harness.run_trigger(deferred, CLOCK.run)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return request.param


class TestById:
    def test_returns_the_id(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=0.15)
        export_id = sandbox.create_in_app()
        assert wait(task, mode, export_id=export_id) == export_id

    def test_a_list_keeps_its_order_and_repeated_ids(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=0.15)
        one, two, three = (sandbox.create_in_app() for _ in range(3))
        assert wait(task, mode, export_id=[three, one, three, two]) == [three, one, three, two]

    def test_a_list_of_one_id_returns_a_list(self, sandbox, task, mode):
        export_id = sandbox.create_in_app()
        assert wait(task, mode, export_id=(export_id,)) == [export_id]

    def test_an_export_that_is_finished_at_the_first_poke_needs_no_triggerer(self, sandbox, task):
        export_id = sandbox.create_in_app()
        assert sensor_of("deferrable", export_id=export_id).execute(task.context()) == export_id

    def test_an_unknown_id_fails_when_the_api_has_repeated_it(self, sandbox, task, mode):
        started = CLOCK.time()
        with pytest.raises(AirflowFailException, match="does not know export 000000000000000000000000"):
            wait(task, mode, export_id="0" * 24, poke_interval=30, timeout=3600)
        assert 180 <= CLOCK.time() - started <= 300

    def test_an_export_that_some_responses_deny_is_waited_for(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=400)
        export_id = sandbox.create_in_app()
        sandbox.fault("get", "404", times=4)
        assert wait(task, mode, export_id=export_id, poke_interval=30, timeout=3600) == export_id
        assert sandbox.stats.faults == {"get:404": 4}

    def test_an_export_that_is_deleted_during_the_wait_fails_a_minute_later(self, sandbox, task, mode):
        import requests

        sandbox.set(seconds_per_export=3000)
        export_id = sandbox.create_in_app()
        headers = {"Authorization": f"apiKey {sandbox.key}"}
        arguments = {"export_id": export_id, "poke_interval": 30, "timeout": 3600}
        sensor = sensor_of(mode, **arguments)
        if mode == "deferrable":
            deferred = task.run_until_deferred(sensor)
        else:
            assert not sensor.poke(task.context())
        requests.delete(f"{sandbox.url}/exports/{export_id}", headers=headers, timeout=5).raise_for_status()
        event = run_trigger(deferred) if mode == "deferrable" else None
        with pytest.raises(AirflowFailException, match="does not know"):
            task.resume(sensor, deferred, event) if event else wait(task, mode, **arguments)

    def test_a_failed_export_fails_immediately(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=0.15)
        export_id = sandbox.create_in_app({"fail": True})
        with pytest.raises(AirflowFailException, match=f"Export {export_id} ended with status 'error'"):
            wait(task, mode, export_id=[sandbox.create_in_app(), export_id])

    def test_a_wrong_key_fails_immediately(self, sandbox, task, mode, monkeypatch):
        wrong = json.dumps({"conn_type": "connectif", "host": sandbox.url, "password": "some:thing"})
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", wrong)
        with pytest.raises(AirflowFailException, match="refused the API key"):
            wait(task, mode, export_id=sandbox.create_in_app())

    def test_html_instead_of_json_at_the_first_poke_fails_immediately_and_can_be_retried(self, sandbox, task, mode):
        sandbox.fault("get", "html", times=9)
        with pytest.raises(AirflowException, match="text/html instead of JSON") as raised:
            wait(task, mode, export_id=sandbox.create_in_app())
        assert not isinstance(raised.value, AirflowFailException)

    @pytest.mark.parametrize("fault", [{"kind": "html"}, {"kind": "html", "status": 404}])
    def test_one_response_with_html_at_the_first_poke_is_retried(self, sandbox, task, mode, fault):
        sandbox.fault("get", **fault)
        export_id = sandbox.create_in_app()
        assert wait(task, mode, export_id=export_id) == export_id

    def test_an_unknown_status_is_treated_as_not_finished_until_the_timeout(self, sandbox, task, mode, task_log):
        sandbox.set(seconds_per_export=30, unknown_status="archiving")
        export_id = sandbox.create_in_app()
        with pytest.raises(AirflowSensorTimeout, match=f"for {export_id}"):
            wait(task, mode, export_id=export_id, timeout=0.5)
        times = task_log().count("unknown status, 'archiving'; it is treated as not finished")
        # Once per process: the worker, the triggerer and the worker again for the last poke; or every rescheduled one.
        assert 1 <= times <= {"poke": 1, "reschedule": 99, "deferrable": 3}[mode]

    @pytest.mark.parametrize("mode", ["poke", "deferrable"])
    def test_progress_that_does_not_change_for_half_an_hour_is_logged_once(self, sandbox, task, mode, task_log):
        sandbox.set(seconds_per_export=4 * 3600)  # 5 rows, one in 48 minutes
        export_id = sandbox.create_in_app()
        sensor = sensor_of(mode, export_id=export_id, poke_interval=60, timeout=5 * 3600)
        assert task.run(sensor) == export_id
        stalled = [line for line in task_log().splitlines() if f"The progress of export {export_id} has not" in line]
        assert [f"inProgress, {done} of 5" in line for done, line in enumerate(stalled)] == [True] * 5

    def test_failing_polls_do_not_fail_the_wait(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=0.5)
        export_id = sandbox.create_in_app()
        # More than the retries of one poll.
        sandbox.fault("get", "500", times=3, skip=1)
        assert wait(task, mode, export_id=export_id) == export_id
        assert sandbox.stats.by_status["500"] == 3

    def test_failing_polls_from_the_start_do_not_fail_the_wait(self, sandbox, task, mode):
        export_id = sandbox.create_in_app()
        sandbox.fault("get", "500", times=2)
        assert wait(task, mode, export_id=export_id) == export_id


class TestByMatch:
    def test_waits_for_the_newest_export_that_matches(self, sandbox, task, mode):
        sandbox.create_in_app({"exportType": "contacts", "createdAt": "2026-11-01T00:00:00Z"})
        newest = sandbox.create_in_app({"exportType": "contacts", "createdAt": "2026-11-03T00:00:00Z"})
        sandbox.create_in_app({"exportType": "contacts", "createdAt": "2026-11-02T00:00:00Z"})
        sandbox.create_in_app({"exportType": "activities", "createdAt": "2026-11-04T00:00:00Z"})
        assert wait(task, mode, export_type="contacts") == newest

    def test_by_origin(self, sandbox, task, mode):
        made_by_hand = sandbox.create_in_app({"createdAt": "2026-11-01T00:00:00Z"})
        sandbox.create_in_app({"createdAt": "2026-11-02T00:00:00Z", "origin": "api"})
        assert wait(task, mode, origin="app") == made_by_hand

    def test_by_report_and_segment(self, sandbox, task):
        of_segment = sandbox.create_in_app({"filters": {"segmentId": "seg-1"}})
        of_report = sandbox.create_in_app(
            {
                "exportType": "data-explorer",
                "filters": {"reportId": "rep-1", "fromDate": "2026-11-01", "toDate": "2026-11-01"},
            }
        )
        sandbox.create_in_app()
        assert wait(task, "poke", segment_id="seg-1") == of_segment
        assert wait(task, "poke", report_id="rep-1") == of_report

    def test_waits_until_an_export_is_created_after_created_after(self, sandbox, task):
        sandbox.create_in_app({"createdAt": "2026-11-01T00:00:00Z"})
        sensor = sensor_of("poke", export_type="contacts", created_after="2026-11-01T00:00:00+00:00")
        assert not sensor.poke(task.context())
        late = sandbox.create_in_app({"createdAt": "2026-11-01T00:00:01Z"})
        assert sensor.poke(task.context()).xcom_value == late

    def test_the_trigger_uses_created_after_too(self, sandbox, task):
        created_after = datetime(2026, 11, 1, 2, tzinfo=timezone(timedelta(hours=2)))
        deferred = task.run_until_deferred(sensor_of("deferrable", export_type="contacts", created_after=created_after))
        late = sandbox.create_in_app({"createdAt": "2026-11-01T00:00:01Z"})
        assert run_trigger(deferred) == {"status": "finished", "export_ids": [late]}

    def test_a_failed_match_fails(self, sandbox, task, mode):
        sandbox.create_in_app({"createdAt": "2026-11-01T00:00:00Z"})
        sandbox.create_in_app({"createdAt": "2026-11-02T00:00:00Z", "fail": True})
        with pytest.raises(AirflowFailException, match="ended with status 'error'"):
            wait(task, mode, export_type="contacts")


class TestDeadline:
    def test_is_at_the_timeout(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=30)
        started = CLOCK.time()
        with pytest.raises(AirflowSensorTimeout, match=r"Timed out after 1 s while waiting for \w+ \(Export"):
            wait(task, mode, export_id=sandbox.create_in_app(), timeout=0.6)
        assert CLOCK.time() - started == pytest.approx(0.6, abs=0.051)

    def test_is_the_same_across_attempts(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=30)
        sensor = {"export_id": sandbox.create_in_app(), "timeout": 0.6}
        if mode == "deferrable":
            task.run_until_deferred(sensor_of(mode, **sensor))
        else:
            assert not sensor_of(mode, **sensor).poke(task.context())
        CLOCK.sleep(0.7)
        task.reschedules, task.ti.first_reschedule = 0, None
        started = CLOCK.time()
        with pytest.raises(AirflowSensorTimeout):
            wait(task, mode, **sensor)
        assert CLOCK.time() == started

    def test_is_set_again_when_the_task_is_cleared(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=30)
        export_id = sandbox.create_in_app()
        with pytest.raises(AirflowSensorTimeout):
            wait(task, mode, export_id=export_id, timeout=0.2)
        task.clear()
        task.reschedules, task.ti.first_reschedule = 0, None
        sandbox.set(seconds_per_export=0)
        sandbox.end_export(export_id)
        assert wait(task, mode, export_id=export_id, timeout=0.2) == export_id

    def test_exists_without_a_state_store(self, sandbox, mode):
        sandbox.set(seconds_per_export=30)
        task = FakeTask(store=None, run_async=CLOCK.run)
        with pytest.raises(AirflowSensorTimeout):
            wait(task, mode, export_id=sandbox.create_in_app(), timeout=0.4)

    def test_a_last_poke_finds_an_export_that_finished_just_before_it(self, sandbox, task, mode):
        sandbox.set(seconds_per_export=30)
        export_id = sandbox.create_in_app()
        sensor = sensor_of(mode, export_id=export_id, timeout=0.4, poke_interval=60)
        if mode == "deferrable":
            deferred = task.run_until_deferred(sensor)
            event = run_trigger(deferred)
            assert event["status"] == "timeout"
            sandbox.end_export(export_id)
            assert task.resume(sensor, deferred, event) == export_id
        else:
            assert not sensor.poke(task.context())
            sandbox.end_export(export_id)
            CLOCK.sleep(0.5)
            assert sensor.execute(task.context()) == export_id

    def test_an_api_error_at_the_last_poke_is_a_timeout(self, sandbox, task):
        sandbox.set(seconds_per_export=30)
        sensor = sensor_of("deferrable", export_id=sandbox.create_in_app(), timeout=0.3)
        deferred = task.run_until_deferred(sensor)
        event = run_trigger(deferred)
        sandbox.fault("get", "html", times=9)
        with pytest.raises(AirflowSensorTimeout):
            task.resume(sensor, deferred, event)

    def test_may_pass_while_the_triggerer_is_down(self, sandbox, task):
        sandbox.set(seconds_per_export=30)
        deferred = task.run_until_deferred(sensor_of("deferrable", export_id=sandbox.create_in_app(), timeout=0.3))
        CLOCK.sleep(0.4)
        requests_before = sandbox.stats.requests
        started = CLOCK.time()
        assert run_trigger(deferred)["status"] == "timeout"
        assert CLOCK.time() == started
        assert sandbox.stats.requests == requests_before


class TestSoftFail:
    @pytest.mark.parametrize("argument", ["soft_fail", "never_fail"])
    @pytest.mark.parametrize(
        ("export", "timeout"),
        [({"fail": True}, 20), ({}, 0.2)],
        ids=["a failed export", "the timeout"],
    )
    @pytest.mark.parametrize("seconds", [0.0, 0.1], ids=["at the first poke", "later"])
    def test_skips_instead_of_failing(self, sandbox, task, mode, argument, export, timeout, seconds):
        sandbox.set(seconds_per_export=seconds if export else 30)
        with pytest.raises(AirflowSkipException):
            wait(task, mode, export_id=sandbox.create_in_app(export), timeout=timeout, **{argument: True})

    def test_never_fail_skips_for_a_missing_connection(self, sandbox, task, mode):
        with pytest.raises(AirflowSkipException):
            wait(task, mode, export_id="a", connectif_conn_id="nowhere", never_fail=True)

    def test_soft_fail_fails_for_a_missing_connection(self, sandbox, task, mode):
        with pytest.raises(AirflowException, match="nowhere") as caught:
            wait(task, mode, export_id="a", connectif_conn_id="nowhere", soft_fail=True)
        assert not isinstance(caught.value, AirflowSkipException)


class TestProgress:
    def test_is_logged_when_it_changes(self, sandbox, task, mode, task_log):
        sandbox.set(seconds_per_export=0.5, rows=1000)
        wait(task, mode, export_id=sandbox.create_in_app(), poke_interval=0.05)
        # What follows the message depends on the Airflow version.
        lines = re.findall(r"Export \w+: (.*?)\.(?: \[|\s*$)", task_log(), re.MULTILINE)
        assert any(re.fullmatch(r"inProgress, \d+ of 1000 \(\d+%\)", line) for line in lines)
        if mode == "poke":
            assert len(lines) == len(set(lines))
            assert len(lines) > 2


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ({}, "export_id: is missing; use either export_id or a filter"),
            ({"export_id": "a", "origin": "app"}, "export_id: cannot be combined with a filter"),
            ({"export_id": []}, "export_id: the list is empty"),
            ({"export_id": " "}, "export_id: ' ' is not an export id"),
            ({"export_id": 5}, "export_id: 5 is not an export id"),
            ({"export_id": ["a", None]}, "export_id: None is not an export id"),
            ({"export_id": {"a": 1}}, "export_id: .* is not an export id"),
            ({"export_type": ""}, "export_type: '' is not a non-empty string"),
            ({"segment_id": 7}, "segment_id: 7 is not a segment id but a number"),
            ({"created_after": "2026-11-01"}, "created_after: .* has no time zone"),
            ({"created_after": "yesterday"}, "created_after: .* is not an ISO 8601 date-time"),
            ({"created_after": datetime(2026, 11, 1)}, "created_after: .* has no time zone"),  # noqa: DTZ001
        ],
    )
    def test_that_are_wrong_fail_when_the_dag_is_parsed(self, arguments, message):
        with pytest.raises(ConnectifArgumentError, match=message):
            ConnectifExportSensor(task_id="wait", **arguments)

    def test_that_are_not_known_yet_are_not_checked(self):
        with DAG("lake"):
            other = ConnectifCreateExportOperator(task_id="create", export_type="contacts")
            given = ("{{ x }}", other.output, ["{{ x }}", other.output], "{% if x %}{% endif %}")
            for number, export_id in enumerate(given):
                ConnectifExportSensor(task_id=f"wait_{number}", export_id=export_id)
            ConnectifExportSensor(task_id="match", created_after="{{ data_interval_start }}", export_type=other.output)

    @pytest.mark.parametrize(
        ("rendered", "message"),
        [
            (None, "export_id: is missing"),
            ([], "export_id: the list is empty"),
            (5, "export_id: 5 is not an export id"),
            (["a", ""], "export_id: '' is not an export id"),
        ],
    )
    def test_are_checked_again_after_rendering(self, sandbox, task, mode, rendered, message):
        sensor = sensor_of(mode, export_id="{{ x }}")
        sensor.export_id = rendered  # as Airflow does when it renders templates
        with pytest.raises(ConnectifArgumentError, match=message):
            sensor.execute(task.context())
        assert sandbox.stats.requests == 0

    def test_deferrable_defaults_to_airflows_option(self, monkeypatch):
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
        assert ConnectifExportSensor(task_id="wait", export_id="a").deferrable is True
        assert ConnectifExportSensor(task_id="wait", export_id="a", deferrable=False).deferrable is False


def test_a_deferral_does_not_use_airflows_timeout(sandbox, task):
    """It would fail the task without a last poke."""
    sandbox.set(seconds_per_export=30)
    with pytest.raises(TaskDeferred) as caught:
        sensor_of("deferrable", export_id=sandbox.create_in_app()).execute(task.context())
    assert caught.value.timeout is None
