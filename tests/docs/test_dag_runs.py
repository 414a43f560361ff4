# SPDX-License-Identifier: Apache-2.0
"""Each DAG of the pages runs and does what its page says."""

from __future__ import annotations

import asyncio
import csv
import json
import re

import pytest
import requests
from airflow.sdk import Asset

from airflow_provider_connectif.api.polling import event_stream
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.docs.conftest import BY_HAND, DAGS, DAY, PARTITIONED, RUN_ELSEWHERE, STARTED_BY_AN_ASSET
from tests.docs.pages import ROOT, dag_blocks
from tests.leaks import words_before_a_secret

pytestmark = pytest.mark.system


@pytest.mark.parametrize("dag", DAGS)
def test_it_succeeds(page_runs, dag):
    run = page_runs.of(dag)
    assert run.state == "success", run.output[-3000:]
    assert {state for _, _, state in run.tasks} == {"success"}


def test_no_run_writes_a_secret(page_runs):
    for run, result in page_runs.results.items():
        assert words_before_a_secret(result.output) is None, run


def test_columns_can_be_compared_in_each_run(page_runs):
    for run, result in page_runs.results.items():
        assert "The columns were not compared" not in result.output, run
        assert "cannot compare their columns" not in result.output, run


def test_a_run_by_hand_exports_the_range_of_its_params(page_runs):
    run = page_runs.of("activities_by_hand", date="", conf=json.dumps(BY_HAND))
    assert run.state == "success", run.output[-3000:]
    manifest = json.loads((page_runs.lake / "connectif/activities/2026-11-01/_connectif_manifest.json").read_text())
    filters = manifest["export"]["filters"]
    assert (filters["fromDate"], filters["toDate"]) == ("2026-10-31T23:00:00.000Z", "2026-11-07T23:00:00.000Z")


def test_a_run_by_hand_without_params_fails_with_the_message_in_troubleshooting(page_runs):
    run = page_runs.of("activities_by_hand", date="")
    assert run.state == "failed"
    assert run.created == 0
    message = "'data_interval_start' is undefined"
    assert message in run.output
    assert f"### {message}\n" in (ROOT / "docs/troubleshooting.md").read_text()


def test_the_run_of_a_partition_exports_its_day_and_announces_its_key(page_runs):
    run = page_runs.of(PARTITIONED, date="", partition=DAY)
    assert run.state == "success", run.output[-3000:]
    manifest = json.loads((page_runs.lake / f"connectif/purchases/{DAY}/_connectif_manifest.json").read_text())
    filters = manifest["export"]["filters"]
    assert (filters["fromDate"], filters["toDate"]) == ("2026-03-28T23:00:00.000Z", "2026-03-29T22:00:00.000Z")
    assert run.partition_keys == [DAY]


def test_a_run_without_a_partition_key_fails_with_the_message_in_troubleshooting(page_runs):
    run = page_runs.of(PARTITIONED, date="")
    assert (run.state, run.created) == ("failed", 0)
    message = "'None' has no attribute 'in_timezone'"
    assert message in run.output
    assert f"### {message}\n" in (ROOT / "docs/troubleshooting.md").read_text()


def test_an_export_of_a_month_announces_each_day(page_runs):
    run = page_runs.of("purchases_by_range")
    assert sorted(run.partition_keys) == [f"2026-03-{day:02}" for day in range(1, 32)]
    assert run.created == 1


def test_native_rendering_keeps_lists_and_ids(page_runs):
    returned = page_runs.of("howto_native_rendering").returned
    assert returned["wait"] == returned["create"]


def test_the_event_of_an_asset_has_the_keys_of_the_page(page_runs):
    page = (ROOT / "docs/guides/airflow-features.md").read_text()
    documented = re.findall(r"^\| `(\w+)` \|", page.partition("`event.extra`")[2].partition("\n\n")[0], re.MULTILINE)
    [extra] = page_runs.of("howto_asset_producer").events["connectif_purchases"]
    assert set(extra) <= set(documented)
    assert set(documented) - {"items", "schema_changes"} <= set(extra)
    assert extra["files"] == [
        {name: file[name] for name in ("path", "bytes", "rows", "columns", "part")}
        for file in page_runs.of("howto_asset_producer").returned["purchases"]["files"]
    ]


def test_creating_an_export_returns_its_id(page_runs):
    ids = page_runs.of("howto_create_export").returned
    assert set(ids) == {"contacts", "activities", "report"}
    assert len(set(ids.values())) == 3


