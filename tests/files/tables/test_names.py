# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.files.tables.names import distinct_names, part_names, shortened

ONE = "0fd7a9f2-3c1d-4a6e-9d2b-1f0e5c7b8a90"
OTHER = "7b1e2d3c-aaaa-4bbb-8ccc-1234567890ab"


@pytest.mark.parametrize("uuid", [ONE, OTHER, ONE.upper()])
@pytest.mark.parametrize(
    ("files", "parts"),
    [
        (["export-contacts-{}.csv"], [""]),
        (["Purchases-20230326-20230425-{}.csv"], [""]),
        (["export-activities-{}.csv", "export-activities-{}-products.csv"], ["", "products"]),
        (["export-activities-{}-products.csv", "export-activities-{}.csv"], ["products", ""]),
        (["export-activities-{}-Products.CSV"], ["products"]),
        (["folder/export-activities-{}.csv", "folder/export-activities-{}-order lines.csv"], ["", "order-lines"]),
        (["export-contacts-{}.csv", "export-segments-{}.csv"], ["contacts", "segments"]),
        (["contacts-{}-1.csv", "contacts-{}-2.csv"], ["1", "2"]),
        (["¡Año!-{}.csv", "¡Año!-{}-líneas.csv"], ["", "líneas"]),
    ],
)
def test_parts_of_the_seen_names_and_of_others_like_them(uuid: str, files: list[str], parts: list[str]) -> None:
    assert part_names([name.format(uuid) for name in files]) == parts


@pytest.mark.parametrize(
    ("files", "parts"),
    [
        ([], []),
        (["report.csv"], [""]),
        (["My report 2026-01-31.csv"], [""]),
        (["report.csv", "report-products.csv"], ["", "products"]),
        (["report-20260101.csv", "report-20260101-products.csv"], ["", "products"]),
        (["a.csv", "b.csv"], ["a", "b"]),
        (["a.csv", "x/a.csv"], ["", "2"]),
        (["b.csv", "a.csv", "x/a.csv"], ["b", "a", "a-2"]),
    ],
)
def test_parts_of_names_without_a_uuid(files: list[str], parts: list[str]) -> None:
    assert part_names(files) == parts


@given(st.lists(st.text(max_size=30), max_size=6))
def test_parts_are_different_and_do_not_depend_on_the_order_of_different_names(files: list[str]) -> None:
    parts = part_names(files)
    assert len(set(parts)) == len(files)
    if len(set(files)) == len(files):
        assert part_names(files[::-1]) == parts[::-1]


def test_columns_of_the_same_name_are_numbered_without_taking_the_name_of_another() -> None:
    names = ["a", "b", "a", "a_2", "a", "", ""]
    distinct, renamed = distinct_names(names)
    assert distinct == ["a", "b", "a_3", "a_2", "a_4", "", "_2"]
    assert renamed == {"a_3": "a", "a_4": "a", "_2": ""}


@given(st.lists(st.sampled_from(["a", "a_2", "a_3", "a_2_2", "", "_2", "b"]), max_size=12))
def test_distinct_names_are_distinct_and_the_first_of_each_keeps_its_name(names: list[str]) -> None:
    distinct, renamed = distinct_names(names)
    assert len(set(distinct)) == len(names)
    assert [renamed.get(name, name) for name in distinct] == names
    for name in set(names):
        assert distinct[names.index(name)] == name


def test_a_list_of_many_names_is_shortened() -> None:
    assert shortened(["'a'", "'b'"]) == "'a', 'b'"
    assert shortened([str(number) for number in range(1000)]).endswith(", 18, 19 and 980 more")
