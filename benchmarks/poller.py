# SPDX-License-Identifier: Apache-2.0
"""Measure what many waiting exports cost a triggerer: ``make bench-poller`` or ``python -m benchmarks.poller``.

That is the number of requests, the processor time, and how long the event loop is blocked. The sandbox runs in a
separate process, and so does each number of triggers: real ``ConnectifExportTrigger`` objects in one event loop, which
look up their connection as in a triggerer. They are compared with the naive way, in which each waiting export makes
its own request, in a thread, at the same interval; and with the same number of Airflow's ``DateTimeTrigger``, which
make no requests but look at the clock every second.

Two further measurements use a server with prepared responses: watchers of a long list, and a quick account next to six
slow ones.

A round is one poll of all exports. "Blocked" is the longest delay between two iterations of the event loop: by the wall
clock, which other processes affect; by the processor time of the loop's thread; and by the latter without Python's
garbage collections, because the duration of a full one depends on everything that Airflow has loaded. The start of all
triggers and the round in which all exports are finished are included.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import requests

KEY = "sandbox-key-id:sandbox-key-secret"
MAX_REQUESTS_FOR_1000 = 21
#: In milliseconds. Airflow logs a warning at 200.
MAX_BLOCKED = 50.0


SLOW_ACCOUNTS = 6
WATCHERS = 5


@contextmanager
def server(*command: str, ready: str) -> Iterator[str]:
    """Run a server in a separate process, and yield its URL.

    :param command: the arguments of Python; ``{port}`` is replaced
    :param ready: a path that is available when the server is
    """
    from scripts.local_airflow import free_port, wait_for

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    arguments = [each.format(port=port) for each in command]
    process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("the server", lambda: requests.get(f"{url}{ready}", timeout=5).ok or None, 60)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def control(url: str, path: str, **body: Any) -> Any:
    """Call a control route of the sandbox."""
    response = requests.post(f"{url}/_sandbox/{path}", json=body, timeout=60)
    response.raise_for_status()
    return response.json()


def request_count(url: str) -> int:
    """Return the number of API requests so far."""
    return int(requests.get(f"{url}/_sandbox/stats", timeout=60).json()["requests"])


class BlockedTime:
    """The longest delay of the event loop, in milliseconds."""

    def __init__(self) -> None:
        self.wall = self.cpu = self.without_gc = self.collection = 0.0
        self._thread = threading.get_ident()
        self._began = self._collecting = 0.0
        gc.callbacks.append(self._on_collection)

    def _on_collection(self, phase: str, _: Any) -> None:
        if threading.get_ident() == self._thread:
            if phase == "start":
                self._began = time.thread_time()
            else:
                took = (time.thread_time() - self._began) * 1000
                self._collecting += took
                self.collection = max(self.collection, took)

    async def watch(self) -> None:
        """Measure until cancelled."""
        pause = 0.005
        while True:
            self._collecting = 0.0
            wall, busy = time.perf_counter(), time.thread_time()
            await asyncio.sleep(pause)
            took = (time.thread_time() - busy) * 1000
            self.wall = max(self.wall, (time.perf_counter() - wall - pause) * 1000)
            self.cpu = max(self.cpu, took)
            self.without_gc = max(self.without_gc, took - self._collecting)

    def result(self) -> dict[str, float]:
        """Return the maximum of each delay."""
        return {
            "wall": self.wall,
            "blocked_cpu": self.cpu,
            "without_gc": self.without_gc,
            "collection": self.collection,
        }


def count_rounds(rounds: list[tuple[int, float]], count: Callable[[], int]) -> None:
    """Add the increase of a number, such as that of requests, and the processor time at the end of each round."""
    from airflow_provider_connectif.api.polling.rounds import Rounds

    poll = Rounds._poll

    async def counted(*arguments: Any) -> None:
        before = await asyncio.to_thread(count)
        await poll(*arguments)
        rounds.append((await asyncio.to_thread(count) - before, time.process_time()))

    Rounds._poll = counted  # type: ignore[method-assign]


async def shared(url: str, ids: list[str], interval: float, round_count: int) -> dict[str, float]:
    """Wait with the provider's triggers for a number of rounds, and one more in which all exports have finished."""
    from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

    # The requests of each round, and the processor time of the process at its end.
    rounds: list[tuple[int, float]] = []
    count_rounds(rounds, lambda: request_count(url))

    async def wait(export_id: str) -> Any:
        trigger = ConnectifExportTrigger("connectif_default", export_ids=[export_id], poke_interval=interval)
        return (await anext(trigger.run())).payload["status"]

    # Import everything first, as in a triggerer that has been running for a while.
    await asyncio.wait_for(wait(control(url, "exports", options={"seconds_per_export": 0})["ids"][0]), 60)
    blocked = BlockedTime()
    watching = asyncio.create_task(blocked.watch())
    waiting = []
    for export_id in ids:
        waiting.append(asyncio.create_task(wait(export_id)))
        await asyncio.sleep(0)  # as the triggerer does
    # The first round may be incomplete. Between its end and that of the last one there are complete rounds.
    rounds.clear()
    while len(rounds) <= round_count:  # noqa: ASYNC110  counted in another thread
        await asyncio.sleep(0.01)
    counts, ends = zip(*rounds[: round_count + 1], strict=True)
    measured = {"requests": sum(counts[1:]) / round_count, "cpu": (ends[-1] - ends[0]) * 1000 / round_count}
    await asyncio.to_thread(control, url, "options", seconds_per_export=0)
    states = {await task for task in waiting}
    watching.cancel()
    assert states == {"finished"}, states
    return {**measured, **blocked.result()}


