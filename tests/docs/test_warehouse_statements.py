# SPDX-License-Identifier: Apache-2.0
"""docs/guides/load-into-warehouse.md: the statements for other warehouses parse, and name the columns of the file."""

from __future__ import annotations

from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.docs.warehouses import DAY, ODD_TITLES, PAGE, load_from_the_page

sqlglot = pytest.importorskip("sqlglot", reason="in the group dev, and not in the group test")
pytestmark = pytest.mark.system

DIALECTS = {"INTO incoming": "snowflake", "LOAD DATA": "bigquery", "GZIP IGNOREHEADER": "redshift"}
TEMPLATES = {
    next(DIALECTS[key] for key in DIALECTS if key in block.text): block for block in blocks("jinja", page=PAGE)
}


def render(dialect: str, stored: dict[str, Any], tmp_path: Any) -> list[Any]:
    """Return the statements of a template, rendered as Airflow does and parsed."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    class TaskInstance:
        def xcom_pull(self, task_ids: str) -> dict[str, Any]:
            return {"store": stored}[task_ids]

    _, defined = load_from_the_page("postgres", tmp_path)
    template = SandboxedEnvironment(undefined=StrictUndefined).from_string(TEMPLATES[dialect].text)
    text = template.render(ti=TaskInstance(), warehouse_names=defined["warehouse_names"])
    return [statement for statement in sqlglot.parse(text, dialect=dialect) if statement is not None]


KINDS = {
    "snowflake": "Create Copy Select Alter* Transaction Delete Insert Commit",
    "bigquery": "LoadData Select Alter* Transaction Delete Insert Commit",
    "redshift": "Create Copy Select Transaction Delete Insert Commit",
}


@pytest.mark.parametrize("dialect", DIALECTS.values())
@pytest.mark.parametrize("columns", [["activityId", "date", "amount"], ODD_TITLES], ids=["activities", "report"])
def test_the_statements_for_other_warehouses_parse(dialect, columns, tmp_path):
    file = {"path": f"s3://lake/activities/{DAY}/a.csv.gz", "rows": 200, "columns": columns, "part": ""}
    others = {**file, "path": file["path"].replace("a.csv", "a-products.csv"), "part": "products"}
    stored = {"destination": f"s3://lake/activities/{DAY}", "files": [others, file]}
    statements = render(dialect, stored, tmp_path)
    kinds = KINDS[dialect].replace("Alter*", " ".join(["Alter"] * len(columns)))
    assert [type(statement).__name__ for statement in statements] == kinds.split()
    [insert] = [statement for statement in statements if isinstance(statement, sqlglot.exp.Insert)]
    listed = [each.name for each in insert.this.expressions]
    assert listed[0] == "day"
    assert len(listed) == len(columns) + 1
    assert listed[1:] == [each.name for each in insert.expression.expressions][1:]
    text = TEMPLATES[dialect].text
    assert "products" not in text


@pytest.mark.parametrize("dialect", DIALECTS.values())
def test_the_statements_name_the_file_and_the_columns_of_a_real_result(dialect, page_runs, tmp_path):
    result = page_runs.of("load_into_duckdb").returned["store"]
    [file] = [file for file in result["files"] if file["part"] == ""]
    statements = render(dialect, result, tmp_path)
    [insert] = [statement for statement in statements if isinstance(statement, sqlglot.exp.Insert)]
    assert [each.name for each in insert.this.expressions] == ["day", *file["columns"]]
    texts = [statement.sql(dialect=dialect) for statement in statements]
    assert any(str(file["rows"]) in text for text in texts)
