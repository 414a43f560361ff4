# SPDX-License-Identifier: Apache-2.0
"""The trigger for asset watchers, run as Airflow's triggerer runs it, shared stream included."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_connectif.api.polling import event_stream
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.tasks.state_store import AssetCursorStore
from airflow_provider_connectif.triggers import connectif as triggers
from airflow_provider_connectif.triggers.connectif import ConnectifExportFinishedEventTrigger
from tests.leaks import words_before_a_secret

shared_stream = pytest.importorskip("airflow.triggers.shared_stream", reason="Airflow 3.3 and later")


class AssetStore:
    """What Airflow gives to the trigger of one asset: its store, which outlives the triggerer."""

    def __init__(self, assets: int = 1) -> None:
        self.content: dict[str, str] = {}
        self.assets = assets

    async def aget(self, key: str, default: Any = None) -> Any:
        self._check()
        return json.loads(self.content[key]) if key in self.content else default

    async def aset(self, key: str, value: Any) -> None:
        self._check()
        self.content[key] = json.dumps(value)

    def _check(self) -> None:
        if self.assets != 1:
            raise ValueError(f"Task has {self.assets} concrete inlets and outlets")


@pytest.fixture(autouse=True)
def quick_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "MIN_ROUND_INTERVAL", 0.1)
    monkeypatch.setattr(event_stream, "DELIVERY_SECONDS", 0.05)


class Triggerer:
    """Runs event triggers as Airflow's own does, and keeps what they fire."""

    def __init__(self) -> None:
        self.manager = shared_stream.SharedStreamManager()
        self.fired: dict[int, list[Any]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def run(self, trigger: ConnectifExportFinishedEventTrigger, store: AssetStore | None) -> list[Any]:
        number = len(self.tasks)
        _, arguments = trigger.serialize()
        again = type(trigger)(**json.loads(json.dumps(arguments)))
        again.asset_state_store = store  # type: ignore[assignment]
        self.fired[number] = []
        self.tasks.append(asyncio.create_task(self._run(number, again)))
        return self.fired[number]

    async def _run(self, number: int, trigger: ConnectifExportFinishedEventTrigger) -> None:
        key = trigger.shared_stream_key()
        stream = self.manager.subscribe(trigger_id=number, trigger=trigger, key=key)
        try:
            async for event in trigger.filter_shared_stream(stream):
                self.fired[number].append(event.payload)
        finally:
            await self.manager.unsubscribe(number, key)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _ in range(50):
            if len(asyncio.all_tasks()) == 1:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"left behind: {asyncio.all_tasks()}")


async def until(true: Callable[[], object]) -> None:
    for _ in range(400):
        if true():
            return
        await asyncio.sleep(0.025)
    raise AssertionError("it did not come to that")


def watch(**arguments: Any) -> ConnectifExportFinishedEventTrigger:
    return ConnectifExportFinishedEventTrigger("connectif_default", **{"poke_interval": 0.1, **arguments})


def ids(fired: list[Any]) -> list[str]:
    return [payload["export_id"] for payload in fired]


class TestArguments:
    def test_come_back_the_same_from_their_stored_form(self):
        trigger = ConnectifExportFinishedEventTrigger(
            "c", export_type="contacts", origin="app", report_id="r", file_name="f", consumer="me", poke_interval=30
        )
        path, stored = trigger.serialize()
        assert path.rpartition(".")[2] == "ConnectifExportFinishedEventTrigger"
        assert ConnectifExportFinishedEventTrigger(**json.loads(json.dumps(stored))).serialize() == (path, stored)
        assert stored == {
            "connectif_conn_id": "c",
            "export_type": "contacts",
            "origin": "app",
            "report_id": "r",
            "file_name": "f",
            "consumer": "me",
            "poke_interval": 30,
        }

    @pytest.mark.parametrize(
        ("name", "value"),
        [("export_type", 3), ("origin", ""), ("consumer", ["a"]), ("poke_interval", 0), ("poke_interval", "60")],
    )
    def test_that_are_wrong_fail_when_the_dag_is_parsed(self, name, value):
        with pytest.raises(ConnectifArgumentError, match=rf"^{name}: "):
            ConnectifExportFinishedEventTrigger(**{name: value})

    def test_make_a_trigger_that_airflow_takes_for_a_watcher(self):
        from airflow.sdk import AssetWatcher

        trigger = watch()
        assert isinstance(trigger, BaseEventTrigger)
        asset = Asset("finished", watchers=[AssetWatcher(name="connectif", trigger=trigger)])
        assert asset.watchers[0].trigger is trigger


