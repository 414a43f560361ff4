# SPDX-License-Identifier: Apache-2.0
"""Store exports in shared folders from many processes, with kills and a faulty network: part of ``make chaos``.

In each round, several processes, as task instances of different runs and DAGs, store exports in one of a few folders on
real S3 servers, one that ignores conditional requests and one that honours them. Some processes are killed
(``SIGKILL``), and between them and the server requests are throttled (503 ``SlowDown``) or lose their response. Then
one more run stores an export without faults. After it, the objects in the folder must be exactly those of the manifest,
with the right content, and a file of someone else must be untouched.

``python -m scripts.chaos_folders --rounds 100 --seed 1``
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import logging
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.files.folder.delivery import deliver
from airflow_provider_connectif.files.folder.lease import Timing
from airflow_provider_connectif.files.stores.resolve import resolve_store
from tests.faults import Fault, Faults, Request, run_proxy
from tests.files import exports
from tests.stores import filesystem, free_port, run_s3_server, run_server, s3_options

BUCKET = "shared"
FOLDERS = ("one", "two")
FOREIGN = ("theirs.csv", b"not ours")

#: The lease of a dead process must not block a round for long, but must outlast what a busy machine delays.
TIMING = Timing(expire_seconds=8.0, wait_seconds=120.0, sleep=lambda seconds: time.sleep(min(seconds, 1.0)))

MIB = 1024 * 1024


class Member(exports.Member):
    """One file of an export, whose content depends on the export only."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the content, slowly enough for a kill in between."""
        for at in range(0, len(self._data), MIB):
            time.sleep(0.02)
            yield self._data[at : at + MIB]


def members(export_id: int) -> list[Member]:
    """Return the files of an export: up to three, some large, some with the same name in every export."""
    chosen = random.Random(export_id)
    names = ["activities.csv", f"activities-{export_id}.csv", f"products-{export_id}.csv"]
    sizes = [chosen.choice((10, 1000, 9 * MIB)) for _ in names]
    files = [Member(name, chosen.randbytes(size)) for name, size in zip(names, sizes, strict=True)]
    return files[chosen.randrange(2) : chosen.randrange(2, 4)]


def store(endpoint: str, folder: str, export_id: int, writer: dict[str, Any], outcomes: Any = None) -> None:
    """Store an export, and report how this ended."""
    logging.disable(logging.CRITICAL)
    try:
        result = deliver(
            lambda: members(export_id),  # type: ignore[arg-type, return-value]
            resolve_store(filesystem("s3", s3_options(endpoint)), f"{BUCKET}/{folder}"),
            uri=f"s3://{BUCKET}/{folder}",
            export={"id": str(export_id)},
            file_format="csv",
            writer=writer,
            timing=TIMING,
        )
        outcome = "stored" if result["export_id"] == str(export_id) else "stored another export"
    except FileError as error:
        outcome = f"failed ({type(error).__name__})"
        if error.final and type(error).__name__ != "FolderConflict":
            outcome = f"BROKEN: {error}"
    except Exception as error:
        outcome = f"BROKEN: {type(error).__name__}: {error}"
    if outcomes is not None:
        outcomes.put(outcome)
    elif outcome != "stored":
        raise RuntimeError(outcome)


