# SPDX-License-Identifier: Apache-2.0
"""Store an export with the package: ``python -m benchmarks.store_export JSON``.

It uses the same code as a task (``tasks/transfer.py``), with Airflow's connections and filesystems. The measurement
starts when the modules have been imported, as in a worker, and includes creating a client for the object store.
"""

from __future__ import annotations

import json
import logging
import sys
from types import SimpleNamespace
from typing import Any

import fsspec.implementations.local  # noqa: F401
import upath.implementations.local  # noqa: F401
from airflow.sdk.io.fs import has_fs

from airflow_provider_connectif.api.client import ConnectifClient
from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.files.download import remote_file  # noqa: F401
from airflow_provider_connectif.files.folder import delivery  # noqa: F401
from airflow_provider_connectif.files.stores import (
    local,  # noqa: F401
    resolve,  # noqa: F401
)
from airflow_provider_connectif.files.tables.arrow import import_pyarrow
from airflow_provider_connectif.files.tables.contents import ContentsCounter
from airflow_provider_connectif.files.unpack import archive  # noqa: F401
from airflow_provider_connectif.tasks.progress import ProgressLog
from airflow_provider_connectif.tasks.transfer import StoreOptions, store_export
from airflow_provider_connectif.tasks.writers import manifest_writer
from benchmarks.measurement import measure


def main() -> None:
    """Store the export, and print the usage."""
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    if arguments["destination"].startswith("s3:"):
        import airflow.providers.amazon.aws.fs.s3  # noqa: F401
        import s3fs  # noqa: F401

    if arguments["file_format"] == "parquet":
        import_pyarrow()
    if not arguments["counted"]:
        ContentsCounter.feed = lambda self, block: None  # type: ignore[method-assign]

    has_fs("file")  # lets Airflow search its providers for filesystems
    export = Export("b" * 24, "finished", export_type="contacts", file_name="contacts.zip", file_url=arguments["url"])
    log = logging.getLogger("benchmark")
    instance = SimpleNamespace(dag_id="benchmark", run_id=arguments["destination"], task_id="store", map_index=-1)

    def run() -> dict[str, Any]:
        return store_export(
            ConnectifClient("key:secret", "http://127.0.0.1"),
            export,
            StoreOptions(arguments["destination"], arguments.get("storage_conn_id"), arguments["file_format"]),
            writer=manifest_writer({"ti": instance}),  # type: ignore[typeddict-item]
            on_progress=ProgressLog(log.info),
            log=log,
        )

    print(json.dumps(measure(run)))


if __name__ == "__main__":
    main()