class TestAnEvent:
    def test_has_the_exports_id_and_fields_and_never_its_address(self, sandbox):
        async def play() -> list[Any]:
            triggerer, store = Triggerer(), AssetStore()
            fired = triggerer.run(watch(), store)
            await until(lambda: store.content)
            body = {"exportType": "data-explorer", "filters": {"reportId": "r", "fromDate": "2026-11-01"}}
            export_id = await asyncio.to_thread(sandbox.create_in_app, body)
            await until(lambda: fired)
            await triggerer.stop()
            assert ids(fired) == [export_id]
            return fired

        [payload] = asyncio.run(play())
        assert payload["export"]["exportType"] == "data-explorer"
        assert payload["export"]["filters"]["reportId"] == "r"
        assert payload["export"]["origin"] == "app"
        assert payload["export"]["finishedAt"]
        assert "fileUrl" not in payload["export"]
        assert words_before_a_secret(json.dumps(payload)) is None

    def test_comes_for_what_fits_alone(self, sandbox):
        async def play() -> None:
            triggerer = Triggerer()
            wanted = {
                "app": {"origin": "app"},
                "contacts": {"export_type": "contacts"},
                "report": {"report_id": "r"},
                "named": {"file_name": "Weekly sales"},
                "all": {},
            }
            stores = {name: AssetStore() for name in wanted}
            fired = {name: triggerer.run(watch(**filters), stores[name]) for name, filters in wanted.items()}
            await until(lambda: all(store.content for store in stores.values()))
            report = {"exportType": "data-explorer", "filters": {"reportId": "r"}, "title": "Weekly Sales"}
            made = [
                await asyncio.to_thread(sandbox.create_in_app, body)
                for body in ({}, {"origin": "api", "exportType": "activities"}, report)
            ]
            await until(lambda: len(fired["all"]) == 3)
            await asyncio.sleep(0.3)
            await triggerer.stop()
            one, two, three = made
            assert {name: set(ids(events)) for name, events in fired.items()} == {
                "app": {one, three},
                "contacts": {one},
                "report": {three},
                "named": {three},
                "all": {one, two, three},
            }

        asyncio.run(play())

    def test_comes_in_the_next_life_for_what_finished_between(self, sandbox):
        async def life(store: AssetStore, expected: int) -> list[str]:
            triggerer = Triggerer()
            fired = triggerer.run(watch(), store)
            await until(lambda: store.content and len(fired) == expected)
            await asyncio.sleep(0.5)
            await triggerer.stop()
            return ids(fired)

        store = AssetStore()
        assert asyncio.run(life(store, 0)) == []
        between = [sandbox.create_in_app() for _ in range(3)]
        assert sorted(asyncio.run(life(store, 3))) == sorted(between)
        assert asyncio.run(life(store, 0)) == []


class TestSiblings:
    def test_share_one_look_at_the_list(self, sandbox):
        async def play() -> None:
            triggerer = Triggerer()
            stores = [AssetStore() for _ in range(20)]
            fired = [triggerer.run(watch(report_id=str(number)), store) for number, store in enumerate(stores)]
            await until(lambda: all(store.content for store in stores))
            for number in range(20):
                body = {"exportType": "data-explorer", "filters": {"reportId": str(number)}}
                await asyncio.to_thread(sandbox.create_in_app, body)
            await until(lambda: all(fired))
            await triggerer.stop()

        began = asyncio.run(self.timed(play()))
        assert sandbox.stats.by_route["GET /exports"] <= began / 0.09 + 2

    @staticmethod
    async def timed(play: Any) -> float:
        began = asyncio.get_running_loop().time()
        await play
        return asyncio.get_running_loop().time() - began

    def test_have_a_stream_for_each_connection_and_interval(self):
        key = watch().shared_stream_key()
        assert watch(report_id="other", consumer="x").shared_stream_key() == key
        assert ConnectifExportFinishedEventTrigger("other", poke_interval=0.1).shared_stream_key() != key
        assert watch(poke_interval=9).shared_stream_key() != key

    def test_of_one_asset_keep_a_cursor_each(self):
        keys = {
            AssetCursorStore(AssetStore(), watch(**arguments)._identity()).key
            for arguments in ({}, {"origin": "app"}, {"consumer": "a"}, {"consumer": "b"}, {"poke_interval": 9})
        }
        assert len(keys) == 4  # the interval is no matter

    def test_that_airflow_takes_for_one_are_told_to_name_their_consumers(self, sandbox, monkeypatch):
        monkeypatch.setattr(triggers, "_SECONDS_BEFORE_FAILING", 0.0)

        async def play() -> None:
            triggerer = Triggerer()
            triggerer.run(watch(), AssetStore(assets=2))
            with pytest.raises(ValueError, match=r"^consumer: several assets are watched by triggers with the same"):
                await triggerer.tasks[0]
            await triggerer.stop()

        asyncio.run(play())


def test_airflows_own_store_refuses_an_unnamed_look_up_for_two_assets_in_the_way_that_is_expected():
    from airflow.sdk.execution_time.context import AssetStateStoreAccessors

    accessors = AssetStateStoreAccessors(inlets=[Asset("one"), Asset("two")])
    store = AssetCursorStore(accessors, {})
    for call in (store.read(), store.write({})):
        with pytest.raises(ValueError, match=r"^consumer: "):
            asyncio.run(call)


def test_runs_by_itself_where_airflow_shares_no_stream(sandbox):
    """Before 3.3: no store, so each start begins anew."""

    async def play() -> list[str]:
        trigger = watch()
        del trigger.asset_state_store
        fired: list[str] = []

        async def run() -> None:
            async for event in trigger.run():
                fired.append(event.payload["export_id"])

        running = asyncio.create_task(run())
        await until(lambda: sandbox.stats.requests)
        await asyncio.sleep(0.1)
        export_id = await asyncio.to_thread(sandbox.create_in_app)
        await until(lambda: fired)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert fired == [export_id]
        return fired

    asyncio.run(play())


def test_goes_on_while_the_connection_is_wrong(sandbox):
    async def play() -> None:
        triggerer, store = Triggerer(), AssetStore()
        fired = triggerer.run(watch(), store)
        await until(lambda: store.content)
        await asyncio.to_thread(sandbox.set, key="another-id:sandbox-other-secret")
        await until(lambda: sandbox.stats.by_status.get("401", 0) > 1)
        await asyncio.to_thread(sandbox.create_in_app)
        await asyncio.to_thread(sandbox.set, key="sandbox-key-id:sandbox-key-secret")
        await until(lambda: fired)
        await triggerer.stop()

    asyncio.run(play())
