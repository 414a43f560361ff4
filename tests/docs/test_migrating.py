# SPDX-License-Identifier: Apache-2.0
"""docs/migrating.md: both DAGs of the page do the same, and one mishap shows the difference."""

from __future__ import annotations

import csv

import pytest

from tests.docs.conftest import LOST_ANSWER

pytestmark = pytest.mark.system


def rows_of(folder):
    found = {}
    for path in folder.glob("2026-11-23/*.csv"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            found["products" if path.stem.endswith("-products") else "activities"] = len(list(csv.reader(file)))
    return found


def test_both_store_the_same_files(played):
    by_hand, by_operator = rows_of(played.lake / "by-hand"), rows_of(played.lake / "by-operator")
    assert set(by_operator) == set(by_hand) == {"activities", "products"}
    assert by_operator["activities"] == by_hand["activities"] == 201


@pytest.mark.parametrize(("name", "made"), [("purchases_by_hand", 2), ("purchases_by_operator", 1)])
def test_an_answer_that_is_lost_makes_a_second_export_by_hand_alone(played, name, made):
    assert played.of(name).created == 1
    mishap = played.of(name, date="2026-11-23", fault=LOST_ANSWER)
    assert mishap.state == "success", mishap.output[-3000:]
    assert mishap.created == made
