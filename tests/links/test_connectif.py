# SPDX-License-Identifier: Apache-2.0
"""The link to a report, which the task makes from two fields of the connection, and which contains no secret."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_connectif.links.connectif import ConnectifReportLink, report_url
from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.leaks import words_before_a_secret

APP = {"app_url": "https://eu1.example", "store_id": "store-1"}
REPORT = {"exportType": "data-explorer", "filters": {"reportId": "rep-1", "fromDate": "2026-11-01"}}


class TestUrl:
    def test_is_that_of_the_report_in_the_application(self):
        expected = "https://eu1.example/store/store-1/data-explorer-report/rep-1"
        assert report_url(APP, "rep-1") == expected
        assert report_url({"app_url": " https://eu1.example/ ", "store_id": " store-1 "}, "rep-1") == expected

    def test_escapes_the_ids(self):
        url = report_url({**APP, "store_id": "../x?a#b"}, "r/../..")
        assert url == "https://eu1.example/store/..%2Fx%3Fa%23b/data-explorer-report/r%2F..%2F.."

    @pytest.mark.parametrize(
        "extra", [{}, {"app_url": "https://eu1.example"}, {"store_id": "s"}, {**APP, "store_id": ""}]
    )
    def test_is_empty_without_both_fields(self, extra):
        assert report_url(extra, "rep-1") == ""

    @pytest.mark.parametrize(
        "app_url",
        [
            "javascript:alert(1)",
            "eu1.example",
            "https://user:word@eu1.example",
            "https://eu1.example?key=x",
            "https://[",
            7,
        ],
    )
    def test_is_empty_if_app_url_is_not_a_plain_http_url(self, app_url):
        assert report_url({**APP, "app_url": app_url}, "rep-1") == ""


@pytest.fixture
def connection(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The connection to the sandbox, with the URL of the application."""
    connection = {**json.loads(sandbox.connection_json), "extra": APP}
    monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", json.dumps(connection))
    return connection


def link_of(operator: Any) -> str:
    """Return the link as Airflow gets it at the end of the task, in its process."""
    [link] = operator.operator_extra_links
    assert link.name == ConnectifReportLink.name
    return link.get_link(operator, ti_key=None)  # type: ignore[arg-type]


class TestTask:
    def test_that_stores_a_report_links_to_it(self, sandbox, connection, task, tmp_path: Path):
        operator = ConnectifExportToObjectStorageOperator(
            task_id="store", export_id=sandbox.create_in_app(REPORT), destination=f"file://{tmp_path}/out"
        )
        task.run(operator)
        assert link_of(operator) == report_url(APP, "rep-1")
        assert words_before_a_secret(link_of(operator)) is None

    def test_that_creates_a_report_links_to_it(self, sandbox, connection, task):
        operator = ConnectifCreateExportOperator(
            task_id="create",
            export_type="data-explorer",
            report_id="rep-2",
            from_date="2026-11-01",
            to_date="2026-11-01",
        )
        task.run(operator)
        assert link_of(operator) == report_url(APP, "rep-2")

    def test_that_stores_another_type_has_no_link(self, sandbox, connection, task, tmp_path: Path):
        operator = ConnectifExportToObjectStorageOperator(
            task_id="store", export_id=sandbox.create_in_app(), destination=f"file://{tmp_path}/out"
        )
        task.run(operator)
        assert link_of(operator) == ""

    def test_whose_connection_has_no_app_url_has_no_link(self, sandbox, task, tmp_path):
        operator = ConnectifExportToObjectStorageOperator(
            task_id="store", export_id=sandbox.create_in_app(REPORT), destination=f"file://{tmp_path}/out"
        )
        task.run(operator)
        assert link_of(operator) == ""

    def test_that_has_not_run_has_no_link(self):
        assert link_of(ConnectifCreateExportOperator(task_id="create", export_type="contacts")) == ""


def test_the_api_server_reads_the_link_from_an_xcom_and_never_reads_the_connection():
    """A serialized task contains the names of the link and of its XCom, and no class of this package."""
    from airflow.sdk import DAG
    from airflow.serialization import serialized_objects

    serialization = getattr(serialized_objects, "DagSerialization", serialized_objects.SerializedDAG)  # Airflow 3.0

    with DAG("d", schedule=None) as dag:
        ConnectifCreateExportOperator(task_id="create", export_type="contacts")
    again = serialization.from_dict(json.loads(json.dumps(serialization.to_dict(dag))))
    [link] = again.get_task("create").operator_extra_links
    assert (type(link).__name__, link.name, link.xcom_key) == (
        "XComOperatorLink",
        "Connectif report",
        "_link_ConnectifReportLink",
    )
