# SPDX-License-Identifier: Apache-2.0
"""What many waiting exports cost a triggerer: requests, processor time, and how long the event loop stands still.

Run ``python -m benchmarks.poller`` (``make bench-poller``). The sandbox is a process of its own, and so is each number
of waiting triggers: real ``ConnectifExportTrigger`` in one event loop, with a connection looked up as in a triggerer.
BackgroundCalls it the naive way: each waiting export asks for itself, in a thread, at the same interval. And, as what a
triggerer costs that asks nobody: as many of Airflow's own ``DateTimeTrigger``, which look at the clock each second.

A round is one look at all exports. "Stood still" is the longest time between two turns of the event loop, beyond what
was asked for: by the wall clock, which other processes disturb; by the processor time of the loop's own thread; and by
that without Python's garbage collections, for a full one takes as long whatever the triggers do: it walks through all
that Airflow has loaded. The start of all triggers and the round in which all exports are finished are measured too.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import math
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Coroutine, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import requests

KEY = "sandbox-key-id:sandbox-key-secret"
MOST_REQUESTS_FOR_1000 = 25
LONGEST_STANDSTILL = 50.0
"""Milliseconds; Airflow warns at 200."""


@contextmanager
def sandbox() -> Iterator[str]:
    """A sandbox in a process of its own; gives its address."""
    from scripts.local_airflow import free_port, wait_for

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "airflow_provider_connectif.sandbox", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for("the sandbox", lambda: requests.get(f"{url}/_sandbox/stats", timeout=5).ok or None, 60)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=10)


def control(url: str, path: str, **body: Any) -> Any:
    """Call a control route of the sandbox."""
    answer = requests.post(f"{url}/_sandbox/{path}", json=body, timeout=60)
    answer.raise_for_status()
    return answer.json()


def requests_so_far(url: str) -> int:
    """Count the API's requests until now."""
    return int(requests.get(f"{url}/_sandbox/stats", timeout=60).json()["requests"])


class Standstill:
    """Measures how long the event loop that it runs in takes for one turn, in milliseconds."""

    def __init__(self) -> None:
        self.wall = self.busy = self.ours = self.collection = 0.0
        self._thread = threading.get_ident()
        self._began = self._collecting = 0.0
        gc.callbacks.append(self._note)

    def _note(self, phase: str, _: Any) -> None:
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
            self.busy = max(self.busy, took)
            self.ours = max(self.ours, took - self._collecting)

    def result(self) -> dict[str, float]:
        """Give the longest of each."""
        return {"wall": self.wall, "busy": self.busy, "ours": self.ours, "collection": self.collection}


async def shared(url: str, ids: list[str], interval: float, how_many: int) -> dict[str, float]:
    """Wait with the provider's triggers, for so many rounds and one more in which all have finished."""
    from airflow_provider_connectif.api.polling import poller
    from airflow_provider_connectif.triggers.connectif import ConnectifExportTrigger

    # Of each round: the requests, and the processor time of the process at its end.
    rounds: list[tuple[int, float]] = []
    poll_exports = poller.poll_exports

    def counted(*arguments: Any) -> Any:
        before = requests_so_far(url)
        found = poll_exports(*arguments)
        rounds.append((requests_so_far(url) - before, time.process_time()))
        return found

    poller.poll_exports = counted

    async def wait(export_id: str) -> Any:
        trigger = ConnectifExportTrigger("connectif_default", export_ids=[export_id], poke_interval=interval)
        return (await anext(trigger.run())).payload["status"]

    # What is loaded once is loaded before, as in a triggerer that has run for a while.
    await asyncio.wait_for(wait(control(url, "exports", options={"seconds_per_export": 0})["ids"][0]), 60)
    standstill = Standstill()
    watching = asyncio.create_task(standstill.watch())
    waiting = []
    for export_id in ids:
        waiting.append(asyncio.create_task(wait(export_id)))
        await asyncio.sleep(0)  # as the triggerer does
    # The first is of those who had joined by then; between its end and the last one's lie so many whole rounds.
    rounds.clear()
    while len(rounds) <= how_many:  # noqa: ASYNC110  counted in another thread
        await asyncio.sleep(0.01)
    asked, ends = zip(*rounds[: how_many + 1], strict=True)
    measured = {"requests": sum(asked[1:]) / how_many, "cpu": (ends[-1] - ends[0]) * 1000 / how_many}
    await asyncio.to_thread(control, url, "options", seconds_per_export=0)
    states = {await task for task in waiting}
    watching.cancel()
    assert states == {"finished"}, states
    return {**measured, **standstill.result()}


