# SPDX-License-Identifier: Apache-2.0
"""Parquet files made by processes of their own: the memory that these take, and what a kill leaves behind."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from tests.files.exports import deliver_to, export, snapshot, without_lease
from tests.files.file_server import Faults, FileServer, serve_file
from tests.files.remote_files import wait_until
from tests.stores import Place

pytestmark = pytest.mark.slow

_LINE = '%d,client-%d@example.com,"García, Pérez",2026-01-31T10:00:00.000Z,%d.25,"note\n""of"" some length %d"\n'
TYPES = {"at": "timestamp", "total": "decimal(18,2)"}


def build_archive(members: int, rows: int) -> bytes:
    """Return an archive whose members have so many rows, each of about 110 bytes."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        for number in range(members):
            with file.open(f"export-{number}.csv", "w") as member:
                member.write(b"id,email,name,at,total,note\n")
                for first in range(0, rows, 10_000):
                    numbers = range(first, min(rows, first + 10_000))
                    member.write("".join(_LINE % ((number,) * 4) for number in numbers).encode())
    return archive.getvalue()


def start(place: Place, server: FileServer) -> subprocess.Popen[bytes]:
    """Store what the server serves in a process."""
    arguments = {"place": place.describe(), "file_format": "parquet", "column_types": TYPES, "id": "large"}
    command = [sys.executable, "-m", "tests.files.export_process", json.dumps({**arguments, "url": server.renew()})]
    return subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE)


@pytest.mark.parametrize(
    ("kind", "members", "rows"), [("local", 1, 4_000_000), ("s3", 1, 2_000_000), ("s3", 6, 300_000), ("s3", 500, 300)]
)
def test_memory_does_not_depend_on_the_number_and_size_of_files(
    request: pytest.FixtureRequest, kind: str, members: int, rows: int
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    with serve_file(build_archive(members, rows)) as server, start(place, server) as process:
        result = json.loads(process.communicate(timeout=280)[0])
    assert [file["rows"] for file in result["files"]] == [rows] * members
    assert result["grown_mib"] * 1024 * 1024 / 1e6 < 150


def test_a_process_that_is_killed_while_it_converts_leaves_nothing_visible(local_store: Place) -> None:
    deliver_to(local_store, *export(1))
    before = snapshot(local_store)
    content = build_archive(2, 400_000)
    faults = Faults(pause=0.2, block=len(content) // 40)
    with serve_file(content, faults) as server:
        with start(local_store, server) as process:
            wait_until(lambda: server.bytes_sent > len(content) * 3 // 4)
            process.send_signal(signal.SIGKILL)
        found = without_lease(snapshot(local_store))
        assert {name: data for name, data in found.items() if not name.startswith(".connectif")} == before
        faults.pause = 0
        with start(local_store, server) as process:
            result = json.loads(process.communicate(timeout=280)[0])
    assert local_store.names() == {"export-0.parquet", "export-1.parquet", MANIFEST_NAME}
    for file in result["files"]:
        table = pq.read_table(io.BytesIO(local_store.read(file["path"].rsplit("/", 1)[1])))
        assert table.num_rows == file["rows"] == 400_000
