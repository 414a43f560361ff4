# SPDX-License-Identifier: Apache-2.0
"""The vendor's file names, and patterns that match them."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.api.file_names import has_name, title_of, without_extension

UUID = "6ba7b810-9dad-41d1-80b4-00c04fd430c8"


@pytest.mark.parametrize(
    ("name", "title"),
    [
        (f"purchases-20230326-20230425-{UUID}.zip", "purchases"),
        (f"V! Carrito abandonado-20230326-{UUID}.csv", "v! carrito abandonado"),
        (f"export-activities-{UUID}.zip", "export-activities"),
        (f"export-activities-{UUID}-products.csv", "export-activities"),
        (f"Ventas por categoría-{UUID}", "ventas por categoría"),
        ("purchases-20230326-20230425", "purchases"),
        ("purchases-2023.zip", "purchases-2023"),
        ("plain", "plain"),
        (f"order-12345678-{UUID}.zip", "order-12345678"),
        (f"Ventas-20261101-20261102-20261103-{UUID}.zip", "ventas-20261101"),
    ],
)
def test_the_title_precedes_dates_and_identifier(name, title):
    assert title_of(name) == title


def test_the_title_does_not_include_an_extension_that_the_api_reports_separately():
    assert title_of(f"Purchases-20230326-{UUID}.xlsx", "XLSX") == "purchases"
    assert title_of("purchases", "zip") == "purchases"


@pytest.mark.parametrize(
    "name", ["Sales!.zip", "Sales!.CSV", "Sales!.csv.gz", "Sales!.csv.zip", "Sales!.xlsx", "Sales!"]
)
def test_a_file_name_loses_its_extension_and_keeps_its_case(name):
    assert without_extension(name, "xlsx") == "Sales!"


@pytest.mark.parametrize("pattern", ["Purchases", "purchases", " Purchases ", "purch*", f"*{UUID}.zip", "p?rchases"])
def test_a_title_a_whole_name_or_a_pattern_matches(pattern):
    assert has_name(f"Purchases-20230326-20230425-{UUID}.zip", pattern)


@pytest.mark.parametrize("pattern", ["Purchase", "purchases-20230326", "sales", "", "p?"])
def test_part_of_a_title_does_not_match(pattern):
    assert not has_name(f"Purchases-20230326-20230425-{UUID}.zip", pattern)


def test_a_title_that_contains_pattern_characters_matches_itself():
    assert has_name(f"sales [all]-{UUID}.zip", "Sales [all]")


def test_a_missing_name_does_not_match():
    assert not has_name(None, "*")
