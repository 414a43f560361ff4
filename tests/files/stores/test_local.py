# SPDX-License-Identifier: Apache-2.0
"""Files in a local folder."""

from __future__ import annotations

import errno
import fcntl
import os

import pytest

from airflow_provider_connectif.files.stores import local
from airflow_provider_connectif.files.stores.base import ABANDONED_AFTER
from airflow_provider_connectif.files.stores.temporary_names import temporary_name
from tests.files.stores.objects import FAR_FUTURE, upload
from tests.stores import Place


def test_a_staged_file_of_a_dead_process_is_deleted_at_once(local_store: Place) -> None:
    store = local_store.store(clock=lambda: 0.0)
    dead = store.stage("a.csv")
    dead.write(b"half")
    assert len(local_store.names()) == 1
    store.delete_abandoned_uploads([])
    assert local_store.names() == set()


def test_a_small_file_that_another_writer_may_be_putting_is_deleted_after_a_day(local_store: Place) -> None:
    os.makedirs(local_store.path)
    other = f"{local_store.path}/{temporary_name(staged=False)}"
    with open(other, "wb"):
        pass
    written_at = 1_800_000_000.0
    os.utime(other, (written_at, written_at))
    local_store.store(clock=lambda: written_at + ABANDONED_AFTER).delete_abandoned_uploads([])
    assert os.path.exists(other)
    local_store.store(clock=lambda: written_at + ABANDONED_AFTER + 1).delete_abandoned_uploads([])
    assert not os.path.exists(other)


def test_only_temporary_files_of_the_provider_are_deleted(local_store: Place) -> None:
    for name in (".hidden", "a.part", ".connectif_claim.x.json", "data.csv"):
        local_store.write(name, b"theirs")
    local_store.store(clock=lambda: FAR_FUTURE).delete_abandoned_uploads(["data.csv"])
    assert local_store.names() == {".hidden", "a.part", ".connectif_claim.x.json", "data.csv"}


def test_a_file_is_written_on_a_mount_without_locks(local_store: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    upload(local_store.store(), "a.csv", b"data")
    assert local_store.read("a.csv") == b"data"
    assert not local_store.store().conditional_writes


@pytest.mark.parametrize("conditional", [True, False])
def test_the_lock_file_of_a_dead_process_does_not_block(local_store: Place, conditional: bool) -> None:
    local_store.write(local.LOCK_NAME, b"")
    local_store.store().put("lease", b"1", if_absent=conditional)
    assert local_store.names() == ({"lease"} if conditional else {"lease", local.LOCK_NAME})


def test_a_published_file_has_the_permissions_of_any_new_file(local_store: Place) -> None:
    upload(local_store.store(), "a.csv", b"data")
    local_store.write("plain", b"")
    modes = [os.stat(f"{local_store.path}/{name}").st_mode & 0o777 for name in ("a.csv", "plain")]
    assert modes[0] == modes[1]
