# SPDX-License-Identifier: Apache-2.0
"""One export stored by the package, in a process of its own: ``python -m benchmarks.ours JSON``.

It goes the way that a task's export goes (``tasks/transfer.py``), with Airflow's connections and filesystems. The
time begins when the modules are loaded, as in a worker; making a client for the store, which a task does too, counts.
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

from airflow_provider_connectif.api.models import Export
from airflow_provider_connectif.files.download import remote_file  # noqa: F401
from airflow_provider_connectif.files.folder import delivery  # noqa: F401
from airflow_provider_connectif.files.stores import (
    local,  # noqa: F401
    resolve,  # noqa: F401
)
from airflow_provider_connectif.files.unpack import archive  # noqa: F401
from airflow_provider_connectif.tasks.progress import ProgressLog
from airflow_provider_connectif.tasks.transfer import StoreOptions, manifest_writer, store_export
from benchmarks.measured import measured


def main() -> None:
    """Store, and print what it took."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    if told["destination"].startswith("s3:"):
        import airflow.providers.amazon.aws.fs.s3  # noqa: F401
        import s3fs  # noqa: F401

    has_fs("file")  # Airflow looks through its providers for stores
    export = Export("b" * 24, "finished", export_type="contacts", file_name="contacts.zip", file_url=told["address"])
    log = logging.getLogger("benchmark")
    instance = SimpleNamespace(dag_id="benchmark", run_id=told["destination"], task_id="store", map_index=-1)

    def run() -> dict[str, Any]:
        return store_export(
            None,  # type: ignore[arg-type]  # needed for a second signed URL, which a benchmark does not use
            export,
            StoreOptions(told["destination"], told.get("storage_conn_id"), told["file_format"]),
            writer=manifest_writer({"ti": instance}),  # type: ignore[typeddict-item]
            on_progress=ProgressLog(log.info),
            log=log,
        )

    print(json.dumps(measured(run)))


if __name__ == "__main__":
    main()
