# SPDX-License-Identifier: Apache-2.0
"""The same file brought to S3 by Airflow's ``HttpToS3Operator``, in a process of its own.

``python -m benchmarks.memory_rival JSON``; the connections come from the environment.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import boto3.s3.transfer  # noqa: F401
from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator
from airflow.providers.http.hooks.http import HttpHook  # noqa: F401

from benchmarks.measured import measured


def main() -> None:
    """Store, and print what it took."""
    told: dict[str, Any] = json.loads(sys.argv[1])
    operator = HttpToS3Operator(
        task_id="store",
        endpoint=told["endpoint"],
        http_conn_id="source",
        s3_bucket=told["bucket"],
        s3_key=told["key"],
        aws_conn_id="store",
        replace=True,
    )
    print(json.dumps(measured(lambda: operator.execute({}))))


if __name__ == "__main__":
    main()
