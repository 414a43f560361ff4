# SPDX-License-Identifier: Apache-2.0
"""The lifecycle of an export, which follows the clock."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions


def test_an_export_goes_from_queued_through_progress_to_finished(sandbox, client, clock) -> None:
    sandbox.set(queue_seconds=10, seconds_per_export=100, rows=200)
    export_id = client.create()["id"]
    seen = []
    for seconds in (9, 1, 50, 49, 1):
        clock.move(seconds)
        export = client.export(export_id)
        seen.append((export["status"], export.get("progress"), export.get("total")))
    assert seen == [
        ("queued", None, None),
        ("inProgress", 0, 200),
        ("inProgress", 100, 200),
        ("inProgress", 198, 200),
        ("finished", 200, 200),
    ]
    clock.move(1000)
    assert client.export(export_id)["createdAt"] == "2023-04-26T12:00:00.000Z"
    assert client.export(export_id)["finishedAt"] == "2023-04-26T12:01:50.000Z"


def test_an_export_that_takes_no_time_is_finished_immediately(client) -> None:
    assert client.create()["status"] == "finished"


def test_a_fraction_of_the_exports_fails(sandbox, client) -> None:
    sandbox.set(fail=0.25)
    statuses = [client.create()["status"] for _ in range(8)]
    assert statuses == ["finished", "finished", "finished", "error"] * 2


def test_exports_of_the_given_types_fail(sandbox, client) -> None:
    sandbox.set(fail=["activities"])
    assert client.create(client.activities())["status"] == "error"
    assert client.create()["status"] == "finished"


def test_a_failure_may_have_another_status(sandbox, client) -> None:
    sandbox.set(fail=1, error_status="cancelled")
    assert client.create()["status"] == "cancelled"


def test_a_failed_export_may_have_no_finishing_time(sandbox, client) -> None:
    sandbox.set(fail=0.5, hide_finished_at_of_failed=True)
    assert ["finishedAt" in client.create() for _ in range(2)] == [True, False]
    sandbox.set(hide_finished_at_of_failed=False)
    assert "finishedAt" in client.create()


def test_an_unknown_status_is_reported_while_in_progress(sandbox, client, clock) -> None:
    sandbox.set(seconds_per_export=10, unknown_status="archiving")
    export_id = client.create()["id"]
    assert client.export(export_id)["status"] == "archiving"
    clock.move(10)
    assert client.export(export_id)["status"] == "finished"


def test_a_url_may_appear_too_early_and_does_not_work(sandbox, client) -> None:
    sandbox.set(seconds_per_export=10, file_url_in_progress=True)
    export = client.create()
    assert export["status"] == "inProgress"
    assert client.file(export["id"]).status_code == 404


def test_the_first_reads_of_a_finished_export_may_lack_its_url(sandbox, client) -> None:
    sandbox.set(reads_without_file_url=2)
    export = client.create()
    reads = [export, client.export(export["id"]), client.export(export["id"])]
    assert [("fileUrl" in read, read["status"]) for read in reads] == [
        (False, "finished"),
        (False, "finished"),
        (True, "finished"),
    ]


def test_a_shorter_duration_ends_an_export_in_progress_now_and_not_in_the_past(sandbox, client, clock) -> None:
    sandbox.set(seconds_per_export=1000)
    export_id = client.create()["id"]
    clock.move(100)
    sandbox.set(seconds_per_export=0)
    export = client.export(export_id)
    assert (export["status"], export["finishedAt"]) == ("finished", "2023-04-26T12:01:40.000Z")


def test_a_longer_duration_does_not_affect_an_export_that_has_ended_unobserved(sandbox, client, clock) -> None:
    sandbox.set(seconds_per_export=2)
    export_id = client.create()["id"]
    clock.move(5)
    sandbox.set(seconds_per_export=1000)
    export = client.export(export_id)
    assert (export["status"], export["finishedAt"]) == ("finished", "2023-04-26T12:00:02.000Z")


@pytest.mark.parametrize("skew", [90.5, -3600])
def test_the_clock_skew_applies_everywhere(sandbox, client, clock, skew: float) -> None:
    sandbox.set(clock_skew_seconds=skew)
    response = client.post("/exports", client.contacts())
    created = response.json()["createdAt"]
    assert parsedate_to_datetime(response.headers["Date"]).timestamp() == int(clock.now + skew)
    assert created == {90.5: "2023-04-26T12:01:30.500Z", -3600: "2023-04-26T11:00:00.000Z"}[skew]


def test_seeded_exports_are_recent_finished_and_of_both_origins(client, clock) -> None:
    with Sandbox(SandboxOptions(seed=6), clock=clock).serve() as running:
        client.running = running
        exports = client.get("/exports").json()["results"]
        assert len(exports) == 6
        assert {export["origin"] for export in exports} == {"api", "app"}
        assert {export["status"] for export in exports} == {"finished"}
        assert all("2023-04-23T12" < export["createdAt"] < "2023-04-26T12" for export in exports)
        assert running.stats.created_by_api == running.stats.created_in_app == 0
        assert all(client.tables(export["id"]) for export in exports)
