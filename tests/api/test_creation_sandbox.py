# SPDX-License-Identifier: Apache-2.0
"""Promise 1 over real HTTP with the sandbox: the response is lost in every possible way."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.client import ConnectifClient, RetryPolicy
from airflow_provider_connectif.api.creation import LookupPolicy, create_once
from airflow_provider_connectif.api.errors import AuthenticationFailed, PermissionDenied, RequestRejected
from airflow_provider_connectif.api.export_request import ExportRequest
from airflow_provider_connectif.api.records import MemoryRecord
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions

REQUESTS = [
    ExportRequest.of("contacts", segment_id="s1", delimiter=";", date_format="LL", version="v5"),
    ExportRequest.of(
        "activities",
        from_date="2026-11-01T00:00:00.250+01:00",
        to_date="2026-11-02T00:00:00Z",
        activity_types=["purchase", "login"],
    ),
    ExportRequest.of("data-explorer", report_id="r1", from_date="2026-11-01", to_date="2026-11-03"),
]
SHORT = LookupPolicy(grace_period=0.2, interval=0.05)
LONGER = LookupPolicy(grace_period=1.5, interval=0.1)  # the server reports its time in whole seconds


@pytest.fixture(scope="module")
def sandbox():
    with Sandbox().serve() as running:
        yield running


@pytest.fixture
def client(sandbox):
    sandbox.reset()
    with ConnectifClient(sandbox.key, sandbox.url, timeout=0.5, retry_policy=RetryPolicy(max_wait=0.2)) as client:
        yield client


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.export_type)
@pytest.mark.parametrize("filter_dates", ["normal", "as-sent", "date-time"])
def test_after_a_lost_response_the_created_export_is_found(sandbox, client, request_, filter_dates):
    sandbox.set(filter_dates=filter_dates)
    sandbox.fault("create", "create-then-cut")
    export_id = create_once(client, request_, MemoryRecord(), lookup_policy=SHORT)
    assert [created["id"] for created in sandbox.stats.created] == [export_id]
    assert sandbox.stats.created[0]["body"] == request_.body()


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "create-then-500"},
        {"kind": "create-then-503", "times": 2},
        {"kind": "create-then-hang", "seconds": 2.0},
        {"kind": "create-late", "seconds": 0.3},
        {"kind": "500"},
        {"kind": "cut"},
        {"kind": "hang", "seconds": 1.0},
        {"kind": "html"},
        {"kind": "redirect"},
        {"kind": "429", "retry_after": 1},
    ],
    ids=lambda fault: fault["kind"],
)
def test_whatever_happens_to_a_creation_there_is_one_export(sandbox, client, fault):
    sandbox.fault("create", **fault)
    lookup_policy = LONGER if fault["kind"] == "create-late" else SHORT
    export_id = create_once(client, REQUESTS[0], MemoryRecord(), lookup_policy=lookup_policy)
    assert [created["id"] for created in sandbox.stats.created] == [export_id]


@pytest.mark.parametrize("skew", [-7200.0, 7200.0])
def test_the_servers_clock_may_differ_by_hours(sandbox, client, skew):
    sandbox.set(clock_skew_seconds=skew)
    sandbox.fault("create", "create-then-cut")
    export_id = create_once(client, REQUESTS[0], MemoryRecord(), lookup_policy=SHORT)
    assert [created["id"] for created in sandbox.stats.created] == [export_id]


def test_a_rejected_field_is_reported_with_its_path_and_reason(sandbox, client):
    sandbox.set(known_segments=["other"])
    with pytest.raises(RequestRejected, match=r"segment_id \(/filters/segmentId\): Value is not valid"):
        create_once(client, REQUESTS[0], MemoryRecord(), lookup_policy=SHORT)


@pytest.mark.parametrize(
    ("key", "kind"),
    [("read_only_key", PermissionDenied), ("blocked_key", PermissionDenied), ("wrong", AuthenticationFailed)],
)
def test_a_key_without_permission_is_refused(sandbox, key, kind):
    sandbox.reset()
    value = getattr(SandboxOptions(), key, "some:wrong-key")
    with ConnectifClient(value, sandbox.url) as client, pytest.raises(kind):
        create_once(client, REQUESTS[0], MemoryRecord(), lookup_policy=SHORT)
    assert sandbox.stats.created == []
