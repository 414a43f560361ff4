# SPDX-License-Identifier: Apache-2.0
"""What was stored, for other tools: asset events for DAGs that wait for it, datasets for OpenLineage."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import Asset

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import BaseOperator, Context

    from airflow_provider_connectif.api.models import Export


def add_to_outlet_events(
    operator: BaseOperator, context: Context, result: Mapping[str, Any], export: Export | None = None
) -> None:
    """Add what was stored to ``extra`` of the asset events of the task's outlets.

    :param operator: the task
    :param context: the task's context
    :param result: what the task returns
    :param export: the export, if it was read; ``items`` is the API's own count, if it reports one
    """
    assets = [outlet for outlet in operator.outlets or [] if isinstance(outlet, Asset)]
    if not assets:
        return
    extra: dict[str, Any] = {
        "export_id": result["export_id"],
        "destination": result["destination"],
        "files": [{"path": file["path"], "bytes": file["bytes"]} for file in result["files"]],
        "bytes": sum(file["bytes"] for file in result["files"]),
        "manifest": result["manifest"],
    }
    if export is not None and export.total:
        extra["items"] = export.total
    for asset in assets:
        context["outlet_events"][asset].extra.update(extra)


def operator_lineage(result: Mapping[str, Any] | None) -> Any:
    """Describe what was stored to OpenLineage.

    :param result: what the task returned; None if it stored nothing
    :return: an ``OperatorLineage``; None if Airflow's OpenLineage provider is not installed
    """
    try:
        from airflow.providers.common.compat.openlineage.facet import OutputDataset, OutputStatisticsOutputDatasetFacet
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    if result is None:
        return OperatorLineage()
    namespace, name = openlineage_dataset(result["destination"])
    statistics = OutputStatisticsOutputDatasetFacet(
        size=sum(file["bytes"] for file in result["files"]), fileCount=len(result["files"])
    )
    dataset = OutputDataset(namespace=namespace, name=name, outputFacets={"outputStatistics": statistics})
    return OperatorLineage(outputs=[dataset])


def openlineage_dataset(uri: str) -> tuple[str, str]:
    """Return the namespace and the name that OpenLineage's naming rules give to a folder.

    :param uri: the folder, such as ``s3://lake/a/b``; a connection id in it is left out
    """
    if "://" not in uri:
        return "file", uri
    parts = urlsplit(uri)
    scheme = {"s3a": "s3", "s3n": "s3", "gcs": "gs"}.get(parts.scheme, parts.scheme)
    # In abfss://container@account.dfs…, the part before the @ is the container; elsewhere it is a connection id.
    authority = parts.netloc if scheme in ("abfs", "abfss") else re.sub(r"^[^@]*@", "", parts.netloc)
    if scheme == "file":
        return "file", "/" + (authority + parts.path).lstrip("/")
    return f"{scheme}://{authority}", parts.path.strip("/") or "/"
