# SPDX-License-Identifier: Apache-2.0
"""Promise 1: one export for each task instance, whatever is lost, killed or repeated on the way."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.creation import LookupPolicy, MemoryRecord, create_once, mark_done
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
FEW_LOOKS = LookupPolicy(interval=20.0)


@pytest.fixture
def api(simulated_time: SimulatedTime) -> FakeApi:
    return FakeApi(simulated_time)


@pytest.fixture
def record(simulated_time: SimulatedTime) -> StoredRecord:
    return StoredRecord(simulated_time)


@pytest.fixture
def create(simulated_time, api, record):
    """One try of the task, in a process of its own."""

    def create(request=YESTERDAY, *, record=record, skew=0.0, timeout=30.0, **arguments):
        client = api.client(skew=skew, timeout=timeout)
        return create_once(client, request, record, clock=client._clock, sleep=simulated_time.sleep, **arguments)

    return create


class TestWithoutTrouble:
    def test_a_first_try_creates_one_and_records_its_id(self, api, record, create):
        assert create() == "export-0001"
        assert len(api.exports) == 1
        assert record.state["state"] == "created"
        assert record.state["export_id"] == "export-0001"
        assert api.posted == [YESTERDAY.body()]

    def test_the_intent_is_written_before_the_creation_is_sent(self, api, record, create):
        create()
        assert [state["state"] for state in record.written] == ["intent", "intent", "created"]
        assert ["sent" in state for state in record.written[:2]] == [False, True]

    def test_it_costs_one_look_and_one_creation(self, api, create):
        create()
        assert api.requests == ["GET /exports?page=1&pageSize=50", "POST /exports"]

    def test_nothing_is_slept_but_for_another_process_to_show(self, simulated_time, create):
        create()
        assert simulated_time.slept == [1.0]

    def test_a_record_in_memory_needs_no_such_pause(self, simulated_time, create):
        create(record=MemoryRecord())
        assert simulated_time.slept == []

    def test_a_later_try_finds_the_recorded_id_without_asking_the_api(self, api, create):
        create()
        api.requests.clear()
        assert create() == "export-0001"
        assert api.requests == []

    @pytest.mark.parametrize("request_", [YESTERDAY, REPORT, CONTACTS], ids=lambda request: request.export_type)
    def test_every_type_is_created_at_its_own_path(self, api, create, request_):
        create(request_)
        assert api.requests[-1] == f"POST {request_.path}"

    def test_a_record_in_memory_serves_where_there_is_no_store(self, api, create):
        api.posts = ["lost"]
        assert create(record=MemoryRecord()) == "export-0001"
        assert len(api.exports) == 1


class TestClearing:
    def test_a_retry_of_a_success_that_was_never_reported_finds_its_export(self, record, create):
        create(generation=2)
        mark_done(record, 2)
        assert create(generation=2) == "export-0001"

    def test_a_cleared_success_asks_anew(self, api, record, create):
        create(generation=0)
        mark_done(record, 0)
        assert create(TODAY, generation=1) == "export-0002"
        assert api.posted[-1] == TODAY.body()

    def test_a_cleared_success_never_adopts_the_export_of_the_success(self, simulated_time, api, record, create):
        api.newest_first = False
        for _ in range(60):  # so that the first page does not show it
            api.make(TODAY.body(), age=7200)
        first = create(generation=0)
        mark_done(record, 0)
        simulated_time.now += 3
        api.posts = ["cut"]
        assert create(generation=1) != first
        assert len(api.posted) == 3

    def test_a_cleared_failure_keeps_the_export_that_it_has_created(self, create):
        create(generation=0)
        assert create(generation=1) == "export-0001"

    def test_a_failure_that_is_cleared_with_mended_arguments_asks_for_them(self, api, create):
        create(generation=0)
        assert create(TODAY, generation=1) == "export-0002"
        assert api.posted == [YESTERDAY.body(), TODAY.body()]

    def test_a_mere_retry_keeps_its_export_though_its_templates_render_anew(self, api, create):
        create(generation=0)
        assert create(TODAY, generation=0) == "export-0001"
        assert api.posted == [YESTERDAY.body()]

    def test_a_cleared_failure_without_an_export_asks_with_its_present_arguments(self, simulated_time, api, create):
        api.posts = ["500"] * 3
        with pytest.raises(CreationOutcomeUnknown):
            create(generation=0)
        simulated_time.now += 3600
        assert create(TODAY, generation=1) == "export-0001"
        assert api.posted[-1] == TODAY.body()

    def test_marking_what_was_never_created_does_nothing(self, record):
        mark_done(record, 1)
        assert record.state is None


class TestAnAnswerThatIsLost:
    @pytest.mark.parametrize("fate", ["500 created", "lost", "late", "html"])
    def test_the_export_that_was_created_all_the_same_is_adopted(self, api, record, create, fate):
        api.posts = [fate]
        assert create() == "export-0001"
        assert len(api.exports) == len(api.posted) == 1
        assert record.state["export_id"] == "export-0001"

    @pytest.mark.parametrize("fate", ["500", "cut", "timeout"])
    def test_what_was_not_created_is_sent_again_only_after_the_grace(self, simulated_time, api, create, fate):
        api.posts = [fate]
        began = simulated_time.now
        assert create(timeout=10.0) == "export-0001"
        assert len(api.exports) == 1
        assert len(api.posted) == 2
        assert simulated_time.now - began > 60

    def test_the_grace_begins_when_the_sender_gives_up_however_long_its_timeout(self, api, create):
        api.posts = ["late"]
        api.lateness = 160.0
        assert create(timeout=120.0) == "export-0001"
        assert len(api.exports) == len(api.posted) == 1

    def test_it_is_sent_no_more_often_than_allowed(self, api, create):
        api.posts = ["500"] * 9
        with pytest.raises(CreationOutcomeUnknown, match="in 2 attempts") as raised:
            create(lookup_policy=LookupPolicy(attempts=2))
        assert len(api.posted) == 2
        assert raised.value.final is False

    def test_the_grace_and_its_pauses_are_the_callers(self, simulated_time, api, create):
        api.posts = ["500"]
        create(lookup_policy=LookupPolicy(grace_period=20, interval=4))
        assert [pause for pause in simulated_time.slept if pause != 1.0] in ([4.0] * 5, [4.0] * 6)

    def test_a_look_that_fails_for_a_moment_is_repeated(self, api, create):
        api.posts, api.lists = ["lost"], ["ok"] + ["503"] * 8
        assert create() == "export-0001"
        assert len(api.posted) == 1

    def test_a_look_that_fails_for_long_ends_within_the_patience(self, simulated_time, api, create):
        api.posts, api.lists = ["lost"], ["ok"] + ["503"] * 5000
        began = simulated_time.now
        with pytest.raises(ServerError):
            create(retry_timeout=300.0)
        assert simulated_time.now - began < 900
        assert len(api.posted) == 1

    def test_a_look_that_is_refused_fails_at_once_and_keeps_the_record(self, api, record, create):
        api.posts, api.lists = ["lost"], ["ok", "403"]
        with pytest.raises(PermissionDenied):
            create()
        assert create() == "export-0001"
        assert len(api.exports) == 1

    def test_one_that_has_failed_is_adopted_only_when_there_is_no_better(self, simulated_time, api, create):
        api.posts = ["500"]
        client_sleep = simulated_time.sleep

        def meanwhile(seconds):
            if not api.exports:
                api.make(YESTERDAY.body(), status="error")
                api.make(YESTERDAY.body(), status="queued")
            client_sleep(seconds)

        simulated_time.sleep = meanwhile
        assert create() == "export-0002"


class TestTheRateLimit:
    def test_a_creation_that_is_limited_is_sent_again(self, simulated_time, api, create):
        api.posts = ["429", "429", "429"]
        assert create() == "export-0001"
        assert len(api.exports) == 1
        assert sum(simulated_time.slept) >= 3 * 7

    def test_patience_with_it_ends(self, simulated_time, api, create):
        api.posts = ["429"] * 1000
        began = simulated_time.now
        with pytest.raises(RateLimited):
            create(retry_timeout=60.0)
        assert simulated_time.now - began <= 61
        assert api.posted == []

    def test_an_api_that_cannot_be_reached_is_tried_again_within_the_patience(self, simulated_time, api, create):
        api.posts = ["unreachable"] * 3
        assert create() == "export-0001"
        api.posts = ["unreachable"] * 1000
        with pytest.raises(ConnectionProblem):
            create(record=StoredRecord(simulated_time), retry_timeout=60.0)

    def test_the_wait_for_it_is_over_before_the_moment_of_sending_is_noted(self, simulated_time, api, record, create):
        limited = api._answer

        def spent(request, status, body, headers=None):
            spend = {"RateLimit-Remaining": "0", "RateLimit-Reset": "300"} if len(api.requests) == 1 else {}
            return limited(request, status, body, {**(headers or {}), **spend})

        api._answer = spent
        began = simulated_time.now
        result, _ = simulated_time.alone(create)
        assert result == "export-0001"
        assert simulated_time.now - began > 300
        sent = [state["sent"] for state in record.written if "sent" in state]
        created = api.exports[0]["createdAt"]
        assert sent[0][:18] == created[:18]


class TestARefusal:
    def test_a_rejected_request_leaves_no_record_so_that_mended_arguments_are_sent_next(self, api, record, create):
        api.posts = ["422"]
        with pytest.raises(RequestRejected):
            create()
        assert record.state is None
        create(TODAY)
        assert api.posted == [TODAY.body()]

    def test_a_refused_key_leaves_no_record_where_nothing_was_sent_before(self, api, record, create):
        api.posts = ["401"]
        with pytest.raises(AuthenticationFailed):
            create()
        assert record.state is None

    def test_a_refused_key_keeps_the_record_where_an_export_may_exist(self, simulated_time, api, record, create):
        api.posts = ["late", "401"]
        api.lateness = 500.0
        with pytest.raises(AuthenticationFailed):
            create()
        assert record.state["state"] == "intent"
        simulated_time.now += 600
        assert create() == "export-0001"
        assert len(api.exports) == 1

    def test_a_key_that_may_not_read_is_refused_before_anything_is_created(self, api, record, create):
        api.lists = ["403"]
        with pytest.raises(PermissionDenied):
            create()
        assert api.posted == []
        assert record.state is None


class TestAnEarlierTryThatDied:
    def test_without_having_sent_one_look_is_enough(self, simulated_time, api, record, create):
        kill_before_sending(simulated_time, record, create)
        simulated_time.slept.clear()
        api.requests.clear()
        assert create() == "export-0001"
        assert simulated_time.slept == [1.0]
        assert api.requests == ["GET /exports?page=1&pageSize=50", "POST /exports"]

    def test_its_export_is_adopted(self, simulated_time, api, record, create):
        kill_after_creating(simulated_time, api, record, create)
        assert create() == "export-0001"
        assert len(api.exports) == len(api.posted) == 1

    def test_what_was_recorded_counts_though_the_new_try_asks_differently(self, simulated_time, api, record, create):
        kill_after_creating(simulated_time, api, record, create)
        assert create(TODAY) == "export-0001"
        assert len(api.exports) == 1

    def test_what_was_recorded_is_sent_where_nothing_was_created(self, simulated_time, api, record, create):
        kill_before_sending(simulated_time, record, create)
        create(TODAY)
        assert api.posted == [YESTERDAY.body()]

    def test_an_answer_that_it_may_still_have_waited_for_is_waited_for(self, simulated_time, api, record, create):
        """It had sent 25 s ago, with 30 s to wait; the server creates after 80 s."""
        api.lateness = 80.0
        for step in range(1, 99):
            record.text, api.posts = None, ["late"]
            simulated_time.alone(create, kill_at=step)
            if api.posted:
                break
        assert api.exports == []
        simulated_time.now += 25
        assert create() == "export-0001"
        assert len(api.exports) == len(api.posted) == 1

    def test_a_kill_at_any_moment_leads_to_exactly_one_export(self):
        """Every step of a process is one end of something that leaves it: a request, a read or a write."""
        for fate in ("ok", "lost", "500 created", "late", "500", "timeout", "429"):
            step = 0
            result: object = Killed
            while result is Killed:
                step += 1
                simulated_time = SimulatedTime()
                api, record = FakeApi(simulated_time), StoredRecord(simulated_time)
                api.posts = [fate]

                def create(simulated_time=simulated_time, api=api, record=record):
                    client = api.client()
                    return create_once(
                        client,
                        YESTERDAY,
                        record,
                        lookup_policy=FEW_LOOKS,
                        clock=simulated_time.clock,
                        sleep=simulated_time.sleep,
                    )

                result, _ = simulated_time.alone(create, kill_at=step)
                simulated_time.now += 300
                assert create() == "export-0001", (fate, step)
                simulated_time.now += 300
                api.requests.clear()
                assert len(api.exports) == 1, (fate, step)
                assert create() == "export-0001"
                assert api.requests == []
            assert step > 10

    def test_two_kills_one_after_the_other_lead_to_exactly_one_export(self):
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
                        lookup_policy=FEW_LOOKS,
                        clock=simulated_time.clock,
                        sleep=simulated_time.sleep,
                    )

                for step in (first, second):
                    simulated_time.alone(create, kill_at=step)
                    simulated_time.now += 300
                assert create() == "export-0001"
                assert len(api.exports) == 1, (first, second)


class TestWhatIsNeverAdopted:
    @pytest.mark.parametrize(
        "made",
        [
            pytest.param({"age": 3600}, id="made before the intent"),
            pytest.param({"age": 5}, id="made just before the intent"),
            pytest.param({"origin": "app"}, id="made in the application"),
            pytest.param({"version": "v5"}, id="of another version"),
            pytest.param({"delimiter": ";"}, id="with another delimiter"),
            pytest.param({"exportType": "contacts"}, id="of another type"),
            pytest.param({"filters": TODAY.body()["filters"]}, id="of another day"),
        ],
    )
    def test_an_export_of_somebody_else(self, simulated_time, api, record, create, made):
        if "age" in made:
            api.make(YESTERDAY.body(), **made)
            kill_before_sending(simulated_time, record, create)
        else:
            kill_before_sending(simulated_time, record, create)
            simulated_time.now += 1
            api.make(YESTERDAY.body(), **made)
        simulated_time.now += 60
        assert create() == "export-0002"

    def test_among_all_that_fit_the_one_since_the_intent_comes_before_an_older_one(
        self, simulated_time, api, record, create
    ):
        """Clocks may differ, so one that seems a little older may be ours; it is not, where there is a better."""
        api.newest_first = False
        for _ in range(60):
            api.make(TODAY.body(), age=7200)
        stale = api.make(YESTERDAY.body(), age=10)
        api.posts = ["lost"]
        assert create() != stale["id"]
        assert len(api.posted) == 1


class TestClocks:
    @pytest.mark.parametrize("server", [-7 * 3600.0, 0.0, 7 * 3600.0])
    @pytest.mark.parametrize("worker", [-5 * 3600.0, 5 * 3600.0])
    def test_clocks_that_are_hours_apart_do_no_harm(self, simulated_time, api, create, server, worker):
        api.skew = server
        old = api.make(YESTERDAY.body(), age=120)
        api.posts = ["lost"]
        found = create(skew=worker)
        assert found != old["id"]
        assert len(api.exports) == 2
        assert len(api.posted) == 1

    def test_a_next_try_on_a_worker_with_another_clock_adopts_too(self, simulated_time, api, record, create):
        api.skew = 3600.0
        kill_after_creating(simulated_time, api, record, create)
        assert create(skew=-7200.0) == "export-0001"
        assert len(api.exports) == 1

    def test_an_export_whose_clock_is_a_little_behind_is_adopted(self, simulated_time, api, record, create):
        kill_before_sending(simulated_time, record, create)
        api.make(YESTERDAY.body(), age=20)
        assert create() == "export-0001"


def kill_before_sending(simulated_time, record, create):
    """Kill a try between writing its intent and sending it."""
    for step in range(1, 99):
        record.text = None
        simulated_time.alone(create, kill_at=step)
        if record.state is not None:
            assert "sent" not in record.state
            return
    raise AssertionError("no such step")


def kill_after_creating(simulated_time, api, record, create):
    """Kill a try when its export has been created and the answer has not come."""
    for step in range(1, 99):
        record.text = None
        simulated_time.alone(create, kill_at=step)
        if api.exports:
            assert "export_id" not in record.state
            return
    raise AssertionError("no such step")
