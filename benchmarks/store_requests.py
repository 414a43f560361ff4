# SPDX-License-Identifier: Apache-2.0
"""The number of requests to an S3 store that a small export takes, counted by a proxy in front of the server.

The process that stores knows nothing about the store: whether it honours conditional requests is found out, too. A task
that creates its export makes one more if the destination names fields of the export, to look at the bucket before.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass

from benchmarks.sides import BUCKET, KEY, SECRET, Sides
from tests.faults import Faults, run_proxy
from tests.stores import filesystem, free_port, run_server

#: The maximum number into an empty folder, and into one that holds the export already.
GOALS = (12, 3)

_CSV_BYTES = 10_000


@dataclass
class Requests:
    """The requests for one small export.

    :param server: the S3 server
    :param empty: their number if the folder is empty
    :param complete: their number if the folder holds the export already
    """

    server: str
    empty: int
    complete: int

    @property
    def reached(self) -> bool:
        """Whether both numbers are as small as they should be."""
        return self.empty <= GOALS[0] and self.complete <= GOALS[1]


def count_requests(sides: Sides) -> list[Requests]:
    """Count the requests to a server that ignores conditional requests, and to one that honours them."""
    port = free_port()
    moto = f"http://127.0.0.1:{port}"
    with run_server([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        options = {"key": KEY, "secret": SECRET, "endpoint_url": moto, "client_kwargs": {"region_name": "us-east-1"}}
        filesystem("s3", options).call_s3("create_bucket", Bucket=BUCKET)
        return [
            _count(sides, "rclone, which ignores conditions", sides.s3),
            _count(sides, "moto, which honours conditions", moto),
        ]


def _count(sides: Sides, name: str, server: str) -> Requests:
    faults = Faults()
    counts = []
    environment = dict(sides.environment)
    with run_proxy(server, faults) as url:
        connection = json.loads(environment["AIRFLOW_CONN_STORE"])
        connection["extra"]["endpoint_url"] = url
        sides.environment["AIRFLOW_CONN_STORE"] = json.dumps(connection)
        try:
            for _ in GOALS:
                faults.seen.clear()
                sides.ours(_CSV_BYTES, "csv", to_s3=True)
                counts.append(len(faults.seen))
        finally:
            sides.environment.update(environment)
    sides.clear()
    return Requests(name, *counts)
