# SPDX-License-Identifier: Apache-2.0
"""Looking for the export of a request without a response, in whatever order the list is and whatever it omits."""

from __future__ import annotations

import random

import pytest

from airflow_provider_connectif.api.creation import create_once
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.lookup import LookupPolicy
from tests.api.simulated_time import Killed

ACTIVITIES = ExportRequest.of("activities", from_date="2026-11-01T00:00:00Z", to_date="2026-11-02T00:00:00Z")
OTHER_DAY = ExportRequest.of("activities", from_date="2026-11-02T00:00:00Z", to_date="2026-11-03T00:00:00Z")
CONTACTS = ExportRequest.of("contacts")
SEGMENT = ExportRequest.of("contacts", segment_id="s1")
REPORT = ExportRequest.of("data-explorer", report_id="r1", from_date="2026-11-01", to_date="2026-11-01")
OTHER_REPORT = ExportRequest.of("data-explorer", report_id="r2", from_date="2026-11-01", to_date="2026-11-01")


@pytest.fixture
def create(simulated_time, api, record):
    """Return a function that runs one attempt of the task, as a separate process."""

    def create(request=ACTIVITIES, *, timeout=30.0, kill_at=0, **arguments):
        def attempt():
            client = api.client(timeout=timeout)
            return create_once(
                client, request, record, clock=simulated_time.clock, sleep=simulated_time.sleep, **arguments
            )

        return simulated_time.run_alone(attempt, kill_at=kill_at)[0]

    return create


def kill_after_sending(api, record, create, **arguments):
    """Run attempts that are killed one step later each time, until one of them has sent its request."""
    outcomes, step = api.posts, 0
    while not api.arrived:
        step += 1
        record.text, api.posts = None, list(outcomes)
        api.posted.clear()
        assert create(kill_at=step, **arguments) is Killed


class TestSlowSender:
    @pytest.mark.parametrize("successor", [5.0, 30.0, 120.0])
    @pytest.mark.parametrize("timeout", [5.0, 30.0, 90.0])
    def test_the_grace_period_starts_when_it_has_given_up_at_the_latest(
        self, simulated_time, api, record, create, timeout, successor
    ):
        """It takes nearly its timeout to connect, and the server creates the export nearly a minute after it gave up.

        Its successor may have another timeout, because the connection has been changed.
        """
        api.posts, api.slowness, api.lateness = ["slow"], timeout - 1, timeout + 59
        kill_after_sending(api, record, create, timeout=timeout)
        assert create(timeout=successor) == "export-0001"
        assert len(api.exports) == len(api.posted) == 1

    def test_it_is_not_waited_for_longer_than_that(self, simulated_time, api, record, create):
        api.posts = ["timeout"]
        kill_after_sending(api, record, create)
        started = simulated_time.now
        create()
        assert simulated_time.now - started < 1 + 2 * 30 + 60 + 10
        assert len(api.posted) == 2