async def naive(url: str, ids: list[str], interval: float, how_many: int) -> dict[str, float]:
    """Wait with a request for each export, in threads."""
    from airflow_provider_connectif.hooks.connectif import ConnectifHook

    left = dict.fromkeys(ids, how_many)

    def ask(export_id: str) -> None:
        with ConnectifHook("connectif_default").open_client() as client:
            client.get_export(export_id)

    async def wait(export_id: str) -> None:
        while left[export_id]:
            await asyncio.sleep(interval)
            await asyncio.to_thread(ask, export_id)
            left[export_id] -= 1

    await asyncio.to_thread(ask, ids[0])
    asked = requests_so_far(url)
    busy, _, standstill = await together(wait(export_id) for export_id in ids)
    return {"requests": (requests_so_far(url) - asked) / how_many, "cpu": busy * 1000 / how_many, **standstill}


async def idle(_url: str, ids: list[str], interval: float, how_many: int) -> dict[str, float]:
    """Wait with a trigger of Airflow's that asks nobody, for as long as so many rounds take."""
    import pendulum
    from airflow.providers.standard.triggers.temporal import DateTimeTrigger

    # It ends on a whole second after its moment.
    until = pendulum.now("UTC").add(seconds=math.ceil(interval * how_many) + len(ids) // 1000)

    async def wait() -> None:
        await anext(DateTimeTrigger(moment=until).run())

    busy, seconds, standstill = await together(wait() for _ in ids)
    return {"requests": 0, "cpu": busy * 1000 * interval / seconds, **standstill}


async def together(waits: Iterable[Coroutine[Any, Any, None]]) -> tuple[float, float, dict[str, float]]:
    """Start all as the triggerer does, and wait for them.

    :return: seconds of the processor, seconds, and how long the event loop stood still.
    """
    standstill = Standstill()
    watching = asyncio.create_task(standstill.watch())
    busy, began = time.process_time(), time.perf_counter()
    waiting = []
    for each in waits:
        waiting.append(asyncio.create_task(each))
        await asyncio.sleep(0)
    await asyncio.gather(*waiting)
    watching.cancel()
    return time.process_time() - busy, time.perf_counter() - began, standstill.result()


def measure(url: str, way: str, number: int, interval: float, rounds: int) -> dict[str, float]:
    """Measure one number of waiting exports in a new process."""
    control(url, "reset")
    control(url, "options", seconds_per_export=100_000.0, rows=1)
    ids = control(url, "exports", count=number)["ids"]
    connection = {"conn_type": "connectif", "host": url, "password": KEY}
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")},
            "AIRFLOW_HOME": home,
            "AIRFLOW_CONN_CONNECTIF_DEFAULT": json.dumps(connection),
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


def main() -> int:
    """Measure and print a table.

    :return: 0 where the limits hold.
    """
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--numbers", type=int, nargs="+", default=[10, 100, 1000, 5000], help="of waiting exports")
    parser.add_argument("--rounds", type=int, default=3, help="looks at all of them (3)")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between two (1)")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        way, url, interval, rounds = arguments.child
        ids = json.load(sys.stdin)
        play = {"shared": shared, "naive": naive, "idle": idle}[way]
        print("MEASURED", json.dumps(asyncio.run(play(url, ids, float(interval), int(rounds)))))
        return 0

    print(f"{'':18}{'requests':>10}{'processor':>12}{'event loop stood still, ms':>34}")
    print(f"{'waiting':>10}{'':8}{'a round':>10}{'ms a round':>12}{'clock':>12}{'processor':>11}{'without gc':>12}")
    kept = True
    with sandbox() as url:
        for number in arguments.numbers:
            for way, rounds in (("shared", arguments.rounds), ("naive", 1), ("idle", arguments.rounds)):
                found = measure(url, way, number, arguments.interval, rounds)
                print(
                    f"{number:>10,} {way:7}{found['requests']:>10.1f}{found['cpu']:>12.0f}"
                    f"{found['wall']:>12.1f}{found['busy']:>11.1f}{found['ours']:>12.1f}",
                    flush=True,
                )
                if way == "shared":
                    kept = kept and found["ours"] < LONGEST_STANDSTILL
                    kept = kept and not (number == 1000 and found["requests"] > MOST_REQUESTS_FOR_1000)
    print(
        f"1,000 waiting are to cost at most {MOST_REQUESTS_FOR_1000} requests a round, and no number of them is to keep"
        f" the event loop busy (without gc) for {LONGEST_STANDSTILL:.0f} ms: {'so it is' if kept else 'NOT so'}."
    )
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