async def watch(_url: str, _ids: list[str], _interval: float, round_count: int) -> dict[str, float]:
    """Watch the list with the provider's event triggers: one round that starts the cursors, and some more."""
    from airflow_provider_connectif.triggers.connectif import (
        ConnectifExportFinishedEventTrigger,
        ConnectifExportTrigger,
    )

    # Import everything first.
    await anext(ConnectifExportTrigger("connectif_default", export_ids=["a"], poke_interval=0.2).run())
    rounds: list[tuple[int, float]] = []
    count_rounds(rounds, lambda: 0)

    async def follow(number: int) -> None:
        trigger = ConnectifExportFinishedEventTrigger("connectif_default", consumer=str(number), poke_interval=5)
        async for _ in trigger.run():
            raise AssertionError("No export finishes.")

    blocked = BlockedTime()
    watching = asyncio.create_task(blocked.watch())
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, busy = time.perf_counter(), time.process_time()
    following = [asyncio.create_task(follow(number)) for number in range(WATCHERS)]
    while len(rounds) <= round_count and not any(task.done() for task in following):  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    took, ended = time.perf_counter() - began, rounds[-1][1]
    for task in following:
        assert not task.done(), task.exception()
        task.cancel()
    watching.cancel()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory) / 1024
    return {
        "cpu": (ended - busy) * 1000 / len(rounds),
        "seconds": (took - 5 * round_count) / len(rounds),
        "memory": grown,
        **blocked.result(),
    }


async def slow(_url: str, _ids: list[str], interval: float, round_count: int) -> dict[str, float]:
    """Wait for exports of slow accounts and, meanwhile, of a quick one, several times; return its longest wait."""
    from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

    async def wait(account: str, poke_interval: float) -> Any:
        trigger = ConnectifExportTrigger(f"connectif_{account}", export_ids=["a"], poke_interval=poke_interval)
        return (await anext(trigger.run())).payload["status"]

    assert await wait("quick", interval) == "finished"
    others = [asyncio.create_task(wait(f"slow{number}", 0.2)) for number in range(SLOW_ACCOUNTS)]
    await asyncio.sleep(1)
    longest = 0.0
    for _ in range(round_count):
        began = time.perf_counter()
        assert await wait("quick", interval) == "finished"
        longest = max(longest, time.perf_counter() - began)
    for task in others:
        assert not task.done()
        task.cancel()
    return {"longest": longest}


async def naive(url: str, ids: list[str], interval: float, round_count: int) -> dict[str, float]:
    """Wait with a request for each export, in threads."""
    from airflow_provider_connectif.hooks.connectif import ConnectifHook

    remaining = dict.fromkeys(ids, round_count)

    def request(export_id: str) -> None:
        with ConnectifHook("connectif_default").open_client() as client:
            client.get_export(export_id)

    async def wait(export_id: str) -> None:
        while remaining[export_id]:
            await asyncio.sleep(interval)
            await asyncio.to_thread(request, export_id)
            remaining[export_id] -= 1

    await asyncio.to_thread(request, ids[0])
    before = request_count(url)
    busy, _, blocked = await together(wait(export_id) for export_id in ids)
    return {"requests": (request_count(url) - before) / round_count, "cpu": busy * 1000 / round_count, **blocked}


