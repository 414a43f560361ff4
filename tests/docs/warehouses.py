# SPDX-License-Identifier: Apache-2.0
"""The loading functions of docs/guides/load-into-warehouse.md, and connections to the warehouses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.docs.page_dag_runner import redirect_to
from tests.docs.pages import ROOT, blocks

PAGE = ROOT / "docs/guides/load-into-warehouse.md"
TABLES = {"": "activities", "products": "activity_products"}
DAY = "2026-11-24"
ODD_TITLES = [
    "Total (€) 100 %",
    "100 %s",
    'Said "Río"; ok',
    "Two\nlines",
    "day",
    "Day",
    "Email",
    "email",
    "`back\\tick`",
    "A title that is longer than sixty-three bytes and ends in the word purchases",
    "A title that is longer than sixty-three bytes and ends in the word products",
    "Ñ" * 40,
    "{curly} $1 :name",
]


Query = Callable[[str], tuple[list[str], list[tuple[Any, ...]]]]


def load_from_the_page(dag_id: str, lake: Any, changes: dict[str, str] | None = None) -> tuple[Callable, dict]:
    """Return the function ``load`` of a DAG on the page, and the names that the DAG file defines."""
    [text] = [block.text for block in blocks("python", page=PAGE) if f'DAG("{dag_id}"' in block.text]
    for old, new in (changes or {}).items():
        assert old in text
        text = text.replace(old, new)
    defined: dict[str, Any] = {}
    exec(compile(redirect_to(lake, text), f"{dag_id}.py", "exec"), defined)
    return defined["load"].function, defined


@dataclass(frozen=True)
class Warehouse:
    """A warehouse with the loading function of the page.

    :param dag_id: the page's DAG
    :param load: its function ``load``
    :param query: returns the names of the columns, and the rows as tuples
    """

    dag_id: str
    load: Callable[[dict[str, Any]], dict[str, int]]
    query: Query

    def rows(self, table: str, day: str = DAY) -> list[dict[str, Any]]:
        names, rows = self.query(f"SELECT * FROM {table} WHERE day = DATE '{day}'")
        return [dict(zip(names, row, strict=True)) for row in rows]


def in_postgres(where: dict[str, str]) -> Query:
    import psycopg

    def query(statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        with psycopg.connect(**where) as connection:
            found = connection.execute(statement)
            return [column.name for column in found.description or ()], found.fetchall() if found.description else []

    return query


def in_duckdb(path: Any) -> Query:
    import duckdb

    def query(statement: str) -> tuple[list[str], list[tuple[Any, ...]]]:
        with duckdb.connect(str(path)) as connection:
            found = connection.execute(statement)
            return [column[0] for column in found.description], found.fetchall()

    return query
