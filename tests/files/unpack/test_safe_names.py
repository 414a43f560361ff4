# SPDX-License-Identifier: Apache-2.0
"""Safe names for the members of an archive."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_connectif.files.unpack import safe_names
from airflow_provider_connectif.files.unpack.safe_names import MAX_BYTES, UniqueNames, safe_name


@pytest.mark.parametrize(
    "name",
    [
        "export-activities-5f.csv",
        "Purchases-20230326-20230425.csv",
        "¡Ventas de año! (ñandú) – 'oferta', 50 €.csv",
        "顧客.csv",
        "cafe\u0301.csv",
        "a.b.c.csv",
        "_private.csv",
    ],
)
def test_an_ordinary_name_is_unchanged(name: str) -> None:
    assert safe_name(name, ".csv") == name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("folder/sub/a.csv", "a.csv"),
        ("../../x.csv", "x.csv"),
        ("/etc/passwd", "passwd.csv"),
        ("..\\..\\x.csv", "x.csv"),
        ("C:\\temp\\x.csv", "x.csv"),
        ("C:x.csv", "x.csv"),
        ("..", "file.csv"),
        ("", "file.csv"),
        ("a/", "a.csv"),
        (".csv", "file.csv"),
        (".hidden.csv", "hidden.csv"),
        ("a\nb\x00c\x7f.csv", "a_b_c_.csv"),
        ("invoice\u202evsc.exe", "invoice_vsc.exe.csv"),
        ("a\u00a0b\u2003c.csv", "a b c.csv"),
        ('a<b>c:d"e|f?g*h.csv', "a_b_c_d'e_f_g_h.csv"),
        ("50%#1[x].csv", "50__1(x).csv"),
        ("con.csv", "_con.csv"),
        ("LPT1", "_LPT1.csv"),
        ("_connectif_manifest.json", "connectif_manifest.json.csv"),
        ("_CONNECTIF_x.csv", "CONNECTIF_x.csv"),
        ("x .csv", "x.csv"),
        ("x...csv", "x.csv"),
        ("A.CSV", "A.csv"),
        ("readme.txt", "readme.txt.csv"),
        ("\ud800.csv", "_.csv"),
    ],
)
def test_a_dangerous_name_is_made_safe(name: str, safe: str) -> None:
    assert safe_name(name, ".csv") == safe


def test_the_extension_is_not_doubled() -> None:
    assert safe_name("a.csv", ".csv.gz") == "a.csv.gz"
    assert safe_name("a.csv.gz", ".csv.gz") == "a.csv.gz"
    assert safe_name("a.zip", ".zip") == "a.zip"


def test_a_long_name_is_truncated_at_a_character_and_keeps_its_extension() -> None:
    name = safe_name("ñ" * 300 + ".csv", ".csv.gz")
    assert name == "ñ" * 96 + ".csv.gz"
    assert len(name.encode()) <= MAX_BYTES


def test_names_that_are_equal_in_some_file_systems_get_numbers() -> None:
    names = UniqueNames()
    unique = [names.add(name, ".csv") for name in ["a/x.csv", "b/x.csv", "X.CSV", "x-2.csv", "é.csv", "e\u0301.csv"]]
    assert unique == ["x.csv", "x-2.csv", "X-3.csv", "x-2-2.csv", "é.csv", "e\u0301-2.csv"]


@pytest.mark.parametrize("source", ["data.csv", "ñ" * 300])
@pytest.mark.parametrize("different_ends", [False, True])
def test_ten_thousand_names_that_are_equal_up_to_their_ends_get_numbers_without_trying_all(
    source: str, different_ends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = 0
    real = safe_names._fit

    def count(*args: str) -> str:
        nonlocal tried
        tried += 1
        return real(*args)

    monkeypatch.setattr(safe_names, "_fit", count)
    names = UniqueNames()
    # Names of the maximum length that differ in their last characters only are equal when they have a number.
    ends = [f"{number % 5000:04}" if different_ends else "" for number in range(10_000)]
    unique = {names.add(source[:94] + end, ".csv") for end in ends}
    assert len(unique) == 10_000
    assert tried < 40_000


@given(st.lists(st.text(max_size=300), max_size=20), st.sampled_from([".csv", ".csv.gz"]))
def test_all_names_are_safe_and_unique(sources: list[str], extension: str) -> None:
    names = UniqueNames()
    unique = [names.add(source, extension) for source in sources]
    assert len({name.casefold() for name in unique}) == len(sources)
    for name in unique:
        assert name.endswith(extension)
        assert len(name.encode()) <= MAX_BYTES
        assert not set(name) & set('/\\<>:"|?*#%[]\0\n')
        assert not name.startswith((".", " ", "_connectif"))
        assert name.isprintable()
