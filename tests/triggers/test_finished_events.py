# SPDX-License-Identifier: Apache-2.0
"""The trigger for asset watchers, run as in Airflow's triggerer."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.triggers.base import BaseEventTrigger

from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.tasks.state_store import AssetCursorStore
from airflow_provider_connectif.triggers.connectif import ConnectifExportFinishedEventTrigger
from tests.leaks import words_before_a_secret
from tests.simulated_clock import CLOCK


class AssetStore:
    """The state store that Airflow passes to the trigger of an asset. It outlives the triggerer."""

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


class Triggerer:
    """Runs event triggers as Airflow's triggerer does, and keeps their events."""

    def __init__(self) -> None:
        self.events: dict[int, list[Any]] = {}
        self.tasks: list[asyncio.Task[None]] = []

    def run(self, trigger: ConnectifExportFinishedEventTrigger, store: AssetStore | None) -> list[Any]:
        number = len(self.tasks)
        _, arguments = trigger.serialize()
        again = type(trigger)(**json.loads(json.dumps(arguments)))
        again.asset_state_store = store  # type: ignore[assignment]
        self.events[number] = []
        self.tasks.append(asyncio.create_task(self._run(number, again)))
        return self.events[number]

    async def _run(self, number: int, trigger: ConnectifExportFinishedEventTrigger) -> None:
        assert getattr(trigger, "shared_stream_key", lambda: None)() is None
        async for event in trigger.run():
            self.events[number].append(event.payload)

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for _ in range(50):
            if len(asyncio.all_tasks()) == 1:
                return
            await asyncio.sleep(0.02)
        raise AssertionError(f"left behind: {asyncio.all_tasks()}")


async def until(condition: Callable[[], object]) -> None:
    for _ in range(400):
        if condition():
            return
        await asyncio.sleep(1)
    raise AssertionError("the condition did not become true")


def watch(**arguments: Any) -> ConnectifExportFinishedEventTrigger:
    return ConnectifExportFinishedEventTrigger("connectif_default", **{"poke_interval": 0.1, **arguments})


def ids(events: list[Any]) -> list[str]:
    return [payload["export_id"] for payload in events]


class TestArguments:
    def test_round_trip(self):
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

    def test_for_failed_exports_round_trip(self):
        path, stored = watch(status="error").serialize()
        assert stored["status"] == "error"
        again = ConnectifExportFinishedEventTrigger(**json.loads(json.dumps(stored)))
        assert again.serialize() == (path, stored)

    def test_with_the_default_status_are_stored_as_before_it_existed(self):
        """Airflow compares the stored arguments, and the cursor's key is computed from them."""
        default, given = watch(), watch(status="finished")
        assert "status" not in default.serialize()[1]
        assert given.serialize() == default.serialize()
        store = AssetCursorStore(AssetStore(), default._identity())
        assert store.key == "connectif_finished_8819617c5f7dd643"

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("status", "failed"),
            ("status", None),
            ("export_type", 3),
            ("origin", ""),
            ("consumer", ["a"]),
            ("poke_interval", 0),
            ("poke_interval", "60"),
        ],
    )
    def test_that_are_wrong_fail_when_the_dag_is_parsed(self, name, value):
        with pytest.raises(ConnectifArgumentError, match=rf"^{name}: "):
            ConnectifExportFinishedEventTrigger(**{name: value})

    def test_make_a_trigger_that_airflow_accepts_for_a_watcher(self):
        from airflow.sdk import AssetWatcher

        trigger = watch()
        assert isinstance(trigger, BaseEventTrigger)
        asset = Asset("finished", watchers=[AssetWatcher(name="connectif", trigger=trigger)])
        assert asset.watchers[0].trigger is trigger


class TestEvent:
    def test_has_the_exports_id_and_fields_but_not_its_signed_url(self, sandbox):
        async def scenario() -> list[Any]:
            triggerer, store = Triggerer(), AssetStore()
            events = triggerer.run(watch(), store)
            await until(lambda: store.content)
            body = {"exportType": "data-explorer", "filters": {"reportId": "r", "fromDate": "2026-11-01"}}
            export_id = await asyncio.to_thread(sandbox.create_in_app, body)
            await until(lambda: events)
            await triggerer.stop()
            assert ids(events) == [export_id]
            return events

        [payload] = CLOCK.run(scenario())
        assert payload["export"]["exportType"] == "data-explorer"
        assert payload["export"]["filters"]["reportId"] == "r"
        assert payload["export"]["origin"] == "app"
        assert payload["export"]["finishedAt"]
        assert "fileUrl" not in payload["export"]
        assert words_before_a_secret(json.dumps(payload)) is None

    def test_is_only_for_exports_that_match(self, sandbox):
        async def scenario() -> None:
            triggerer = Triggerer()
            wanted = {
                "app": {"origin": "app"},
                "contacts": {"export_type": "contacts"},
                "report": {"report_id": "r"},
                "named": {"file_name": "Weekly sales"},
                "all": {},
            }
            stores = {name: AssetStore() for name in wanted}
            events = {name: triggerer.run(watch(**filters), stores[name]) for name, filters in wanted.items()}
            await until(lambda: all(store.content for store in stores.values()))
            report = {"exportType": "data-explorer", "filters": {"reportId": "r"}, "title": "Weekly Sales"}
            made = [
                await asyncio.to_thread(sandbox.create_in_app, body)
                for body in ({}, {"origin": "api", "exportType": "activities"}, report)
            ]
            await until(lambda: len(events["all"]) == 3)
            await asyncio.sleep(30)
            await triggerer.stop()
            one, two, three = made
            assert {name: set(ids(events)) for name, events in events.items()} == {
                "app": {one, three},
                "contacts": {one},
                "report": {three},
                "named": {three},
                "all": {one, two, three},
            }

        CLOCK.run(scenario())

    def test_after_a_restart_is_for_exports_that_finished_in_between(self, sandbox):
        async def run_once(store: AssetStore, expected: int) -> list[str]:
            triggerer = Triggerer()
            events = triggerer.run(watch(), store)
            await until(lambda: store.content and len(events) == expected)
            await asyncio.sleep(30)
            await triggerer.stop()
            return ids(events)

        store = AssetStore()
        assert CLOCK.run(run_once(store, 0)) == []
        in_between = [sandbox.create_in_app() for _ in range(3)]
        assert sorted(CLOCK.run(run_once(store, 3))) == sorted(in_between)
        assert CLOCK.run(run_once(store, 0)) == []


