# SPDX-License-Identifier: Apache-2.0
"""A process is suspended until its lease has expired, another one stores its export, and the first one continues."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from airflow_provider_connectif.files.folder.manifest import MANIFEST_NAME
from tests.files.exports import contents, deliver_to, export, snapshot, writer
from tests.files.folder.killed import LATE_POINTS, POINTS, real_timing, same_names
from tests.stores import Place

pytestmark = pytest.mark.slow

#: Seconds on the machine's clock after which the lease of the suspended process is dead. Nothing else waits for it.
EXPIRE_SECONDS = 1.0

#: Only an export whose files have other names leaves old objects to delete.
WITH_OLD_OBJECTS = ("before the last manifest", "just before an old object is deleted", "just before the last manifest")

# Every point on the fastest store; on the others, the points at which they differ.
CASES = [
    (kind, point, names, if_exists)
    for kind in ("local", "s3", "moto")
    for point in (*POINTS, *LATE_POINTS)
    if kind == "local" or point in ("while uploading", "between two objects", *LATE_POINTS)
    for names, if_exists in (("own", "replace"), ("own", "skip"), ("same", "replace"), ("same", "skip"))
    if point not in WITH_OLD_OBJECTS or (names, if_exists) == ("own", "replace")
    if kind == "local" or if_exists == "replace"
]

#: Without conditional requests, the manifest of the other writer is lost, whose objects remain unlisted until they are
#: stored again.
OVERWRITES_THE_MANIFEST = [("s3", "just before the manifest"), ("s3", "just before the last manifest")]


@contextmanager
def suspended(place: Place, **arguments: object) -> Iterator[subprocess.Popen[str]]:
    """Start to deliver an export in a process, and return it when it has suspended itself."""
    arguments |= {"place": place.describe(), "signal": "SIGSTOP", "expire_seconds": EXPIRE_SECONDS}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.files.folder.killed", json.dumps(arguments)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            _, status = os.waitpid(process.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status), status
            yield process
        finally:
            process.kill()


def check(place: Place) -> str:
    """Make sure that the objects are those of the manifest; return the id of its export."""
    found = snapshot(place)
    manifest = json.loads(found.pop(MANIFEST_NAME))
    assert "replaces" not in manifest
    listed = {file["path"]: file["sha256"] for file in manifest["files"]}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in found.items()} == listed
    return str(manifest["export"]["id"])


@pytest.mark.parametrize(("kind", "point", "names", "if_exists"), CASES)
def test_a_writer_that_continues_after_another_one_took_over_leaves_one_export(
    request: pytest.FixtureRequest, kind: str, point: str, names: str, if_exists: str
) -> None:
    place: Place = request.getfixturevalue(f"{kind}_store")
    create = same_names if names == "same" else export
    timing = real_timing(EXPIRE_SECONDS)
    if if_exists == "replace":
        deliver_to(place, *create(1, 1000))
    with suspended(place, point=point, export=2, same_names=names == "same", if_exists=if_exists) as process:
        deliver_to(place, *create(3, 1000), by=writer(run_id="tuesday"), timing=timing)
        process.send_signal(signal.SIGCONT)
        outcome = json.loads(process.communicate(timeout=60)[0])
    if (kind, point) not in OVERWRITES_THE_MANIFEST:
        assert check(place) == outcome
    described, archive = create(3, 1000)
    deliver_to(place, described, archive, by=writer(run_id="wednesday"), timing=timing)
    assert check(place) == described["id"]
    assert place.names() == {*contents(archive), MANIFEST_NAME}
