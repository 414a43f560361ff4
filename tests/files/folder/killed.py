# SPDX-License-Identifier: Apache-2.0
"""A delivery in a process that kills or suspends itself at a given point: ``python -m tests.files.folder.killed JSON``.

A process that is resumed prints, as JSON, the id of the export that the folder holds, or the name of its error.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from airflow_provider_connectif.files.errors import FileError
from airflow_provider_connectif.files.folder.held_folder import HeldFolder
from airflow_provider_connectif.files.folder.lease import Lease, Timing
from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from airflow_provider_connectif.files.stores.base import Store
from airflow_provider_connectif.files.stores.staged import Staged
from tests.files.exports import MIB, Archive, Member, deliver_to, export, simulated_timing
from tests.stores import Place


def any_call(*_: Any) -> bool:
    return True


def of_the_export(staged: Staged) -> bool:
    """In a local folder, the lease and the manifest are staged too."""
    return ".csv" in staged.name


def of_the_manifest(_: Store, name: str, *__: Any) -> bool:
    return name == MANIFEST_NAME


def of_an_old_object(_: Store, name: str) -> bool:
    return ".csv" in name


#: The method that is about to be called, for the nth time, and which of its calls count.
POINTS: dict[str, tuple[type, str, int, Callable[..., bool]]] = {
    "while uploading": (Staged, "complete", 2, of_the_export),
    "before publishing": (Lease, "announce", 1, any_call),
    "before the first object is visible": (Staged, "publish", 1, of_the_export),
    "between two objects": (Staged, "publish", 2, of_the_export),
    "before the manifest": (HeldFolder, "_write_manifest", 1, any_call),
    "before the deletion": (HeldFolder, "delete_replaced", 1, any_call),
    "before the last manifest": (HeldFolder, "_write_manifest", 2, any_call),
    "before the lease is released": (Lease, "release", 1, any_call),
}

#: Between the last look at the lease and the request.
LATE_POINTS: dict[str, tuple[type, str, int, Callable[..., bool]]] = {
    "just before the manifest": (Store, "put", 1, of_the_manifest),
    "just before an old object is deleted": (Store, "delete", 1, of_an_old_object),
    "just before the last manifest": (Store, "put", 2, of_the_manifest),
}


def signalling(real: Callable[..., Any], nth: int, counts: Callable[..., bool], number: int) -> Callable[..., Any]:
    count = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += counts(*args)
        if count == nth and counts(*args):
            os.kill(os.getpid(), number)
        return real(*args, **kwargs)

    return call


def real_timing(expire_seconds: float) -> Timing:
    """Return a timing on the machine's clock, for processes of which one at a time runs."""
    return Timing(expire_seconds=expire_seconds, sleep=lambda seconds: time.sleep(min(seconds, 0.05)), settle_seconds=0)


def same_names(number: int, size: int) -> tuple[dict[str, Any], Archive]:
    """Return an export whose files have the names that those of each other one have."""
    described, archive = export(number, size + number)
    return described, Archive(*(Member(f"{at}.csv", member._data) for at, member in enumerate(archive.members)))


def main() -> None:
    arguments = json.loads(sys.argv[1])
    place = Place.from_description(arguments["place"])
    owner, name, nth, counts = {**POINTS, **LATE_POINTS}[arguments["point"]]
    number = getattr(signal, arguments.get("signal", "SIGKILL"))
    setattr(owner, name, signalling(getattr(owner, name), nth, counts, number))
    expire = arguments.get("expire_seconds")
    try:
        result = deliver_to(
            place,
            *(same_names if arguments.get("same_names") else export)(arguments["export"], 3 * MIB),
            if_exists=arguments.get("if_exists", "replace"),
            timing=real_timing(expire) if expire else simulated_timing(),
        )
    except FileError as error:
        print(json.dumps(type(error).__name__))
    else:
        print(json.dumps(result["export_id"]))


if __name__ == "__main__":
    main()