class TestOrder:
    @pytest.mark.parametrize("newest_first", [True, False])
    @pytest.mark.parametrize("earlier", [0, 60, 160])
    def test_a_similar_export_of_just_before_is_not_adopted_wherever_it_is_in_the_list(
        self, api, record, create, newest_first, earlier
    ):
        api.newest_first = newest_first
        for age in range(earlier):
            api.add_export(OTHER_DAY.body(), age=7200 + age)
        twin = api.add_export(ACTIVITIES.body(), age=5)
        api.posts = ["500"]
        assert create() != twin["id"]
        assert len(api.posted) == 2

    @pytest.mark.parametrize("seed", range(5))
    def test_a_list_without_an_order_is_read_to_its_end(self, api, create, seed):
        api.shuffled = random.Random(seed)
        for age in range(160):
            api.add_export(OTHER_DAY.body(), age=7200 + age)
        twin = api.add_export(ACTIVITIES.body(), age=5)
        api.posts = ["500"]
        read = api._get
        api._get = lambda request: setattr(api, "shuffled", random.Random(seed)) or read(request)
        assert create() != twin["id"]
        assert len(api.posted) == 2

    def test_a_list_that_begins_with_the_newest_takes_one_request(self, api, create):
        for age in range(160):
            api.add_export(ACTIVITIES.body(), age=60 + age)
        create()
        assert api.requests == ["GET /exports?page=1&pageSize=50", "POST /exports"]

    def test_a_list_whose_first_page_is_all_new_is_read_on(self, api, create):
        for age in range(160):
            api.add_export(ACTIVITIES.body(), age=age / 10)
        api.posts = ["500"]
        create()
        assert len(api.exports) == 161
        assert "GET /exports?page=4" in api.requests

    def test_a_page_that_fails_does_not_matter_after_the_export_was_seen(self, api, create):
        for age in range(60):
            api.add_export(OTHER_DAY.body(), age=age / 10)
        api.posts, api.lists = ["lost"], ["ok", "ok", "ok"] + ["503"] * 1000
        assert create() == "export-0061"
        assert len(api.posted) == 1

    def test_equal_times_show_no_order(self, api, create):
        api.newest_first = False
        for _ in range(60):
            api.add_export(OTHER_DAY.body(), age=7200)
        twin = api.add_export(ACTIVITIES.body(), age=5)
        api.posts = ["500"]
        assert create() != twin["id"]

    def test_only_recent_exports_are_recorded(self, api, record, create):
        for age in (3600, 60, 10, 5):
            api.add_export(ACTIVITIES.body(), age=age)
        create()
        assert record.state["others"] == ["export-0004", "export-0003"]


class TestListWithoutFilters:
    @pytest.fixture(autouse=True)
    def without_filters(self, api):
        api.list_omits_filters = True

    @pytest.mark.parametrize("request_", [ACTIVITIES, REPORT, SEGMENT, CONTACTS], ids=str)
    def test_an_export_is_recognized_by_what_its_own_resource_says(self, api, create, request_):
        api.posts = ["lost"]
        assert create(request_) == "export-0001"
        assert len(api.posted) == 1
        assert "GET /exports/export-0001" in api.requests

    @pytest.mark.parametrize(
        ("request_", "other"),
        [(ACTIVITIES, OTHER_DAY), (REPORT, OTHER_REPORT), (CONTACTS, SEGMENT), (SEGMENT, CONTACTS)],
    )
    def test_an_export_with_other_filters_is_not_adopted(self, simulated_time, api, create, request_, other):
        api.posts = ["500"]
        sleep = simulated_time.sleep

        def meanwhile(seconds):
            if api.posted and not api.exports:
                api.add_export(other.body())
            sleep(seconds)

        simulated_time.sleep = meanwhile
        assert create(request_) == "export-0002"
        assert api.requests.count("GET /exports/export-0001") == 1, "it is asked for once"

    def test_a_similar_export_of_just_before_is_not_adopted(self, api, create):
        twin = api.add_export(ACTIVITIES.body(), age=5)
        api.posts = ["500"]
        assert create() != twin["id"]

    def test_nothing_is_asked_for_if_the_response_arrives(self, api, create):
        api.add_export(ACTIVITIES.body(), age=5)
        create()
        assert api.requests == ["GET /exports?page=1&pageSize=50", "POST /exports"]

    def test_an_export_that_cannot_be_found_at_first_is_asked_for_again(self, api, create):
        api.posts, api.lists = ["lost"], ["ok", "ok", "404", "ok"]
        assert create(lookup_policy=LookupPolicy(interval=1.0)) == "export-0001"
        assert len(api.posted) == 1
        assert api.requests.count("GET /exports/export-0001") == 2

    def test_an_export_whose_filters_the_api_never_shows_is_not_adopted(self, api, create):
        api.posts = ["lost"]
        original = api.add_export
        api.add_export = lambda body, **others: original(body, **others) | (api.exports[-1].pop("filters") and {})
        assert create() == "export-0002"
