# SPDX-License-Identifier: Apache-2.0
"""A refusal is definite only when the API repeats it over the grace period (promise 1)."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.errors import AuthenticationFailed, NotFound, PermissionDenied
from airflow_provider_connectif.api.refusals import RefusalPolicy, Refusals
from tests.api.simulated_time import BASE

POLICY = RefusalPolicy(seen=10, unseen=30, interval=4)
FOUND = {"json": {"id": "e1", "status": "queued"}}


def refusal(status):
    return {"status_code": status, "json": {"status": status, "title": "No"}}


class TestRefusals:
    @pytest.fixture
    def refusals(self, simulated_time):
        return Refusals(POLICY, clock=simulated_time.clock)

    def test_one_is_not_definite_however_late_it_comes(self, refusals, simulated_time):
        simulated_time.now += 1000
        assert not refusals.is_definite("e1")

    def test_they_are_definite_after_the_grace_period(self, refusals, simulated_time):
        assert not refusals.is_definite("e1")
        simulated_time.now += 29
        assert not refusals.is_definite("e1")
        simulated_time.now += 1
        assert refusals.is_definite("e1")

    def test_they_are_definite_sooner_for_an_export_that_has_been_seen(self, refusals, simulated_time):
        refusals.see("e1")
        assert not refusals.is_definite("e1")
        simulated_time.now += 10
        assert refusals.is_definite("e1")

    def test_the_grace_period_begins_again_when_the_export_is_seen(self, refusals, simulated_time):
        refusals.is_definite("e1")
        simulated_time.now += 29
        refusals.see("e1")
        simulated_time.now += 9
        assert not refusals.is_definite("e1")
        simulated_time.now += 9
        assert not refusals.is_definite("e1")

    def test_each_export_has_its_own(self, refusals, simulated_time):
        refusals.is_definite("e1")
        simulated_time.now += 30
        assert not refusals.is_definite("e2")


class TestGetExistingExport:
    @pytest.fixture
    def api(self, requests_mock):
        return requests_mock

    @pytest.fixture
    def client(self, make_client):
        return make_client(refusal_policy=POLICY)

    def test_it_is_returned_though_the_api_did_not_know_it_at_first(self, api, client):
        api.get(f"{BASE}/exports/e1", [refusal(404), refusal(404), FOUND])
        assert client.get_existing_export("e1").id == "e1"

    @pytest.mark.parametrize(("seen", "seconds"), [(False, 32), (True, 12)])
    def test_it_is_missing_after_the_grace_period(self, api, client, simulated_time, seen, seconds):
        api.get(f"{BASE}/exports/e1", **refusal(404))
        with pytest.raises(NotFound):
            client.get_existing_export("e1", seen=seen)
        assert sum(simulated_time.slept) == seconds

    def test_a_403_is_raised_at_once(self, api, client):
        api.get(f"{BASE}/exports/e1", **refusal(403))
        with pytest.raises(PermissionDenied):
            client.get_existing_export("e1")
        assert api.call_count == 1

    def test_a_403_that_contradicts_an_earlier_response_is_not_believed(self, api, client):
        api.get(f"{BASE}/exports/e1", [refusal(403), FOUND])
        assert client.get_existing_export("e1", seen=True).id == "e1"

    def test_a_401_is_raised_at_once(self, api, client):
        api.get(f"{BASE}/exports/e1", **refusal(401))
        with pytest.raises(AuthenticationFailed):
            client.get_existing_export("e1", seen=True)
        assert api.call_count == 1
