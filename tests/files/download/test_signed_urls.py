# SPDX-License-Identifier: Apache-2.0
"""Signed URLs are renewed before and after they expire."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.files.download.remote_file import RemoteFile
from tests.files.file_server import Faults, serve_file
from tests.files.remote_files import (
    BYTES,
    FAST_RETRIES,
    MB,
    read_all,
    remote_file,
)


def test_a_url_that_expires_during_the_download_is_renewed() -> None:
    faults = Faults(url_requests=4, cut_after=400_000, cuts=10)
    with remote_file(BYTES, faults) as (file, server):
        assert read_all(file) == BYTES
        assert server.renewals >= 3


def test_a_url_is_renewed_before_it_expires() -> None:
    now = [0.0]
    faults = Faults(cut_after=2 * MB, cuts=2)
    faults.on_request = lambda number: now.__setitem__(0, [0.0, 0.0, 899.0, 899.0, 899.0, 901.0][number])
    with remote_file(BYTES, faults, url_lifetime=1000.0, clock=lambda: now[0]) as (file, server):
        read_all(file)
        assert server.renewals == 1
        now[0] = 901.0
        assert b"".join(file.chunks(3 * MB, 4 * MB)) == BYTES[3 * MB : 4 * MB]
        assert server.renewals == 2


def test_an_exception_of_renew_is_passed_through() -> None:
    class Gone(Exception):
        pass

    faults = Faults(cut_after=MB, cuts=1)
    with serve_file(BYTES, faults) as server:
        urls = [server.renew()]

        def renew() -> str:
            if not urls:
                raise Gone
            return urls.pop()

        faults.on_request = lambda number: server.expire_urls() if number > 2 else None
        with RemoteFile(renew, policy=FAST_RETRIES) as file, pytest.raises(Gone):
            read_all(file)
