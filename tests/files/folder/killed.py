# SPDX-License-Identifier: Apache-2.0
"""A delivery in a process that kills itself at a given point: ``python -m tests.files.folder.killed JSON``."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from airflow_provider_connectif.files.folder.held_folder import HeldFolder
from airflow_provider_connectif.files.folder.lease import Lease
from airflow_provider_connectif.files.stores.staged import Staged
from tests.files.exports import MIB, deliver_to, export
from tests.stores import Place

POINTS = {
    "while uploading": (Staged, "complete", 2),
    "before publishing": (Lease, "announce", 1),
    "before the first object is visible": (Staged, "publish", 1),
    "between two objects": (Staged, "publish", 2),
    "before the manifest": (HeldFolder, "_write_manifest", 1),
    "before the deletion": (HeldFolder, "delete_replaced", 1),
    "before the last manifest": (HeldFolder, "_write_manifest", 2),
    "before the lease is released": (Lease, "release", 1),
}


def dying(real: Callable[..., Any], nth: int) -> Callable[..., Any]:
    count = 0

    def call(*args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        if count == nth:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)

    return call


def main() -> None:
    arguments = json.loads(sys.argv[1])
    place = Place.from_description(arguments["place"])
    owner, name, nth = POINTS[arguments["point"]]
    if (owner, name) == (Staged, "publish"):
        # In a local folder, the lease and the manifest are staged too: only the objects of the export count.
        real, mortal = Staged.publish, dying(Staged.publish, nth)
        Staged.publish = lambda self: mortal(self) if ".csv" in self.name else real(self)  # type: ignore[method-assign]
    elif (owner, name) == (Staged, "complete"):
        real, mortal = Staged.complete, dying(Staged.complete, nth)
        Staged.complete = lambda self: mortal(self) if ".csv" in self.name else real(self)  # type: ignore[method-assign]
    else:
        setattr(owner, name, dying(getattr(owner, name), nth))
    deliver_to(place, *export(arguments["export"], 3 * MIB))


if __name__ == "__main__":
    main()
