# SPDX-License-Identifier: Apache-2.0
"""Store a file to S3 with Airflow's ``HttpToS3Operator``, for comparison: ``python -m benchmarks.http_to_s3 JSON``.

The connections are taken from the environment.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import boto3.s3.transfer  # noqa: F401
from airflow.providers.amazon.aws.transfers.http_to_s3 import HttpToS3Operator
from airflow.providers.http.hooks.http import HttpHook  # noqa: F401

from benchmarks.measurement import measure


def main() -> None:
    """Store the file, and print the usage."""
    arguments: dict[str, Any] = json.loads(sys.argv[1])
    operator = HttpToS3Operator(
        task_id="store",
        endpoint=arguments["endpoint"],
        http_conn_id="source",
        s3_bucket=arguments["bucket"],
        s3_key=arguments["key"],
        aws_conn_id="store",
        replace=True,
    )
    print(json.dumps(measure(lambda: operator.execute({}))))


if __name__ == "__main__":
    main()
