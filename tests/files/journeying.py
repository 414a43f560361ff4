# SPDX-License-Identifier: Apache-2.0
"""An export that is stored by a process of its own: ``python -m tests.files.journeying JSON``.

Told are a place, the ``id``, ``address`` and ``file_format`` of the export, and how this process is hindered:
``diskless`` lets it write to no file but those of a local destination; ``sparse`` keeps what goes to a local
destination out of the disk.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
from typing import Any

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from airflow_provider_connectif.files.unpack.archive import Archive, open_archive
from tests.files.exports import export, store
from tests.files.measured import peak_mib
from tests.stores import Place, filesystem

_LARGE = 64 * 1024


def no_disk(destination: str | None) -> None:
    """Let every writing to a file fail, be it Python's or a library's.

    :param destination: a folder where it goes on; None for none.
    """
    tempfile.tempdir = "/nonexistent"
    if destination is None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            path = os.path.abspath(os.fsdecode(arguments[0])) if not isinstance(arguments[0], int) else ""
            inside = destination is not None and path.startswith(destination + os.sep)
            if path and path != os.devnull and not inside:
                raise OSError(f"this machine has no room, not for {path} either")

    sys.addaudithook(watch)


def sparse() -> None:
    """Let files have the length of what is written to them, and take no room."""
    real = os.write

    def write(fd: int, data: Any) -> int:
        if len(data) < _LARGE:
            return real(fd, data)
        os.ftruncate(fd, os.lseek(fd, len(data), os.SEEK_CUR))
        return len(data)

    os.write = write  # type: ignore[assignment]


def main() -> None:
    told = json.loads(sys.argv[1])
    place = Place(told["kind"], told["uri"], filesystem(told["kind"], told["options"]), told["path"])
    # All that is loaded late is loaded now: bytecode may be written, and the memory counts as the modules'.
    warm = Place(place.kind, place.uri, place.fs, f"{place.path}-warm")
    store(warm, *export(1, 1000))
    if told.get("diskless"):
        os.makedirs(place.path, exist_ok=True) if place.kind == "local" else None
        no_disk(place.path if place.kind == "local" else None)
    if told.get("sparse"):
        sparse()
    base = peak_mib()

    def opened() -> Archive:
        remote = RemoteFile(lambda: str(told["address"]))
        return open_archive(remote, file_format=told["file_format"], file_name="export")

    result = store(place, {"id": told["id"]}, opened, file_format=told["file_format"])
    sys.stdout.write(json.dumps({"files": result["files"], "grown_mib": peak_mib() - base}))


if __name__ == "__main__":
    main()
