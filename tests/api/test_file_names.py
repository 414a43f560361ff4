# SPDX-License-Identifier: Apache-2.0
"""The vendor's file names, and how people name the files that they mean."""

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
def test_the_title_is_what_comes_before_dates_and_identifier(name, title):
    assert title_of(name) == title


def test_the_title_has_no_extension_that_the_api_tells_beside_the_name():
    assert title_of(f"Purchases-20230326-{UUID}.xlsx", "XLSX") == "purchases"
    assert title_of("purchases", "zip") == "purchases"


@pytest.mark.parametrize(
    "name", ["Sales!.zip", "Sales!.CSV", "Sales!.csv.gz", "Sales!.csv.zip", "Sales!.xlsx", "Sales!"]
)
def test_a_file_name_loses_its_extension_and_keeps_its_case(name):
    assert without_extension(name, "xlsx") == "Sales!"


@pytest.mark.parametrize("wanted", ["Purchases", "purchases", " Purchases ", "purch*", f"*{UUID}.zip", "p?rchases"])
def test_a_file_is_meant_by_its_title_its_name_or_a_pattern_of_either(wanted):
    assert has_name(f"Purchases-20230326-20230425-{UUID}.zip", wanted)


@pytest.mark.parametrize("wanted", ["Purchase", "purchases-20230326", "sales", "", "p?"])
def test_a_file_is_not_meant_by_a_part_of_its_title(wanted):
    assert not has_name(f"Purchases-20230326-20230425-{UUID}.zip", wanted)


def test_a_title_with_the_signs_of_a_pattern_in_it_is_still_found_as_it_is():
    assert has_name(f"sales [all]-{UUID}.zip", "Sales [all]")


def test_an_export_whose_file_has_no_name_is_not_meant():
    assert not has_name(None, "*")
