# SPDX-License-Identifier: Apache-2.0
"""Each DAG of the pages is run, and does what its page says."""

from __future__ import annotations

import asyncio
import csv
import json

import pytest
import requests
from airflow.sdk import Asset

from airflow_provider_connectif.api.polling import event_stream
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.docs.conftest import PLAYED, STARTED_BY_AN_ASSET
from tests.docs.pages import ROOT
from tests.docs.playing import dag_blocks, dag_id
from tests.leaks import words_before_a_secret

pytestmark = pytest.mark.system


@pytest.mark.parametrize("name", PLAYED)
def test_it_ends_in_success(played, name):
    run = played.of(name)
    assert run.state == "success", run.output[-3000:]
    assert {state for _, _, state in run.tasks} == {"success"}


def test_none_writes_a_secret(played):
    for each, run in played.runs.items():
        assert words_before_a_secret(run.output) is None, each


def test_an_id_is_what_asking_returns(played):
    ids = played.of("howto_create_export").returned
    assert set(ids) == {"contacts", "activities", "report"}
    assert len(set(ids.values())) == 3


def test_waiting_returns_what_was_waited_for_in_the_order_given(played):
    returned = played.of("howto_wait_for_export").returned
    assert returned["one"] == returned["contacts"]
    assert returned["both"] == [returned["contacts"], returned["logins"]]
    assert returned["made_by_a_person"] not in returned["both"]


def test_storing_returns_what_is_there(played):
    returned = played.of("howto_store_export").returned
    for file in returned["purchases"]["files"]:
        assert f"{file['path']}: {file['bytes']} bytes" in returned["tell"]
    [contacts] = (played.lake / "contacts").glob("*/*.csv.gz")
    assert [contacts.as_uri()] == [file["path"] for file in returned["contacts"]["files"]]


def test_the_own_operator_measures_how_long_the_export_took(played):
    assert 0 < played.of("howto_deferrable_trigger").returned["measure"] < 5


def test_the_hook_finds_the_finished_reports_of_the_week(played):
    found = played.of("howto_use_the_hook").returned["finished_reports"]
    assert isinstance(found, list)


def test_csv_is_read_with_all_its_rows(played):
    rows = played.of("howto_csv").returned["rows"]
    assert {path.endswith("-products.csv"): count for path, count in rows.items()}[False] == 200
    for path, count in rows.items():
        with open(path.removeprefix("file://"), encoding="utf-8-sig", newline="") as file:
            assert sum(1 for _ in csv.reader(file)) == count + 1


def test_compressed_csv_is_read_with_all_its_rows(played):
    assert played.of("howto_csv_gz").returned["rows"] == 200


def test_the_archive_names_its_files(played):
    [name] = played.of("howto_archive").returned["names"]
    assert name.endswith(".csv")


def test_the_watcher_announces_an_export_that_a_person_makes(dag_bag, monkeypatch):
    """The trigger of the page's own asset, run as Airflow before 3.3 runs it: without a shared stream."""
    monkeypatch.setattr(event_stream, "MIN_ROUND_INTERVAL", 0.1)
    monkeypatch.setattr(event_stream, "DELIVERY_SECONDS", 0.05)
    [asset] = [
        asset
        for asset in _assets_of(dag_bag.dags["howto_watch_for_exports"])
        if asset.name == "contacts_made_in_application"
    ]
    path, arguments = type(trigger := asset.watchers[0].trigger), trigger.serialize()[1]
    again = path(**{**json.loads(json.dumps(arguments)), "poke_interval": 0.1})

    async def first_event(sandbox):
        events = again.run()
        waiting = asyncio.ensure_future(anext(events))
        await asyncio.sleep(0.5)
        assert not waiting.done()
        made = await asyncio.to_thread(_person_makes, sandbox, "contacts")
        await asyncio.to_thread(_person_makes, sandbox, "activities")
        event = await asyncio.wait_for(waiting, 20)
        await events.aclose()
        return event.payload["export_id"], made

    with Sandbox(SandboxOptions(seconds_per_export=0.2, seed=3)).serve(port=0) as sandbox:
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", sandbox.connection_json)
        announced, made = asyncio.run(first_event(sandbox))
    assert announced == made


def _assets_of(dag):
    from airflow.sdk.definitions.asset import AssetAll

    asset = dag.schedule if not isinstance(dag.schedule, (list, tuple)) else dag.schedule[0]
    if isinstance(asset, Asset):
        return [asset]
    assert isinstance(asset, AssetAll) or hasattr(asset, "asset_condition")
    condition = getattr(asset, "asset_condition", asset)
    return [found for _, found in condition.iter_assets()]


def _person_makes(sandbox, export_type):
    answer = requests.post(f"{sandbox.url}/_sandbox/exports", json={"exportType": export_type}, timeout=10)
    return answer.json()["ids"][0]


def test_every_how_to_is_run():
    pages = {path.stem for path in (ROOT / "docs/howto").glob("*.md")}
    assert pages == {
        block.page.stem
        for block in dag_blocks()
        if block.page.parent.name == "howto" and dag_id(block) in {*PLAYED, *STARTED_BY_AN_ASSET}
    }
