# SPDX-License-Identifier: Apache-2.0
"""How many requests to an S3 store one task makes: at most 12 for a small export, at most 3 for a complete folder."""

from __future__ import annotations

import json

import pytest

from airflow_provider_connectif.files.stores import s3_conditions
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.airflow_harness import FakeTask
from tests.faults import Faults, run_proxy
from tests.stores import S3_KEY, S3_SECRET, Place, moto_server, moto_store, s3_server, s3_store  # noqa: F401  fixtures

pytest.importorskip("airflow.providers.amazon")


def operator(destination: str, **arguments: str) -> ConnectifExportToObjectStorageOperator:
    return ConnectifExportToObjectStorageOperator(
        task_id="store", destination=destination, storage_conn_id="aws_default", **arguments
    )


@pytest.mark.parametrize(
    ("folder", "limit"), [("", 11), ("/{export_id}", 12)], ids=["known before", "named by the export"]
)
@pytest.mark.parametrize("if_exists", ["replace", "skip"])
@pytest.mark.parametrize("kind", ["s3", "moto"])
def test_a_task_makes_few_requests_to_the_store(request, sandbox, monkeypatch, kind, if_exists, folder, limit):
    place: Place = request.getfixturevalue(f"{kind}_store")
    # Nothing is known about the store, as in a new process.
    monkeypatch.setattr(s3_conditions, "_known", {})
    faults = Faults()
    with run_proxy(place.options["endpoint_url"], faults) as url:
        connection = {"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET}
        connection |= {"extra": {"endpoint_url": url, "region_name": "us-east-1"}}
        monkeypatch.setenv("AIRFLOW_CONN_AWS_DEFAULT", json.dumps(connection))
        destination = place.uri + folder
        task = FakeTask()
        stored = task.run(operator(destination, export_type="contacts", if_exists=if_exists))
        assert len(stored["files"]) == 1
        assert len(faults.seen) <= limit, faults.seen

        for arguments in (
            {"export_type": "contacts"},  # another attempt of the same task
            {"export_id": stored["export_id"]},  # another task
        ):
            faults.seen.clear()
            assert task.run(operator(destination, if_exists=if_exists, **arguments)) == stored
            assert len(faults.seen) <= 3, faults.seen
            task = FakeTask()