class TestFailedExports:
    FAILURES = ("error", "failed", "cancelled", "canceled")

    @pytest.mark.parametrize("hidden", [False, True], ids=["dated", "undated"])
    def test_have_an_event_each_whatever_the_failure_is_called(self, sandbox, hidden):
        sandbox.set(hide_finished_at_of_failed=hidden)

        async def scenario() -> None:
            triggerer, stores = Triggerer(), [AssetStore(), AssetStore()]
            before = await asyncio.to_thread(sandbox.create_in_app, {"fail": True})
            failing = triggerer.run(watch(status="error"), stores[0])
            finishing = triggerer.run(watch(), stores[1])
            await until(lambda: all(store.content for store in stores))
            failed, finished = [], []
            for status in self.FAILURES:
                await asyncio.to_thread(sandbox.set, error_status=status)
                failed.append(await asyncio.to_thread(sandbox.create_in_app, {"fail": True}))
                finished.append(await asyncio.to_thread(sandbox.create_in_app))
                await until(lambda: len(failing) == len(finishing) == len(failed))
            await asyncio.sleep(60)
            await triggerer.stop()
            assert (ids(failing), ids(finishing)) == (failed, finished)
            assert before not in failed
            assert [payload["export"]["status"] for payload in failing] == list(self.FAILURES)

        CLOCK.run(scenario())

    def test_are_announced_after_a_restart_if_they_failed_in_between(self, sandbox):
        async def run_once(store: AssetStore, expected: int) -> list[str]:
            triggerer = Triggerer()
            events = triggerer.run(watch(status="error"), store)
            await until(lambda: store.content and len(events) == expected)
            await asyncio.sleep(30)
            await triggerer.stop()
            return ids(events)

        store = AssetStore()
        sandbox.set(hide_finished_at_of_failed=True)
        assert CLOCK.run(run_once(store, 0)) == []
        in_between = [sandbox.create_in_app({"fail": True}) for _ in range(3)]
        assert CLOCK.run(run_once(store, 3)) == in_between
        assert CLOCK.run(run_once(store, 0)) == []

    def test_are_described_with_their_origin_and_the_link_to_their_report(self, sandbox, monkeypatch):
        connection = {**json.loads(sandbox.connection_json), "extra": {"app_url": "https://a.example", "store_id": "s"}}
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", json.dumps(connection))

        async def scenario() -> list[Any]:
            triggerer, store = Triggerer(), AssetStore()
            events = triggerer.run(watch(status="error"), store)
            await until(lambda: store.content)
            report = {"exportType": "data-explorer", "filters": {"reportId": "r"}, "fail": True}
            await asyncio.to_thread(sandbox.create_in_app, report)
            await asyncio.to_thread(sandbox.create_in_app, {"origin": "api", "fail": True})
            await until(lambda: len(events) == 2)
            await triggerer.stop()
            return events

        report, contacts = CLOCK.run(scenario())
        assert report["link"] == "https://a.example/store/s/data-explorer-report/r"
        assert contacts["link"] is None
        assert [payload["export"]["origin"] for payload in (report, contacts)] == ["app", "api"]
        assert [payload["export"]["exportType"] for payload in (report, contacts)] == ["data-explorer", "contacts"]
        assert words_before_a_secret(json.dumps([report, contacts])) is None

    def test_are_announced_without_a_link_if_the_connection_cannot_be_read(self, sandbox, monkeypatch):
        from airflow_provider_connectif.links import connectif

        async def broken(connectif_conn_id: str) -> Any:
            raise RuntimeError(f"{connectif_conn_id} is not available")

        monkeypatch.setattr(connectif, "read_connection_async", broken)

        async def scenario() -> None:
            triggerer, store = Triggerer(), AssetStore()
            events = triggerer.run(watch(status="error"), store)
            await until(lambda: store.content)
            report = {"exportType": "data-explorer", "filters": {"reportId": "r"}, "fail": True}
            await asyncio.to_thread(sandbox.create_in_app, report)
            await until(lambda: events)
            await triggerer.stop()
            assert events[0]["link"] is None

        CLOCK.run(scenario())