async def idle(_url: str, ids: list[str], interval: float, round_count: int) -> dict[str, float]:
    """Wait with a trigger of Airflow that makes no requests, for the duration of the rounds."""
    import pendulum
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    # The trigger ends at a whole second.
    until = pendulum.now("UTC").add(seconds=math.ceil(interval * round_count) + len(ids) // 1000)

    async def wait() -> None:
        await anext(DateTimeTrigger(moment=until).run())

    busy, seconds, blocked = await together(wait() for _ in ids)
    return {"requests": 0, "cpu": busy * 1000 * interval / seconds, **blocked}


async def together(waits: Iterable[Coroutine[Any, Any, None]]) -> tuple[float, float, dict[str, float]]:
    """Start tasks as the triggerer does, and wait for them.

    :return: seconds of processor time, elapsed seconds, and the delays of the event loop
    """
    blocked = BlockedTime()
    watching = asyncio.create_task(blocked.watch())
    busy, began = time.process_time(), time.perf_counter()
    waiting = []
    for each in waits:
        waiting.append(asyncio.create_task(each))
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    watching.cancel()
    return time.process_time() - busy, time.perf_counter() - began, blocked.result()


def measure(url: str, way: str, number: int, interval: float, rounds: int) -> dict[str, float]:
    """Measure a number of waiting exports of the sandbox in a new process."""
    control(url, "reset")
    control(url, "options", seconds_per_export=100_000.0, rows=1)
    ids = control(url, "exports", count=number)["ids"]
    return run_child(way, {"default": url}, ids, interval, rounds)


def run_child(way: str, accounts: Mapping[str, str], ids: list[str], interval: float, rounds: int) -> dict[str, float]:
    """Measure one way in a new process.

    :param accounts: the URLs of the connections, by the ends of their ids
    """
    connections = {
        f"AIRFLOW_CONN_CONNECTIF_{name.upper()}": json.dumps({"conn_type": "connectif", "host": url, "password": KEY})
        for name, url in accounts.items()
    }
    url = next(iter(accounts.values()))
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            "AIRFLOW_HOME": home,
            **connections,
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        }
        command = [sys.executable, "-m", "benchmarks.poller", "--child", way, url, str(interval), str(rounds)]
        done = subprocess.run(
            command, env=environment, input=json.dumps(ids), capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: dict[str, float] = json.loads(done.stdout.rpartition("MEASURED ")[2])
    return found


def measure_list(listed: int, rounds: int) -> bool:
    """Measure watchers of a long list and a quick account next to slow ones, and return whether the limits are met."""
    with server("-m", "benchmarks.list_server", "{port}", str(listed), ready="/list/exports?page=1") as url:
        found = run_child("watch", {"default": f"{url}/list"}, [], 5.0, rounds)
        print(
            f"{WATCHERS} watchers, {listed:,} exports: {found['seconds']:.0f} s and {found['cpu']:.0f} ms of processor "
            f"time per round, {found['memory']:.0f} MB; event loop blocked, ms: {found['wall']:.1f} wall, "
            f"{found['blocked_cpu']:.1f} processor, {found['without_gc']:.1f} without gc",
            flush=True,
        )
        accounts = ["quick", *(f"slow{number}" for number in range(SLOW_ACCOUNTS))]
        late = run_child("slow", {name: f"{url}/{name}" for name in accounts}, [], 1.0, 5)["longest"] - 1.0
        print(f"{SLOW_ACCOUNTS} slow accounts: a quick one is served {late:.2f} s after its interval of 1 s")
    return found["wall"] < MAX_BLOCKED and late < 1.0


def main() -> int:
    """Measure, print a table, and return 0 if the limits are met."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--numbers", type=int, nargs="+", default=[10, 100, 1000, 5000], help="numbers of waiting exports"
    )
    parser.add_argument("--listed", type=int, default=100_000, help="number of exports that watchers read (100000)")
    parser.add_argument("--rounds", type=int, default=3, help="number of rounds (3)")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two rounds (1)")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, url, interval, rounds = arguments.child
        ids = json.load(sys.stdin)
        function = {"shared": shared, "naive": naive, "idle": idle, "watch": watch, "slow": slow}[way]
        print("MEASURED", json.dumps(asyncio.run(function(url, ids, float(interval), int(rounds)))))
        return 0

    print(f"{'':18}{'requests':>10}{'processor':>12}{'event loop blocked, ms':>34}")
    print(f"{'waiting':>10}{'':8}{'/round':>10}{'ms/round':>12}{'wall':>12}{'processor':>11}{'without gc':>12}")
    passed = True
    sandbox = ("-m", "airflow_provider_connectif.sandbox", "--port", "{port}", "--quiet")
    with server(*sandbox, ready="/_sandbox/stats") as url:
        for number in arguments.numbers:
            for way, rounds in (("shared", arguments.rounds), ("naive", 1), ("idle", arguments.rounds)):
                found = measure(url, way, number, arguments.interval, rounds)
                print(
                    f"{number:>10,} {way:7}{found['requests']:>10.1f}{found['cpu']:>12.0f}"
                    f"{found['wall']:>12.1f}{found['blocked_cpu']:>11.1f}{found['without_gc']:>12.1f}",
                    flush=True,
                )
                if way == "shared":
                    passed = passed and found["without_gc"] < MAX_BLOCKED
                    passed = passed and not (number == 1000 and found["requests"] > MAX_REQUESTS_FOR_1000)
    passed = measure_list(arguments.listed, arguments.rounds) and passed
    print(
        f"{'PASSED' if passed else 'FAILED'}: at most {MAX_REQUESTS_FOR_1000} requests per round for 1,000 exports, "
        f"the event loop blocked for less than {MAX_BLOCKED:.0f} ms (without gc; in all by watchers), and no "
        "slow account delays a quick one by an interval"
    )
    return 0 if passed else 1


if __name__ == "__main__":
    sys.exit(main())
