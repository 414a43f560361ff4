# SPDX-License-Identifier: Apache-2.0
"""The trigger: one event, no secret stored, one poller for all, and nothing left behind (promise 11)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import threading
import time
from typing import Any

import pytest

from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger
from tests.airflow_harness import first_event
from tests.leaks import words_before_a_secret


def trigger_for(*export_ids: str, **arguments: Any) -> ConnectifExportTrigger:
    defaults = {"poke_interval": 0.2, "deadline": time.time() + 20}
    return ConnectifExportTrigger("connectif_default", export_ids=export_ids, **{**defaults, **arguments})


def run_trigger(trigger: ConnectifExportTrigger) -> Any:
    return asyncio.run(first_event(trigger))


async def nothing_is_left() -> None:
    """Wait for the poller to go, then look for tasks of any kind."""
    for _ in range(50):
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if not others:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"left behind: {others}")


class TestStoring:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"export_ids": ["a", "b"], "poke_interval": 5.0, "deadline": 1.5},
            {"match": {"export_type": "contacts", "created_after": "2026-11-01T00:00:00+00:00"}},
        ],
    )
    def test_comes_back_the_same_from_its_stored_form(self, sandbox, arguments):
        path, stored = ConnectifExportTrigger("connectif_default", **arguments).serialize()
        assert path == "airflow_provider_connectif.triggers.connectif.ConnectifExportTrigger"
        again = ConnectifExportTrigger(**json.loads(json.dumps(stored)))
        assert again.serialize() == (path, stored)
        assert {name: stored[name] for name in arguments} == arguments

    def test_holds_no_secret(self, sandbox):
        export_id = sandbox.create_in_app()
        trigger = trigger_for(export_id)
        assert run_trigger(trigger)["status"] == "finished"
        assert words_before_a_secret(json.dumps(trigger.serialize())) is None
        assert set(trigger.serialize()[1]) == {"connectif_conn_id", "export_ids", "match", "poke_interval", "deadline"}


class TestTheEvent:
    def test_finished(self, sandbox):
        sandbox.set(seconds_per_export=0.2)
        one, two = sandbox.create_in_app(), sandbox.create_in_app()
        assert run_trigger(trigger_for(two, one)) == {"status": "finished", "export_ids": [two, one]}

    def test_timeout_at_the_deadline(self, sandbox):
        sandbox.set(seconds_per_export=30)
        export_id = sandbox.create_in_app()
        began = time.time()
        event = run_trigger(trigger_for(export_id, deadline=time.time() + 0.5))
        assert event["status"] == "timeout"
        assert event["message"].startswith(f"{export_id} (Export {export_id}: inProgress")
        assert 0.5 <= time.time() - began < 1.5

    def test_timeout_at_once_for_a_deadline_in_the_past(self, sandbox):
        event = run_trigger(trigger_for(sandbox.create_in_app(), deadline=time.time() - 5))
        assert event["status"] == "timeout"
        assert sandbox.stats.requests == 0

    def test_error_for_an_export_that_failed(self, sandbox):
        event = run_trigger(trigger_for(sandbox.create_in_app({"fail": True})))
        assert (event["status"], event["kind"], event["final"]) == ("error", "ExportFailed", True)

    def test_error_for_an_export_that_is_not_there(self, sandbox):
        event = run_trigger(trigger_for("nothing"))
        assert (event["status"], event["kind"], event["final"]) == ("error", "NotFound", True)

    def test_none_for_rounds_that_fail(self, sandbox):
        sandbox.set(seconds_per_export=0.2)
        export_id = sandbox.create_in_app()
        sandbox.fault("get", "html", times=2)
        assert run_trigger(trigger_for(export_id))["status"] == "finished"
        assert sandbox.stats.faults == {"get:html": 2}

    def test_none_while_the_connection_cannot_be_looked_up(self, sandbox, monkeypatch):
        from airflow_provider_connectif.hooks.connectif import ConnectifHook

        times: list[int] = []
        original = ConnectifHook.open_client_async

        async def unlucky(self: ConnectifHook, **arguments: Any) -> Any:
            times.append(1)
            if len(times) < 3:
                raise RuntimeError("the secrets backend is away")
            return await original(self, **arguments)

        monkeypatch.setattr(ConnectifHook, "open_client_async", unlucky)
        assert run_trigger(trigger_for(sandbox.create_in_app()))["status"] == "finished"
        assert len(times) == 3


class TestTheKey:
    def test_that_was_replaced_meanwhile_is_looked_up_again(self, sandbox, monkeypatch):
        sandbox.set(seconds_per_export=30)
        export_id = sandbox.create_in_app()

        async def replace() -> Any:
            waiting = asyncio.create_task(first_event(trigger_for(export_id)))
            await asyncio.sleep(0.4)
            monkeypatch.setenv(
                "AIRFLOW_CONN_CONNECTIF_DEFAULT",
                json.dumps({"conn_type": "connectif", "host": sandbox.url, "password": "new-id:sandbox-new-secret"}),
            )
            await asyncio.to_thread(sandbox.set, key="new-id:sandbox-new-secret")
            await asyncio.sleep(0.4)
            await asyncio.to_thread(sandbox.end_export, export_id)
            return await waiting

        assert asyncio.run(replace())["status"] == "finished"
        assert sandbox.stats.by_status["401"] == 1

    def test_that_was_revoked_is_an_error_for_everybody(self, sandbox):
        sandbox.set(seconds_per_export=30)
        ids = [sandbox.create_in_app() for _ in range(3)]

        async def revoke() -> Any:
            waiting = [asyncio.create_task(first_event(trigger_for(each))) for each in ids]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(sandbox.set, key="another:one")
            return await asyncio.gather(*waiting)

        events = asyncio.run(revoke())
        assert {(event["kind"], event["final"]) for event in events} == {("AuthenticationFailed", True)}


class TestManyAtOnce:
    def test_share_one_poller(self, sandbox):
        """200 exports are 4 pages: a round costs 4 requests and not 200."""
        sandbox.set(seconds_per_export=30)
        ids = [sandbox.create_in_app() for _ in range(200)]

        async def wait_for_all() -> list[Any]:
            waiting = [asyncio.create_task(first_event(trigger_for(each, poke_interval=0.3))) for each in ids]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(sandbox.set, seconds_per_export=0)
            events = await asyncio.gather(*waiting)
            await nothing_is_left()
            return events

        events = asyncio.run(wait_for_all())
        assert [event["export_ids"] for event in events] == [[each] for each in ids]
        assert 4 <= sandbox.stats.requests <= 6 * 4

    def test_do_not_block_the_event_loop(self, sandbox):
        sandbox.set(seconds_per_export=0.5)
        ids = [sandbox.create_in_app() for _ in range(100)]
        lags: list[float] = []

        async def watch_the_loop() -> None:
            while True:
                began = time.thread_time()
                await asyncio.sleep(0.01)
                lags.append(time.thread_time() - began)

        async def wait_for_all() -> None:
            watching = asyncio.create_task(watch_the_loop())
            await asyncio.gather(*(first_event(trigger_for(each)) for each in ids))
            watching.cancel()

        asyncio.run(first_event(trigger_for(ids[0])))  # what is imported once, is
        # A full collection walks through all that the tests before this one have loaded: no work of the triggers.
        gc.disable()
        try:
            asyncio.run(wait_for_all())
        finally:
            gc.enable()
        # The time that this thread itself was busy between two turns: a blocking request in it is no such time,
        # hence the next test.
        assert max(lags) < 0.1

    def test_make_no_request_in_the_loops_own_thread(self, sandbox, monkeypatch):
        from airflow_provider_connectif.api.client import ConnectifClient

        threads: set[int] = set()
        original = ConnectifClient._send

        def send(self: ConnectifClient, *arguments: Any, **named: Any) -> Any:
            threads.add(threading.get_ident())
            return original(self, *arguments, **named)

        monkeypatch.setattr(ConnectifClient, "_send", send)
        run_trigger(trigger_for(sandbox.create_in_app()))
        assert threads
        assert threading.get_ident() not in threads

    def test_that_are_cancelled_leave_nothing(self, sandbox):
        sandbox.set(seconds_per_export=30)
        ids = [sandbox.create_in_app() for _ in range(5)]
        closed: list[int] = []

        async def cancel_all() -> None:
            waiting = [asyncio.create_task(first_event(trigger_for(each))) for each in ids]
            await asyncio.sleep(0.4)
            for each in waiting:
                each.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await each
            await nothing_is_left()
            closed.append(1)

        asyncio.run(cancel_all())
        assert closed

    def test_that_leave_do_not_take_the_others_along(self, sandbox):
        sandbox.set(seconds_per_export=30)
        one, two = sandbox.create_in_app(), sandbox.create_in_app()

        async def leave() -> Any:
            first = asyncio.create_task(first_event(trigger_for(one)))
            second = asyncio.create_task(first_event(trigger_for(two)))
            await asyncio.sleep(0.3)
            first.cancel()
            await asyncio.to_thread(sandbox.end_export, two)
            event = await second
            await nothing_is_left()
            return event

        assert asyncio.run(leave()) == {"status": "finished", "export_ids": [two]}

    def test_that_come_after_all_have_left_are_served(self, sandbox):
        async def one_after_the_other() -> list[Any]:
            return [await first_event(trigger_for(sandbox.create_in_app())) for _ in range(3)]

        assert [event["status"] for event in asyncio.run(one_after_the_other())] == ["finished"] * 3


def test_progress_is_told_by_each_trigger_for_its_own_export(sandbox, task_log):
    sandbox.set(seconds_per_export=0.4, rows=1000)
    one, two = sandbox.create_in_app(), sandbox.create_in_app()

    async def wait_for_both() -> None:
        await asyncio.gather(first_event(trigger_for(one)), first_event(trigger_for(two)))

    asyncio.run(wait_for_both())
    told = task_log()
    assert f"Export {one}: finished" in told
    assert f"Export {two}: finished" in told
    assert logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.DEBUG)
