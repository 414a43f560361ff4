# SPDX-License-Identifier: Apache-2.0
"""The trigger: one event, no stored secret, one poller for all triggers, and nothing left behind (promise 11)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_connectif.api.client import ConnectifClient
from airflow_provider_connectif.api.errors import ConnectionUnusable
from airflow_provider_connectif.api.polling.poll import IdPoll, IdReader
from airflow_provider_connectif.api.polling.wait import ExportWait
from airflow_provider_connectif.tasks.waiting import finished_exports
from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger
from tests.airflow_harness import first_event
from tests.leaks import words_before_a_secret
from tests.simulated_clock import CLOCK, SimulatedEventLoop


def trigger_for(*export_ids: str, **arguments: Any) -> ConnectifExportTrigger:
    defaults = {"poke_interval": 0.2, "deadline": CLOCK.time() + 20}
    return ConnectifExportTrigger("connectif_default", export_ids=export_ids, **{**defaults, **arguments})


def run_trigger(trigger: ConnectifExportTrigger) -> Any:
    return CLOCK.run(first_event(trigger))


async def wait_until_no_task_is_left() -> None:
    """Wait for the poller to end, and fail if it or any other task does not."""
    for _ in range(50):
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        if not others:
            return
        await asyncio.sleep(0.05)
    raise AssertionError(f"left behind: {others}")


class TestSerialization:
    @pytest.mark.parametrize(
        "arguments",
        [
            {"export_ids": ["a", "b"], "poke_interval": 5.0, "deadline": 1.5},
            {"match": {"export_type": "contacts", "created_after": "2026-11-01T00:00:00+00:00"}},
        ],
    )
    def test_round_trips(self, sandbox, arguments):
        path, stored = ConnectifExportTrigger("connectif_default", **arguments).serialize()
        assert path == "airflow_provider_connectif.triggers.connectif.ConnectifExportTrigger"
        again = ConnectifExportTrigger(**json.loads(json.dumps(stored)))
        assert again.serialize() == (path, stored)
        assert {name: stored[name] for name in arguments} == arguments

    def test_contains_no_secret(self, sandbox):
        export_id = sandbox.create_in_app()
        trigger = trigger_for(export_id)
        assert run_trigger(trigger)["status"] == "finished"
        assert words_before_a_secret(json.dumps(trigger.serialize())) is None
        assert set(trigger.serialize()[1]) == {"connectif_conn_id", "export_ids", "match", "poke_interval", "deadline"}


class TestEvent:
    def test_finished(self, sandbox):
        sandbox.set(seconds_per_export=0.2)
        one, two = sandbox.create_in_app(), sandbox.create_in_app()
        assert run_trigger(trigger_for(two, one)) == {"status": "finished", "export_ids": [two, one]}

    def test_timeout_at_the_deadline(self, sandbox):
        sandbox.set(seconds_per_export=30)
        export_id = sandbox.create_in_app()
        started = CLOCK.time()
        event = run_trigger(trigger_for(export_id, deadline=started + 0.5))
        assert event["status"] == "timeout"
        assert event["message"].startswith(f"{export_id} (Export {export_id}: inProgress")
        assert CLOCK.time() - started == pytest.approx(0.5, abs=0.001)

    def test_timeout_immediately_for_a_deadline_in_the_past(self, sandbox):
        event = run_trigger(trigger_for(sandbox.create_in_app(), deadline=CLOCK.time() - 5))
        assert event["status"] == "timeout"
        assert sandbox.stats.requests == 0

    def test_error_for_an_export_that_failed(self, sandbox):
        event = run_trigger(trigger_for(sandbox.create_in_app({"fail": True})))
        assert (event["status"], event["kind"], event["final"]) == ("error", "ExportFailed", True)

    def test_error_for_an_export_that_does_not_exist(self, sandbox):
        event = run_trigger(trigger_for("nothing", poke_interval=10, deadline=CLOCK.time() + 1000))
        assert (event["status"], event["kind"], event["final"]) == ("error", "NotFound", True)

    def test_no_event_for_rounds_that_fail(self, sandbox):
        sandbox.set(seconds_per_export=0.2)
        export_id = sandbox.create_in_app()
        sandbox.fault("get", "html", times=2)
        assert run_trigger(trigger_for(export_id))["status"] == "finished"
        assert sandbox.stats.faults == {"get:html": 2}

    def test_no_event_while_the_connection_cannot_be_read(self, sandbox, monkeypatch):
        from airflow_provider_connectif.hooks.connectif import ConnectifHook

        calls: list[int] = []
        original = ConnectifHook.open_client_async

        async def fail_twice(self: ConnectifHook, **arguments: Any) -> Any:
            calls.append(1)
            if len(calls) < 3:
                raise RuntimeError("the secrets backend is unavailable")
            return await original(self, **arguments)

        monkeypatch.setattr(ConnectifHook, "open_client_async", fail_twice)
        assert run_trigger(trigger_for(sandbox.create_in_app()))["status"] == "finished"
        assert len(calls) == 3


class TestConnection:
    """A setup that cannot work ends the wait after a bounded number of rounds, as a failure that Airflow retries."""

    def event(self, sandbox: Any) -> Any:
        started = CLOCK.time()
        trigger = trigger_for("a", poke_interval=60.0, deadline=started + 7 * 24 * 3600)
        event = run_trigger(trigger)
        assert 540 <= CLOCK.time() - started <= 600
        assert sandbox.stats.requests == 0
        assert (event["status"], event["kind"], event["final"]) == ("error", "ConnectionUnusable", False)
        with pytest.raises(ConnectionUnusable, match=r"^The triggerer cannot use the connection connectif_default: "):
            finished_exports(event, 1)
        return event

    def test_that_only_the_workers_have(self, sandbox, monkeypatch):
        monkeypatch.delenv("AIRFLOW_CONN_CONNECTIF_DEFAULT")
        assert "it cannot be read (AirflowNotFoundException)" in self.event(sandbox)["message"]

    def test_with_half_a_key(self, sandbox, monkeypatch):
        half = {"conn_type": "connectif", "host": sandbox.url, "password": "sandbox-key-id"}
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", json.dumps(half))
        message = self.event(sandbox)["message"]
        assert "does not have the form keyId:keySecret" in message
        assert "sandbox-key-id" not in message

    def test_is_logged_once(self, sandbox, monkeypatch, task_log):
        monkeypatch.delenv("AIRFLOW_CONN_CONNECTIF_DEFAULT")
        self.event(sandbox)
        assert task_log().count("The triggerer cannot use the connection connectif_default: ") == 1


class TestListWithAPageThatFails:
    def test_ends_waits_by_id(self, sandbox):
        ids = [sandbox.create_in_app() for _ in range(5)]
        sandbox.fault("list", "500", times=999)

        async def wait_for_all() -> list[Any]:
            return await asyncio.gather(*(first_event(trigger_for(each)) for each in ids))

        assert {event["status"] for event in CLOCK.run(wait_for_all())} == {"finished"}

    @pytest.mark.parametrize("skip", [1, 2, 3])
    def test_ends_waits_for_what_is_on_its_other_pages_and_by_id(self, sandbox, skip):
        ids = [sandbox.create_in_app() for _ in range(200)]
        sandbox.fault("list", "html", times=999, skip=skip)

        async def wait_for_all() -> list[Any]:
            return await asyncio.gather(*(first_event(trigger_for(each)) for each in ids))

        assert {event["status"] for event in CLOCK.run(wait_for_all())} == {"finished"}
        assert sandbox.stats.by_route["GET /exports/{id}"] == 200 - 50 * skip

    @pytest.mark.parametrize("status", [403, 404])
    def test_and_a_gateway_that_responds_for_the_api_end_no_wait(self, sandbox, status):
        sandbox.set(seconds_per_export=1)
        ids = [sandbox.create_in_app() for _ in range(5)]
        for on in ("list", "get"):
            sandbox.fault(on, "html", times=6, status=status)

        async def wait_for_all() -> list[Any]:
            return await asyncio.gather(*(first_event(trigger_for(each)) for each in ids))

        assert {event["status"] for event in CLOCK.run(wait_for_all())} == {"finished"}


def test_one_match_does_not_make_waits_by_id_read_the_list(sandbox):
    sandbox.set(seconds_per_export=3000)
    ids = [sandbox.create_in_app() for _ in range(300)]
    match = ConnectifExportTrigger(
        "connectif_default", match={"export_type": "contacts"}, poke_interval=600, deadline=CLOCK.time() + 3600
    )

    async def scenario() -> None:
        matching = asyncio.create_task(first_event(match))
        waiting = asyncio.create_task(first_event(trigger_for(ids[0], poke_interval=60, deadline=CLOCK.time() + 3600)))
        await asyncio.sleep(300)
        matching.cancel()
        waiting.cancel()
        await asyncio.gather(matching, waiting, return_exceptions=True)

    CLOCK.run(scenario())
    assert set(sandbox.stats.by_route) == {"GET /exports/{id}"}
    assert 5 <= sandbox.stats.requests <= 6


class TestApiKey:
    def test_that_was_replaced_is_read_again(self, sandbox, monkeypatch):
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

        assert CLOCK.run(replace())["status"] == "finished"
        assert sandbox.stats.by_status["401"] == 1

    def test_that_was_revoked_is_an_error_for_every_trigger(self, sandbox):
        sandbox.set(seconds_per_export=30)
        ids = [sandbox.create_in_app() for _ in range(3)]

        async def revoke() -> Any:
            waiting = [asyncio.create_task(first_event(trigger_for(each))) for each in ids]
            await asyncio.sleep(0.3)
            await asyncio.to_thread(sandbox.set, key="another:one")
            return await asyncio.gather(*waiting)

        events = CLOCK.run(revoke())
        assert {(event["kind"], event["final"]) for event in events} == {("AuthenticationFailed", True)}


class TestManyTriggers:
    def test_share_one_poller(self, sandbox):
        """200 exports are 4 pages: a round costs 4 requests and not 200."""
        sandbox.set(seconds_per_export=30)
        ids = [sandbox.create_in_app() for _ in range(200)]

        async def wait_for_all() -> list[Any]:
            waiting = [asyncio.create_task(first_event(trigger_for(each, poke_interval=0.3))) for each in ids]
            await asyncio.sleep(0.5)
            await asyncio.to_thread(sandbox.set, seconds_per_export=0)
            events = await asyncio.gather(*waiting)
            await wait_until_no_task_is_left()
            return events

        events = CLOCK.run(wait_for_all())
        assert [event["export_ids"] for event in events] == [[each] for each in ids]
        assert sandbox.stats.requests == 2 * 4

    def test_do_not_block_the_event_loop(self, sandbox, monkeypatch):
        """Between two turns of the event loop, at most 100 of them handle a result."""
        sandbox.set(seconds_per_export=0.5)
        ids = [sandbox.create_in_app() for _ in range(250)]
        handled: Counter[int] = Counter()
        original = ExportWait.handle_exports

        def handle_exports(self: ExportWait, reader: IdReader) -> bool:
            loop = asyncio.get_running_loop()
            assert isinstance(loop, SimulatedEventLoop)
            handled[loop.turns] += 1
            return original(self, reader)

        monkeypatch.setattr(ExportWait, "handle_exports", handle_exports)

        async def wait_for_all() -> None:
            await asyncio.gather(*(first_event(trigger_for(each)) for each in ids))

        CLOCK.run(wait_for_all())
        assert handled.total() >= 2 * len(ids)
        assert max(handled.values()) <= 100

    def test_poll_in_another_thread_than_the_event_loops(self, sandbox, monkeypatch):
        threads: set[int] = set()

        def in_thread(function: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*arguments: Any, **named: Any) -> Any:
                threads.add(threading.get_ident())
                return function(*arguments, **named)

            return wrapper

        monkeypatch.setattr(ConnectifClient, "_send", in_thread(ConnectifClient._send))
        monkeypatch.setattr(IdPoll, "step", in_thread(IdPoll.step))
        run_trigger(trigger_for(sandbox.create_in_app()))
        assert threads
        assert threading.get_ident() not in threads

    def test_that_are_cancelled_leave_no_task_behind(self, sandbox):
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
            await wait_until_no_task_is_left()
            closed.append(1)

        CLOCK.run(cancel_all())
        assert closed

    def test_that_are_cancelled_do_not_end_the_others(self, sandbox):
        sandbox.set(seconds_per_export=30)
        one, two = sandbox.create_in_app(), sandbox.create_in_app()

        async def scenario() -> Any:
            first = asyncio.create_task(first_event(trigger_for(one)))
            second = asyncio.create_task(first_event(trigger_for(two)))
            await asyncio.sleep(0.3)
            first.cancel()
            await asyncio.to_thread(sandbox.end_export, two)
            event = await second
            await wait_until_no_task_is_left()
            return event

        assert CLOCK.run(scenario()) == {"status": "finished", "export_ids": [two]}

    def test_that_start_after_all_others_have_ended_are_served(self, sandbox):
        async def one_after_the_other() -> list[Any]:
            return [await first_event(trigger_for(sandbox.create_in_app())) for _ in range(3)]

        assert [event["status"] for event in CLOCK.run(one_after_the_other())] == ["finished"] * 3


def test_each_trigger_logs_the_progress_of_its_own_export(sandbox, task_log):
    sandbox.set(seconds_per_export=0.4, rows=1000)
    one, two = sandbox.create_in_app(), sandbox.create_in_app()

    async def wait_for_both() -> None:
        await asyncio.gather(first_event(trigger_for(one)), first_event(trigger_for(two)))

    CLOCK.run(wait_for_both())
    text = task_log()
    assert f"Export {one}: finished" in text
    assert f"Export {two}: finished" in text
    assert logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.DEBUG)