class TestTriggersOfOneConnection:
    def test_share_one_poll_of_the_list(self, sandbox):
        async def scenario() -> None:
            triggerer = Triggerer()
            stores = [AssetStore() for _ in range(20)]
            events = [triggerer.run(watch(report_id=str(number)), store) for number, store in enumerate(stores)]
            await until(lambda: all(store.content for store in stores))
            for number in range(20):
                body = {"exportType": "data-explorer", "filters": {"reportId": str(number)}}
                await asyncio.to_thread(sandbox.create_in_app, body)
            await until(lambda: all(events))
            await triggerer.stop()

        started = CLOCK.time()
        CLOCK.run(scenario())
        # A round is 4.5 to 5 seconds.
        assert sandbox.stats.by_route["GET /exports"] <= (CLOCK.time() - started) / 4.5 + 1

    def test_of_one_asset_have_a_cursor_each(self):
        keys = {
            AssetCursorStore(AssetStore(), watch(**arguments)._identity()).key
            for arguments in (
                {},
                {"origin": "app"},
                {"consumer": "a"},
                {"consumer": "b"},
                {"status": "error"},
                {"poke_interval": 9},
            )
        }
        assert len(keys) == 5  # the interval does not matter

    def test_that_airflow_runs_as_one_ask_for_the_name_of_their_consumer(self, sandbox):
        async def scenario() -> None:
            triggerer = Triggerer()
            triggerer.run(watch(), AssetStore(assets=2))
            with pytest.raises(ValueError, match=r"^consumer: several assets are watched by triggers with the same"):
                await triggerer.tasks[0]
            await triggerer.stop()

        CLOCK.run(scenario())


def test_airflows_store_raises_the_expected_error_for_two_assets():
    context = pytest.importorskip("airflow.sdk.execution_time.context")
    if not hasattr(context, "AssetStateStoreAccessors"):
        pytest.skip("Airflow 3.3 and later")
    accessors = context.AssetStateStoreAccessors(inlets=[Asset("one"), Asset("two")])
    store = AssetCursorStore(accessors, {})
    for call in (store.read(), store.write({})):
        with pytest.raises(ValueError, match=r"^consumer: "):
            CLOCK.run(call)


def test_runs_alone_if_airflow_does_not_share_streams(sandbox):
    """Before Airflow 3.3, without a state store: each start begins with the exports that finish from then on."""

    async def scenario() -> list[str]:
        trigger = watch()
        if hasattr(trigger, "asset_state_store"):  # set by Airflow 3.3 and later
            del trigger.asset_state_store
        events: list[str] = []

        async def run() -> None:
            async for event in trigger.run():
                events.append(event.payload["export_id"])

        running = asyncio.create_task(run())
        await until(lambda: sandbox.stats.requests)
        await asyncio.sleep(1)
        export_id = await asyncio.to_thread(sandbox.create_in_app)
        await until(lambda: events)
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
        assert events == [export_id]
        return events

    CLOCK.run(scenario())


def test_continues_while_the_key_is_wrong(sandbox):
    async def scenario() -> None:
        triggerer, store = Triggerer(), AssetStore()
        events = triggerer.run(watch(), store)
        await until(lambda: store.content)
        await asyncio.to_thread(sandbox.set, key="another-id:sandbox-other-secret")
        await until(lambda: sandbox.stats.by_status.get("401", 0) > 1)
        await asyncio.to_thread(sandbox.create_in_app)
        await asyncio.to_thread(sandbox.set, key="sandbox-key-id:sandbox-key-secret")
        await until(lambda: events)
        await triggerer.stop()

    CLOCK.run(scenario())


def test_announces_what_was_read_before_a_page_failed(sandbox):
    async def scenario() -> None:
        triggerer, store = Triggerer(), AssetStore()
        events = triggerer.run(watch(), store)
        await until(lambda: store.content)
        for _ in range(60):
            await asyncio.to_thread(sandbox.create_in_app)
        await asyncio.to_thread(sandbox.fault, "list", "500", times=2, skip=1)
        await until(lambda: events)
        assert len(events) == 50
        await until(lambda: len(events) == 60)
        await triggerer.stop()
        assert len(set(ids(events))) == 60

    CLOCK.run(scenario())


def test_shares_its_poll_with_a_wait_for_a_match(sandbox):
    from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

    async def scenario() -> None:
        triggerer = Triggerer()
        triggerer.run(watch(poke_interval=60), AssetStore())
        match = ConnectifExportTrigger("connectif_default", match={"export_type": "contacts"}, poke_interval=60)
        waiting = asyncio.create_task(match.run().__anext__())
        await asyncio.sleep(600)
        assert 10 <= sandbox.stats.by_route["GET /exports"] <= 12
        waiting.cancel()
        await triggerer.stop()

    CLOCK.run(scenario())
