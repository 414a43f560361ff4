# SPDX-License-Identifier: Apache-2.0
"""What was stored, for other tools: asset events for DAGs that wait for it, datasets for OpenLineage."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import Asset

#: What an asset event contains of each file.
_EVENT_FIELDS = ("path", "bytes", "rows", "columns", "part")

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
        "files": [{name: file[name] for name in _EVENT_FIELDS} for file in result["files"]],
        "bytes": sum(file["bytes"] for file in result["files"]),
        "manifest": result["manifest"],
        "unchanged": result["unchanged"],
    }
    if result["schema_changes"]:
        extra["schema_changes"] = result["schema_changes"]
    if export is not None and export.total:
        extra["items"] = export.total
    for asset in assets:
        context["outlet_events"][asset].extra.update(extra)


def operator_lineage(result: Mapping[str, Any] | None, export: Export | None = None, host: str | None = None) -> Any:
    """Describe what was stored to OpenLineage.

    :param result: what the task returned; None if it stored nothing
    :param export: the export, if it was read
    :param host: the API's host
    :return: an ``OperatorLineage``; None if Airflow's OpenLineage provider is not installed
    """
    try:
        from airflow.providers.common.compat.openlineage.facet import (
            Dataset,
            OutputDataset,
            OutputStatisticsOutputDatasetFacet,
        )
        from airflow.providers.openlineage.extractors import OperatorLineage
    except ImportError:
        return None
    if result is None:
        return OperatorLineage()
    schema = _schema_facets(result["files"])
    namespace, name = openlineage_dataset(result["destination"])
    statistics = OutputStatisticsOutputDatasetFacet(
        rowCount=_total_rows(result["files"]),
        size=sum(file["bytes"] for file in result["files"]),
        fileCount=len(result["files"]),
    )
    output = OutputDataset(namespace=namespace, name=name, facets=schema, outputFacets={"outputStatistics": statistics})
    inputs = []
    if export is not None and host is not None:
        inputs = [Dataset(namespace=f"connectif://{host}", name=export_dataset(export), facets=dict(schema))]
    return OperatorLineage(inputs=inputs, outputs=[output])


def export_dataset(export: Export) -> str:
    """Return the name that lineage gives to what an export contains: the same for each export of that kind.

    :param export: the export
    """
    kind = export.export_type or "unknown"
    return f"exports/{kind}/{export.report_id}" if export.report_id else f"exports/{kind}"


def _total_rows(files: Sequence[Mapping[str, Any]]) -> int | None:
    rows = [file["rows"] for file in files]
    return None if None in rows else sum(rows)


def _schema_facets(files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the columns of the main file, and those of the others as nested fields, each named after its part."""
    from airflow.providers.common.compat.openlineage.facet import SchemaDatasetFacet, SchemaDatasetFacetFields

    fields: list[Any] = []
    for file in sorted(files, key=lambda file: file["part"] or ""):
        columns = [SchemaDatasetFacetFields(name=column) for column in file["columns"] or ()]
        if file["part"] and fields:
            fields.append(SchemaDatasetFacetFields(name=file["part"], type="file", fields=columns))
        else:
            fields += columns
    return {"schema": SchemaDatasetFacet(fields=fields)} if fields else {}


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
