# SPDX-License-Identifier: Apache-2.0
"""docs/guides/load-into-warehouse.md: the statements for other warehouses parse, and name the columns of the file."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.docs.pages import blocks
from tests.docs.warehouses import DAY, ODD_TITLES, PAGE, load_from_the_page

sqlglot = pytest.importorskip("sqlglot", reason="in the group dev, and not in the group test")
pytestmark = pytest.mark.system

PARTS = {
    "snowflake": "ESCAPE_UNENCLOSED_FIELD",
    "bigquery": "allow_quoted_newlines",
    "redshift": "GZIP IGNOREHEADER",
    "athena": "CREATE EXTERNAL TABLE",
    "snowflake, Parquet": "TYPE = PARQUET",
    "bigquery, Parquet": "format = 'PARQUET'",
}


def template(name: str) -> str:
    [text] = [block.text for block in blocks("jinja", page=PAGE) if PARTS[name] in block.text]
    return text


def templates() -> dict[str, str]:
    """Return the text of each template; for Parquet, with the other statement and the other names, as the page says."""
    found = {name: template(name) for name in ("snowflake", "bigquery", "redshift", "athena")}
    for dialect, begin in {"snowflake": "COPY INTO", "bigquery": "LOAD DATA"}.items():
        text, other = found[dialect], template(f"{dialect}, Parquet")
        before, _, after = text.partition(begin)
        names = re.compile(r"(?<={% set names = ).*(?= %})")
        found[f"{dialect}, Parquet"] = names.sub('file["columns"]', before) + other + after.partition(";")[2]
    return found


TEMPLATES = templates()


def dialect_of(name: str) -> str:
    return name.partition(",")[0]


def render(name: str, stored: dict[str, Any], tmp_path: Any) -> list[Any]:
    """Return the statements of a template, rendered as Airflow does and parsed."""
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    class TaskInstance:
        def xcom_pull(self, task_ids: str) -> dict[str, Any]:
            return {"store": stored}[task_ids]

    _, defined = load_from_the_page("load_into_postgres", tmp_path)
    template = SandboxedEnvironment(undefined=StrictUndefined).from_string(TEMPLATES[name])
    text = template.render(ti=TaskInstance(), warehouse_names=defined["warehouse_names"])
    return [statement for statement in sqlglot.parse(text, dialect=dialect_of(name)) if statement is not None]


KINDS = {
    "snowflake": "Create Copy Select Alter* Transaction Delete Insert Commit",
    "bigquery": "LoadData Select Alter* Transaction Delete Insert Commit",
    "redshift": "Create Copy Select Transaction Delete Insert Commit",
    "athena": "Create Alter",
}
REPORTS = ["snowflake", "bigquery", "redshift"]


def stored(columns: list[str]) -> dict[str, Any]:
    file = {"path": f"s3://lake/activities/{DAY}/a.csv.gz", "rows": 200, "columns": columns, "part": ""}
    products = {
        "path": f"s3://lake/activities/{DAY}/a-products.csv.gz",
        "rows": 300,
        "columns": ["b"],
        "part": "products",
    }
    return {"destination": f"s3://lake/activities/{DAY}", "files": [file, products]}


@pytest.mark.parametrize("name", TEMPLATES)
def test_all_statements_parse(name, tmp_path):
    statements = render(name, stored(["activityId", "date", "amount"]), tmp_path)
    kinds = KINDS[dialect_of(name)].replace("Alter*", "Alter Alter Alter")
    assert [type(statement).__name__ for statement in statements] == kinds.split()


@pytest.mark.parametrize("name", REPORTS)
def test_all_statements_parse_with_the_titles_of_a_report(name, tmp_path):
    statements = render(name, stored(ODD_TITLES), tmp_path)
    assert not any(statement.find(sqlglot.exp.Command) for statement in statements)
    [insert] = [statement for statement in statements if isinstance(statement, sqlglot.exp.Insert)]
    assert len({each.name for each in insert.this.expressions}) == len(ODD_TITLES) + 1


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name != "athena"])
def test_columns_are_inserted_by_name_from_the_file_of_the_part(name, tmp_path):
    columns = ["activityId", "date", "amount"]
    statements = render(name, stored(columns), tmp_path)
    [insert] = [statement for statement in statements if isinstance(statement, sqlglot.exp.Insert)]
    assert [each.name for each in insert.this.expressions] == ["day", *columns]
    assert [each.name for each in insert.expression.expressions][1:] == columns
    text = ";".join(statement.sql(dialect=dialect_of(name)) for statement in statements)
    assert "/a.csv.gz" in text
    assert "a-products" not in text
    assert "= 200" in text


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_statements_accept_a_real_result(name, page_runs, tmp_path):
    result = page_runs.of("load_into_duckdb").returned["store"]
    for statement in render(name, result, tmp_path):
        assert not statement.find(sqlglot.exp.Command)


def test_an_athena_table_has_the_columns_of_the_file_and_its_folder_as_a_partition(tmp_path):
    create, alter = render("athena", stored(["email", "createdAt"]), tmp_path)
    columns = [each.name for each in create.this.expressions]
    assert columns == ["email", "createdAt"]
    text = create.sql(dialect="athena")
    assert "PARTITIONED BY (day DATE) STORED AS PARQUET LOCATION 's3://lake/contacts/'" in text.replace("`", "")
    assert f"PARTITION(day = '{DAY}') LOCATION 's3://lake/activities/{DAY}/'" in alter.sql(dialect="athena")
