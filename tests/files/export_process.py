# SPDX-License-Identifier: Apache-2.0
"""Store an export in a process of its own: ``python -m tests.files.export_process JSON``.

The arguments are a place, the ``id``, ``url``, ``file_format`` and perhaps ``column_types`` of the export, and
restrictions of the process:
``diskless`` lets it write only to files of a local destination; ``sparse`` does not store what it writes there.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from typing import Any

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.tables.arrow import import_pyarrow
from airflow_provider_connectif.files.unpack.archive import Archive, open_archive
from tests.files.exports import deliver_to, export
from tests.files.memory_process import peak_mib
from tests.stores import Place

_LARGE = 64 * 1024


def no_disk(destination: str | None) -> None:
    """Make every write to a file fail, in Python and in libraries.

    :param destination: a folder that may still be written to, if there is one
    """
    tempfile.tempdir = "/nonexistent"
    if destination is None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    def check(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            path = os.path.abspath(os.fsdecode(arguments[0])) if not isinstance(arguments[0], int) else ""
            inside = destination is not None and path.startswith(destination + os.sep)
            if path and path != os.devnull and not inside:
                raise OSError(f"no space left on this machine, not even for {path}")

    sys.addaudithook(check)


def sparse() -> None:
    """Let writes only extend files, without storing the data."""
    real = os.write

    def write(fd: int, data: Any) -> int:
        if len(data) < _LARGE:
            return real(fd, data)
        os.ftruncate(fd, os.lseek(fd, len(data), os.SEEK_CUR))
        return len(data)

    os.write = write  # type: ignore[assignment]


def main() -> None:
    arguments = json.loads(sys.argv[1])
    place = Place.from_description(arguments["place"])
    # Load now what is imported late: bytecode can still be written, and its memory does not count.
    warm = Place(place.kind, place.uri, place.fs, f"{place.path}-warm")
    deliver_to(warm, *export(1, 1000))
    if arguments["file_format"] == "parquet":
        import_pyarrow()
    if arguments.get("diskless"):
        os.makedirs(place.path, exist_ok=True) if place.kind == "local" else None
        no_disk(place.path if place.kind == "local" else None)
    if arguments.get("sparse"):
        sparse()
    base = peak_mib()
    file_format = {name: arguments[name] for name in ("file_format", "column_types") if name in arguments}

    def open_export() -> Archive:
        remote = RemoteFile(lambda: str(arguments["url"]))
        return open_archive(remote, file_name="export", **file_format)

    result = deliver_to(place, {"id": arguments["id"]}, open_export, **file_format)
    sys.stdout.write(json.dumps({"files": result["files"], "grown_mib": peak_mib() - base}))


if __name__ == "__main__":
    main()