class ChaosFolders:
    """The rounds.

    :param servers: the URLs of the servers, by name
    :param seed: seed for all choices
    """

    def __init__(self, servers: dict[str, str], seed: int) -> None:
        self.servers = servers
        self.random = random.Random(seed)
        self.outcomes: Counter[str] = Counter()
        self.faults: Counter[str] = Counter()
        self.kills = 0
        self.rounds: Counter[str] = Counter()
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tests.stores", "s3fs"])
        self._exports = 0

    def run(self, rounds: int) -> None:
        """Run so many rounds; raise an error if the content of a folder is wrong after one."""
        for server in self.servers.values():
            fs = filesystem("s3", s3_options(server))
            fs.call_s3("create_bucket", Bucket=BUCKET)
            for folder in FOLDERS:
                fs.pipe_file(f"{BUCKET}/{folder}/{FOREIGN[0]}", FOREIGN[1])
        for number in range(1, rounds + 1):
            kind = self.random.choice(sorted(self.servers))
            folder = self.random.choice(FOLDERS)
            self._disturb(self.servers[kind], folder)
            self._exports += 1
            writer = {"dag_id": "lake", "run_id": f"final-{number}", "task_id": "store", "map_index": -1}
            store(self.servers[kind], folder, self._exports, writer)
            check(self.servers[kind], folder, self._exports)
            self.rounds[kind] += 1
            if not number % 10:
                print(f"{number} rounds", flush=True)

    def _disturb(self, server: str, folder: str) -> None:
        """Let several processes store exports at once, with faults and kills, until all of them have ended."""
        faults = Faults()
        faults.rule = self._choose_fault
        outcomes = self._context.Queue()
        processes = []
        with run_proxy(server, faults) as url:
            for _ in range(self.random.randint(2, 4)):
                if self.random.random() < 0.8:
                    self._exports += 1
                writer = {
                    "dag_id": self.random.choice(["lake", "warehouse"]),
                    "run_id": self.random.choice(["monday", "tuesday"]),
                    "task_id": "store",
                    "map_index": self.random.choice([-1, -1, 0, 1]),
                }
                arguments = (url, folder, max(1, self._exports), writer, outcomes)
                processes.append(self._context.Process(target=store, args=arguments))
            for process in processes:
                process.start()
                time.sleep(self.random.uniform(0.0, 0.4))
            for process in self.random.sample(processes, self.random.randint(0, 2)):
                time.sleep(self.random.uniform(0.0, 0.8))
                if process.is_alive():
                    process.kill()
                    self.kills += 1
            for process in processes:
                process.join(300)
                if process.is_alive():
                    process.kill()
                    raise AssertionError("a process did not end")
        while not outcomes.empty():
            self.outcomes[outcomes.get()] += 1

    def _choose_fault(self, request: Request) -> Fault | None:
        fault: Fault | None = self.random.choices(("slow down", "lose response", None), (0.06, 0.04, 0.9))[0]
        if fault is not None:
            self.faults[fault] += 1
        return fault


def check(server: str, folder: str, export_id: int) -> None:
    """Make sure that the folder contains exactly an export, its manifest and the file of someone else."""
    fs = filesystem("s3", s3_options(server))
    found = {path.rsplit("/", 1)[-1]: fs.cat_file(path) for path in fs.ls(f"{BUCKET}/{folder}", detail=False)}
    manifest = json.loads(found["_connectif_manifest.json"])
    expected = {each.name: b"".join(each.chunks()) for each in members(export_id)}
    listed = {file["path"]: file["sha256"] for file in manifest["files"]}
    assert manifest["export"]["id"] == str(export_id)
    assert "replaces" not in manifest
    assert listed == {name: hashlib.sha256(data).hexdigest() for name, data in expected.items()}
    visible = {name: data for name, data in found.items() if not name.startswith(".connectif")}
    del visible["_connectif_manifest.json"]
    assert set(visible) == {*expected, FOREIGN[0]}, (folder, sorted(visible), sorted(expected))
    assert visible == {**expected, FOREIGN[0]: FOREIGN[1]}


@contextlib.contextmanager
def run_servers(folder: Path) -> Iterator[dict[str, str]]:
    """Run both servers, and return their URLs."""
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with run_s3_server(folder) as rclone, run_server(command, port):
        yield {"ignores conditions (rclone)": rclone, "honours conditions (moto)": f"http://127.0.0.1:{port}"}


def main() -> int:
    """Run the rounds that the command line describes."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=100, help="number of rounds")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="seed for all choices")
    arguments = parser.parse_args()
    print(f"seed {arguments.seed}")
    with tempfile.TemporaryDirectory(prefix="connectif-folders-") as folder, run_servers(Path(folder)) as servers:
        chaos = ChaosFolders(servers, arguments.seed)
        try:
            chaos.run(arguments.rounds)
            passed = not any(outcome.startswith("BROKEN") for outcome in chaos.outcomes)
        except AssertionError as error:
            print(f"after round {sum(chaos.rounds.values())}: {error}")
            passed = False
    print(f"rounds:            {sum(chaos.rounds.values())} ({_format(chaos.rounds)})")
    print(f"processes killed:  {chaos.kills}")
    print(f"requests failed:   {sum(chaos.faults.values())} ({_format(chaos.faults)})")
    print(f"deliveries:        {sum(chaos.outcomes.values())} ({_format(chaos.outcomes)})")
    print(
        f"{'PASSED' if passed else 'FAILED'}: after each round and one more run, the objects are those of the manifest"
    )
    return 0 if passed else 1


def _format(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))


if __name__ == "__main__":
    sys.exit(main())