def test_waiting_returns_the_ids_in_the_given_order(page_runs):
    returned = page_runs.of("howto_wait_for_export").returned
    assert returned["one"] == returned["contacts"]
    assert returned["both"] == [returned["contacts"], returned["logins"]]
    assert returned["made_by_a_person"] not in returned["both"]


def test_storing_returns_the_stored_files(page_runs):
    returned = page_runs.of("howto_store_export").returned
    for file in returned["purchases"]["files"]:
        assert f"{file['path']}: {file['bytes']} bytes" in returned["describe"]
    [contacts] = (page_runs.lake / "contacts").glob("*/*.csv.gz")
    assert [contacts.as_uri()] == [file["path"] for file in returned["contacts"]["files"]]


def test_the_custom_operator_measures_how_long_the_export_took(page_runs):
    assert 0 < page_runs.of("howto_deferrable_trigger").returned["measure"] < 5


def test_the_hook_lists_the_finished_reports_of_the_week(page_runs):
    found = page_runs.of("howto_use_the_hook").returned["finished_reports"]
    assert isinstance(found, list)


def test_all_rows_of_a_csv_file_are_read(page_runs):
    rows = page_runs.of("howto_csv").returned["count_rows"]
    assert {path.endswith("-products.csv"): count for path, count in rows.items()}[False] == 200
    for path, count in rows.items():
        with open(path.removeprefix("file://"), encoding="utf-8-sig", newline="") as file:
            assert sum(1 for _ in csv.reader(file)) == count + 1


def test_all_rows_of_a_compressed_csv_file_are_read(page_runs):
    assert page_runs.of("howto_csv_gz").returned["count_rows"] == 200


def test_the_columns_of_a_parquet_file_have_the_declared_types(page_runs):
    types = page_runs.of("howto_parquet").returned["describe"]
    assert (types["createdAt"], types["points"]) == ("timestamp[us, tz=UTC]", "int64")
    assert types["mobilePhone"] == "string"


def test_the_members_of_the_archive_are_listed(page_runs):
    [name] = page_runs.of("howto_archive").returned["list_members"]
    assert name.endswith(".csv")


def test_the_watcher_announces_an_export_made_in_the_application(dag_bag, monkeypatch):
    """Run the trigger of the page as Airflow does before 3.3, without a shared stream."""
    monkeypatch.setattr(event_stream, "MIN_ROUND_INTERVAL", 0.1)
    monkeypatch.setattr(event_stream, "DELIVERY_SECONDS", 0.05)
    [asset] = [
        asset
        for asset in _assets_of(dag_bag.dags["howto_watch_for_exports"])
        if asset.name == "contacts_made_in_application"
    ]
    path, arguments = type(declared := asset.watchers[0].trigger), declared.serialize()[1]
    trigger = path(**{**json.loads(json.dumps(arguments)), "poke_interval": 0.1})

    async def first_event(sandbox):
        events = trigger.run()
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        created = await asyncio.to_thread(_create_in_app, sandbox, "contacts")
        await asyncio.to_thread(_create_in_app, sandbox, "activities")
        event = await asyncio.wait_for(waiting, 20)
        await events.aclose()
        return event.payload["export_id"], created

    with Sandbox(SandboxOptions(seconds_per_export=0.2, seed=3)).serve(port=0) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", sandbox.connection_json)
        announced, created = asyncio.run(first_event(sandbox))
    assert announced == created


def _assets_of(dag):
    from airflow.sdk.definitions.asset import AssetAll

    asset = dag.schedule if not isinstance(dag.schedule, (list, tuple)) else dag.schedule[0]
    if isinstance(asset, Asset):
        return [asset]
    assert isinstance(asset, AssetAll) or hasattr(asset, "asset_condition")
    condition = getattr(asset, "asset_condition", asset)
    return [found for _, found in condition.iter_assets()]


def _create_in_app(sandbox, export_type):
    response = requests.post(f"{sandbox.url}/_sandbox/exports", json={"exportType": export_type}, timeout=10)
    return response.json()["ids"][0]


def test_a_dag_of_every_guide_runs():
    guides = {path.stem for path in (ROOT / "docs/guides").glob("*.md")}
    assert guides == {
        block.page.stem
        for block in dag_blocks()
        if block.page.parent.name == "guides" and block.dag_id in {*DAGS, *STARTED_BY_AN_ASSET}
    }


def test_every_dag_that_runs_elsewhere_is_on_a_page():
    assert {block.dag_id for block in dag_blocks()} >= RUN_ELSEWHERE
