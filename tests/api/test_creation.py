# SPDX-License-Identifier: Apache-2.0
"""Promise 1: one export per task instance, whatever is lost, killed or repeated."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.creation import LookupPolicy, create_once, mark_done
from airflow_provider_connectif.api.errors import (
    AuthenticationFailed,
    ConnectionProblem,
    CreationOutcomeUnknown,
    PermissionDenied,
    RateLimited,
    RequestRejected,
    ServerError,
)
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.records import MemoryRecord
from airflow_provider_connectif.tasks.generation import TaskGeneration
from tests.api.simulated_time import FakeApi, Killed, SimulatedTime, StoredRecord

YESTERDAY = ExportRequest.of(
    "activities",
    from_date="2026-10-31T00:00:00+00:00",
    to_date="2026-11-01T00:00:00+00:00",
    activity_types=["purchase", "login"],
)
TODAY = ExportRequest.of("activities", from_date="2026-11-01T00:00:00Z", to_date="2026-11-02T00:00:00Z")
REPORT = ExportRequest.of("data-explorer", report_id="r1", from_date="2026-11-01", to_date="2026-11-01")
CONTACTS = ExportRequest.of("contacts", segment_id="s1", version="v5")
FEW_LOOKUPS = LookupPolicy(interval=20.0)


@pytest.fixture
def create(simulated_time, api, record):
    """Return a function that runs one attempt of the task, as a separate process."""

    def create(request=YESTERDAY, *, record=record, skew=0.0, timeout=30.0, **arguments):
        client = api.client(skew=skew, timeout=timeout)
        return create_once(client, request, record, clock=simulated_time.clock, sleep=simulated_time.sleep, **arguments)

    return create


class TestWithoutFailures:
    def test_the_first_attempt_creates_an_export_and_records_its_id(self, api, record, create):
        assert create() == "export-0001"
        assert len(api.exports) == 1
        assert record.state["state"] == "created"
        assert record.state["export_id"] == "export-0001"
        assert api.posted == [YESTERDAY.body()]

    def test_the_intent_is_written_before_the_creation_is_sent(self, api, record, create):
        create()
        assert [state["state"] for state in record.written] == ["intent", "intent", "created"]
        assert ["sent" in state for state in record.written[:2]] == [False, True]

    def test_it_takes_one_lookup_and_one_creation(self, api, create):
        create()
        assert api.requests == ["GET /exports?page=1&pageSize=50", "POST /exports"]

    def test_it_waits_only_for_another_process_to_show(self, simulated_time, create):
        create()
        assert simulated_time.slept == [1.0]

    def test_a_record_in_memory_needs_no_wait(self, simulated_time, create):
        create(record=MemoryRecord())
        assert simulated_time.slept == []

    def test_a_later_attempt_uses_the_recorded_id_without_a_request(self, api, create):
        create()
        api.requests.clear()
        assert create() == "export-0001"
        assert api.requests == []

    @pytest.mark.parametrize("request_", [YESTERDAY, REPORT, CONTACTS], ids=lambda request: request.export_type)
    def test_every_type_is_created_at_its_own_path(self, api, create, request_):
        create(request_)
        assert api.requests[-1] == f"POST {request_.path}"

    def test_a_record_in_memory_replaces_a_store(self, api, create):
        api.posts = ["lost"]
        assert create(record=MemoryRecord()) == "export-0001"
        assert len(api.exports) == 1


class TestClearing:
    def test_a_retry_after_an_unreported_success_finds_its_export(self, record, create):
        create(generation=TaskGeneration(2))
        mark_done(record, TaskGeneration(2))
        assert create(generation=TaskGeneration(2)) == "export-0001"

    def test_a_cleared_success_requests_a_new_export(self, api, record, create):
        create(generation=TaskGeneration(0))
        mark_done(record, TaskGeneration(0))
        assert create(TODAY, generation=TaskGeneration(1)) == "export-0002"
        assert api.posted[-1] == TODAY.body()

    def test_a_cleared_success_never_adopts_its_earlier_export(self, simulated_time, api, record, create):
        api.newest_first = False
        for _ in range(60):  # so that it is not on the first page
            api.add_export(TODAY.body(), age=7200)
        first = create(generation=TaskGeneration(0))
        mark_done(record, TaskGeneration(0))
        simulated_time.now += 3
        api.posts = ["cut"]
        assert create(generation=TaskGeneration(1)) != first
        assert len(api.posted) == 3

    def test_a_cleared_failure_keeps_its_export(self, create):
        create(generation=TaskGeneration(0))
        assert create(generation=TaskGeneration(1)) == "export-0001"

    def test_a_failure_that_is_cleared_with_other_arguments_requests_a_new_export(self, api, create):
        create(generation=TaskGeneration(0))
        assert create(TODAY, generation=TaskGeneration(1)) == "export-0002"
        assert api.posted == [YESTERDAY.body(), TODAY.body()]

    def test_a_retry_keeps_its_export_even_if_its_templates_render_differently(self, api, create):
        create(generation=TaskGeneration(0))
        assert create(TODAY, generation=TaskGeneration(0)) == "export-0001"
        assert api.posted == [YESTERDAY.body()]

    def test_a_cleared_failure_without_an_export_uses_its_current_arguments(self, simulated_time, api, create):
        api.posts = ["500"] * 3
        with pytest.raises(CreationOutcomeUnknown):
            create(generation=TaskGeneration(0))
        simulated_time.now += 3600
        assert create(TODAY, generation=TaskGeneration(1)) == "export-0001"
        assert api.posted[-1] == TODAY.body()

    @pytest.mark.parametrize(
        "cleared", [TaskGeneration(0, 1, 2, 0), TaskGeneration(1, 1, 2, 0), TaskGeneration(4, 1, 2, 3)]
    )
    def test_a_success_that_is_cleared_with_any_number_of_retries_requests_a_new_export(self, record, create, cleared):
        first = TaskGeneration(1, 0, 1, 1)
        create(generation=first)
        mark_done(record, first)
        assert create(generation=cleared) == "export-0002"

    def test_a_retry_keeps_its_export_even_if_another_task_was_cleared(self, api, record, create):
        create(generation=TaskGeneration(2, 0, 1, 2))
        assert create(TODAY, generation=TaskGeneration(2, 1, 2, 2)) == "export-0001"
        mark_done(record, TaskGeneration(2, 1, 2, 2))
        assert create(TODAY, generation=TaskGeneration(2, 2, 3, 2)) == "export-0001"
        assert api.posted == [YESTERDAY.body()]

    def test_a_retry_of_a_cleared_attempt_that_resumed_does_not_compare_arguments(self, record, create):
        create(generation=TaskGeneration(1, 0, 1, 1))
        assert create(generation=TaskGeneration(2, 1, 2, 1)) == "export-0001"
        assert record.state["generation"] == TaskGeneration(2, 1, 2).as_json()
        assert create(TODAY, generation=TaskGeneration(2, 1, 3, 1)) == "export-0001"

    def test_a_retry_of_a_cleared_attempt_that_looked_for_its_export_does_not_compare_arguments(
        self, simulated_time, api, record, create
    ):
        api.posts = ["500"] * 3
        with pytest.raises(CreationOutcomeUnknown):
            create(generation=TaskGeneration(1, 0, 1, 1))
        api.posts = ["500"] * 3
        with pytest.raises(CreationOutcomeUnknown):
            create(generation=TaskGeneration(2, 1, 2, 1))
        assert create(TODAY, generation=TaskGeneration(2, 1, 3, 1)) == "export-0001"
        assert api.posted[-1] == YESTERDAY.body()

    def test_an_attempt_that_resumes_writes_the_record_once(self, record, create):
        create(generation=TaskGeneration(1, 0, 1, 1))
        written = len(record.written)
        for _ in range(3):
            create(generation=TaskGeneration(1, 0, 2, 1))
        assert len(record.written) == written + 1

    def test_mark_done_without_a_record_does_nothing(self, record):
        mark_done(record, TaskGeneration(1))
        assert record.state is None


class TestLostResponse:
    @pytest.mark.parametrize("outcome", ["500 created", "lost", "late", "html"])
    def test_an_export_that_was_created_anyway_is_adopted(self, api, record, create, outcome):
        api.posts = [outcome]
        assert create() == "export-0001"
        assert len(api.exports) == len(api.posted) == 1
        assert record.state["export_id"] == "export-0001"

    @pytest.mark.parametrize("outcome", ["500", "cut", "timeout"])
    def test_a_request_that_created_nothing_is_repeated_only_after_the_grace_period(
        self, simulated_time, api, create, outcome
    ):
        api.posts = [outcome]
        started = simulated_time.now
        assert create(timeout=10.0) == "export-0001"
        assert len(api.exports) == 1
        assert len(api.posted) == 2
        assert simulated_time.now - started > 60

    def test_the_grace_period_starts_when_the_client_gives_up(self, api, create):
        api.posts = ["late"]
        api.lateness = 160.0
        assert create(timeout=120.0) == "export-0001"
        assert len(api.exports) == len(api.posted) == 1

    def test_the_number_of_requests_is_limited(self, api, create):
        api.posts = ["500"] * 9
        with pytest.raises(CreationOutcomeUnknown, match="in 2 attempts") as raised:
            create(lookup_policy=LookupPolicy(attempts=2))
        assert len(api.posted) == 2
        assert raised.value.final is False

    def test_the_lookup_policy_can_be_chosen(self, simulated_time, api, create):
        api.posts = ["500"]
        create(lookup_policy=LookupPolicy(grace_period=20, interval=4))
        assert [seconds for seconds in simulated_time.slept if seconds != 1.0] in ([4.0] * 5, [4.0] * 6)

    def test_a_failed_lookup_is_repeated(self, api, create):
        api.posts, api.lists = ["lost"], ["ok"] + ["503"] * 8
        assert create() == "export-0001"
        assert len(api.posted) == 1

    def test_failing_lookups_end_after_the_retry_timeout(self, simulated_time, api, create):
        api.posts, api.lists = ["lost"], ["ok"] + ["503"] * 5000
        started = simulated_time.now
        with pytest.raises(ServerError):
            create(retry_timeout=300.0)
        assert simulated_time.now - started < 900
        assert len(api.posted) == 1

    def test_a_refused_lookup_fails_immediately_and_keeps_the_record(self, api, record, create):
        api.posts, api.lists = ["lost"], ["ok", "403"]
        with pytest.raises(PermissionDenied):
            create()
        assert create() == "export-0001"
        assert len(api.exports) == 1

    def test_a_failed_export_is_adopted_only_if_there_is_no_other(self, simulated_time, api, create):
        api.posts = ["500"]
        client_sleep = simulated_time.sleep

        def meanwhile(seconds):
            if not api.exports:
                api.add_export(YESTERDAY.body(), status="error")
                api.add_export(YESTERDAY.body(), status="queued")
            client_sleep(seconds)

        simulated_time.sleep = meanwhile
        assert create() == "export-0002"


class TestRateLimit:
    def test_a_rate_limited_request_is_retried(self, simulated_time, api, create):
        api.posts = ["429", "429", "429"]
        assert create() == "export-0001"
        assert len(api.exports) == 1
        assert sum(simulated_time.slept) >= 3 * 7

    def test_retries_end_after_the_retry_timeout(self, simulated_time, api, create):
        api.posts = ["429"] * 1000
        started = simulated_time.now
        with pytest.raises(RateLimited):
            create(retry_timeout=60.0)
        assert simulated_time.now - started <= 61
        assert api.posted == []

    def test_an_unreachable_api_is_retried_until_the_retry_timeout(self, simulated_time, api, create):
        api.posts = ["unreachable"] * 3
        assert create() == "export-0001"
        api.posts = ["unreachable"] * 1000
        with pytest.raises(ConnectionProblem):
            create(record=StoredRecord(simulated_time), retry_timeout=60.0)

    def test_the_recorded_time_of_sending_is_after_the_wait(self, simulated_time, api, record, create):
        respond = api._respond

        def spent(request, status, body, headers=None):
            spend = {"RateLimit-Remaining": "0", "RateLimit-Reset": "300"} if len(api.requests) == 1 else {}
            return respond(request, status, body, {**(headers or {}), **spend})

        api._respond = spent
        started = simulated_time.now
        result, _ = simulated_time.run_alone(create)
        assert result == "export-0001"
        assert simulated_time.now - started > 300
        sent = [state["sent"] for state in record.written if "sent" in state]
        created = api.exports[0]["createdAt"]
        assert sent[0][:18] == created[:18]


class TestRefusal:
    def test_a_rejected_request_leaves_no_record_so_that_corrected_arguments_are_sent_next(self, api, record, create):
        api.posts = ["422"]
        with pytest.raises(RequestRejected):
            create()
        assert record.state is None
        create(TODAY)
        assert api.posted == [TODAY.body()]

    def test_a_refused_key_leaves_no_record_if_nothing_was_sent_before(self, api, record, create):
        api.posts = ["401"]
        with pytest.raises(AuthenticationFailed):
            create()
        assert record.state is None

    def test_a_refused_key_keeps_the_record_if_an_export_may_exist(self, simulated_time, api, record, create):
        api.posts = ["late", "401"]
        api.lateness = 500.0
        with pytest.raises(AuthenticationFailed):
            create()
        assert record.state["state"] == "intent"
        simulated_time.now += 600
        assert create() == "export-0001"
        assert len(api.exports) == 1

    def test_a_key_without_the_read_scope_is_refused_before_anything_is_created(self, api, record, create):
        api.lists = ["403"]
        with pytest.raises(PermissionDenied):
            create()
        assert api.posted == []
        assert record.state is None


class TestKilledAttempt:
    def test_that_sent_nothing_needs_only_one_lookup(self, simulated_time, api, record, create):
        kill_before_sending(simulated_time, record, create)
        simulated_time.slept.clear()
        api.requests.clear()
        assert create() == "export-0001"
        assert simulated_time.slept == [1.0]
        assert api.requests == ["GET /exports?page=1&pageSize=50", "POST /exports"]

    def test_leaves_an_export_that_is_adopted(self, simulated_time, api, record, create):
        kill_after_creating(simulated_time, api, record, create)
        assert create() == "export-0001"
        assert len(api.exports) == len(api.posted) == 1

    def test_leaves_an_export_that_is_adopted_even_if_the_arguments_differ(self, simulated_time, api, record, create):
        kill_after_creating(simulated_time, api, record, create)
        assert create(TODAY) == "export-0001"
        assert len(api.exports) == 1

    def test_leaves_a_recorded_request_that_is_sent(self, simulated_time, api, record, create):
        kill_before_sending(simulated_time, record, create)
        create(TODAY)
        assert api.posted == [YESTERDAY.body()]

    def test_may_still_have_been_waiting_for_its_response(self, simulated_time, api, record, create):
        """It sent its request 25 s ago with a timeout of 30 s; the server creates the export after 80 s."""
        api.lateness = 80.0
        for step in range(1, 99):
            record.text, api.posts = None, ["late"]
            simulated_time.run_alone(create, kill_at=step)
            if api.posted:
                break
        assert api.exports == []
        simulated_time.now += 25
        assert create() == "export-0001"
        assert len(api.exports) == len(api.posted) == 1

    def test_at_any_step_leads_to_exactly_one_export(self):
        """The steps of a process are the start and the end of each request, read and write."""
        for outcome in ("ok", "lost", "500 created", "late", "500", "timeout", "429"):
            step = 0
            result: object = Killed
            while result is Killed:
                step += 1
                simulated_time = SimulatedTime()
                api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
                api.posts = [outcome]

                def create(simulated_time=simulated_time, api=api, record=record):
                    client = api.client()
                    return create_once(
                        client,
                        YESTERDAY,
                        record,
                        lookup_policy=FEW_LOOKUPS,
                        clock=simulated_time.clock,
                        sleep=simulated_time.sleep,
                    )

                result, _ = simulated_time.run_alone(create, kill_at=step)
                simulated_time.now += 300
                assert create() == "export-0001", (outcome, step)
                simulated_time.now += 300
                api.requests.clear()
                assert len(api.exports) == 1, (outcome, step)
                assert create() == "export-0001"
                assert api.requests == []
            assert step > 10

    def test_followed_by_another_one_leads_to_exactly_one_export(self):
        for first in range(2, 17, 2):
            for second in range(1, 17):
                simulated_time = SimulatedTime()
                api, record = FakeApi(simulated_time), StoredRecord(simulated_time)

                def create(simulated_time=simulated_time, api=api, record=record):
                    client = api.client()
                    return create_once(
                        client,
                        YESTERDAY,
                        record,
                        lookup_policy=FEW_LOOKUPS,
                        clock=simulated_time.clock,
                        sleep=simulated_time.sleep,
                    )

                for step in (first, second):
                    simulated_time.run_alone(create, kill_at=step)
                    simulated_time.now += 300
                assert create() == "export-0001"
                assert len(api.exports) == 1, (first, second)


class TestOtherExports:
    @pytest.mark.parametrize(
        "changes",
        [
            pytest.param({"age": 3600}, id="created before the intent"),
            pytest.param({"age": 5}, id="created just before the intent"),
            pytest.param({"origin": "app"}, id="created in the application"),
            pytest.param({"version": "v5"}, id="of another version"),
            pytest.param({"delimiter": ";"}, id="with another delimiter"),
            pytest.param({"exportType": "contacts"}, id="of another type"),
            pytest.param({"filters": TODAY.body()["filters"]}, id="of another day"),
        ],
    )
    def test_are_never_adopted(self, simulated_time, api, record, create, changes):
        if "age" in changes:
            api.add_export(YESTERDAY.body(), **changes)
            kill_before_sending(simulated_time, record, create)
        else:
            kill_before_sending(simulated_time, record, create)
            simulated_time.now += 1
            api.add_export(YESTERDAY.body(), **changes)
        simulated_time.now += 60
        assert create() == "export-0002"

    def test_an_export_since_the_intent_is_preferred_to_an_older_one(self, simulated_time, api, record, create):
        """Clocks may differ, so an export that seems slightly older may be ours, unless there is a better one."""
        api.newest_first = False
        for _ in range(60):
            api.add_export(TODAY.body(), age=7200)
        stale = api.add_export(YESTERDAY.body(), age=10)
        api.posts = ["lost"]
        assert create() != stale["id"]
        assert len(api.posted) == 1


class TestClocks:
    @pytest.mark.parametrize("server", [-7 * 3600.0, 0.0, 7 * 3600.0])
    @pytest.mark.parametrize("worker", [-5 * 3600.0, 5 * 3600.0])
    def test_clocks_may_differ_by_hours(self, simulated_time, api, create, server, worker):
        api.skew = server
        old = api.add_export(YESTERDAY.body(), age=120)
        api.posts = ["lost"]
        found = create(skew=worker)
        assert found != old["id"]
        assert len(api.exports) == 2
        assert len(api.posted) == 1

    def test_a_retry_on_a_worker_with_another_clock_adopts_the_export(self, simulated_time, api, record, create):
        api.skew = 3600.0
        kill_after_creating(simulated_time, api, record, create)
        assert create(skew=-7200.0) == "export-0001"
        assert len(api.exports) == 1

    def test_an_export_is_adopted_if_its_clock_is_slightly_behind(self, simulated_time, api, record, create):
        kill_before_sending(simulated_time, record, create)
        api.add_export(YESTERDAY.body(), age=20)
        assert create() == "export-0001"


def kill_before_sending(simulated_time, record, create):
    """Kill an attempt between writing its intent and sending its request."""
    for step in range(1, 99):
        record.text = None
        simulated_time.run_alone(create, kill_at=step)
        if record.state is not None:
            assert "sent" not in record.state
            return
    raise AssertionError("no such step")


def kill_after_creating(simulated_time, api, record, create):
    """Kill an attempt after its export was created and before it receives the response."""
    for step in range(1, 99):
        record.text = None
        simulated_time.run_alone(create, kill_at=step)
        if api.exports:
            assert "export_id" not in record.state
            return
    raise AssertionError("no such step")
