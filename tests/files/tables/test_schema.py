# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.files.tables.schema import SchemaChange, describe_changes, schema_changes


def change(before: str, after: str) -> SchemaChange | None:
    found = schema_changes({"": before.split()}, {"": after.split()})
    assert len(found) < 2
    return found[0] if found else None


@pytest.mark.parametrize(
    ("before", "after", "added", "removed", "renamed", "moved"),
    [
        ("a b c", "a b c d", ["d"], [], {}, []),
        ("a b c", "a x b c", ["x"], [], {}, []),
        ("a b c", "a c", [], ["b"], {}, []),
        ("a b c", "a x c", [], [], {"b": "x"}, []),
        (
            "email name surname city",
            "email firstName lastName city",
            [],
            [],
            {"name": "firstName", "surname": "lastName"},
            [],
        ),
        ("a b c", "a b x", ["x"], ["c"], {}, []),
        ("a b total", "a b totalAmount", [], [], {"total": "totalAmount"}, []),
        ("a b c d", "a x d", ["x"], ["b", "c"], {}, []),
        ("a b c d", "d a b c", [], [], {}, ["d"]),
        ("a b c d", "b c d a", [], [], {}, ["a"]),
        ("a b c d e", "a d c b x", ["x"], ["e"], {}, ["c", "b"]),
        ("a b", "c d", ["c", "d"], ["a", "b"], {}, []),
    ],
)
def test_what_changed(
    before: str, after: str, added: list[str], removed: list[str], renamed: dict[str, str], moved: list[str]
) -> None:
    expected = {"part": "", "added": added, "removed": removed, "renamed": renamed}
    found = change(before, after)
    assert found is not None
    assert {name: value for name, value in found.items() if name != "moved"} == expected
    assert len(found["moved"]) == len(moved)


def test_equal_columns_are_not_a_change() -> None:
    assert schema_changes({"": ["a", "b"], "products": ["c"]}, {"products": ["c"], "": ["a", "b"]}) == []


def test_only_parts_that_both_exports_have_and_whose_columns_are_known_are_compared() -> None:
    before = {"": ["a"], "products": ["b"], "unknown": None, "empty": []}
    after = {"": ["a", "x"], "lines": ["b"], "unknown": ["c"], "empty": ["d"]}
    assert [found["part"] for found in schema_changes(before, after)] == [""]


def test_columns_of_the_same_name_are_compared_by_their_number() -> None:
    assert change("a a b", "a b") == {"part": "", "added": [], "removed": ["a_2"], "renamed": {}, "moved": []}


@given(*[st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1)] * 2)
def test_a_change_says_all_that_leads_from_the_old_columns_to_the_new(before: list[str], after: list[str]) -> None:
    found = schema_changes({"": before}, {"": after})
    if before == after:
        assert found == []
        return
    [what] = found
    renamed = what["renamed"]
    assert set(before) - set(what["removed"]) - set(renamed) == set(after) - set(what["added"]) - set(renamed.values())
    unmoved = [name for name in before if name in after and name not in what["moved"]]
    assert unmoved == [name for name in after if name in before and name not in what["moved"]]


def test_a_log_line_names_every_change_and_the_reason_that_contacts_often_have() -> None:
    changes = schema_changes(
        {"": ["a", "b", "c", "d"], "products": ["x", "y"]}, {"": ["d", "a", "n", "c"], "products": ["x", "y", "z"]}
    )
    text = describe_changes(changes, export_type="contacts")
    for word in ("renamed 'b' to 'n'", "moved 'd'", "in 'products': added 'z'", "version"):
        assert word in text
    assert "version" not in describe_changes(changes, export_type="activities")
