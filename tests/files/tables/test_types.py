# SPDX-License-Identifier: Apache-2.0
"""Which cells fit which type, read by Python and by pyarrow."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import date, datetime, timezone
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_connectif.files.tables.arrow import TableReader, arrow_type
from airflow_provider_connectif.files.tables.errors import CellDoesNotFit, ColumnMissing
from airflow_provider_connectif.files.tables.types import (
    ColumnType,
    check_declared,
    parse_column_types,
    read_cell,
)


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=timezone.utc)  # type: ignore[arg-type]


GOOD: dict[str, dict[str, Any]] = {
    "decimal(18,2)": {
        "0": Decimal("0.00"),
        "1": Decimal("1.00"),
        "-1.5": Decimal("-1.50"),
        "+1.50": Decimal("1.50"),
        "0123.4": Decimal("123.40"),
        "1.5000": Decimal("1.50"),
        ".5": Decimal("0.50"),
        "5.": Decimal("5.00"),
        "-0": Decimal("0.00"),
        "9999999999999999.99": Decimal("9999999999999999.99"),
        "00000000000000000000000000000000000000000000000001.1": Decimal("1.10"),
    },
    "decimal(38,0)": {"9" * 38: Decimal("9" * 38), "-" + "9" * 38: Decimal("-" + "9" * 38)},
    "decimal(3,3)": {"0.123": Decimal("0.123"), "-.999": Decimal("-0.999")},
    "int64": {
        "0": 0,
        "-0": 0,
        "+7": 7,
        "0123": 123,
        "-9223372036854775808": -(2**63),
        "9223372036854775807": 2**63 - 1,
        "0" * 5000 + "1": 1,
    },
    "double": {
        "0": 0.0,
        "1": 1.0,
        "-1.5": -1.5,
        "+.5": 0.5,
        "5.": 5.0,
        "1e3": 1000.0,
        "1.5E-300": 1.5e-300,
        "0.1": 0.1,
        "1e-999": 0.0,
        "1.7976931348623157e308": 1.7976931348623157e308,
        "123456789012345678901234567890": 123456789012345678901234567890.0,
    },
    "timestamp": {
        "2026-01-31T23:59:59.123Z": utc(2026, 1, 31, 23, 59, 59, 123000),
        "2026-01-31T23:59:59.123456Z": utc(2026, 1, 31, 23, 59, 59, 123456),
        "2026-01-31T23:59:59.123456000Z": utc(2026, 1, 31, 23, 59, 59, 123456),
        "2026-01-31T23:59:59Z": utc(2026, 1, 31, 23, 59, 59),
        "2026-01-31 23:59:59": utc(2026, 1, 31, 23, 59, 59),
        "2026-01-31T23:59Z": utc(2026, 1, 31, 23, 59),
        "2026-01-31T23:59:59+02:00": utc(2026, 1, 31, 21, 59, 59),
        "2026-01-31T23:59:59.5-0530": utc(2026, 2, 1, 5, 29, 59, 500000),
        "2026-01-31T23:59:59+01": utc(2026, 1, 31, 22, 59, 59),
        "2024-02-29T00:00:00Z": utc(2024, 2, 29),
        "0001-01-01T00:00:00Z": utc(1, 1, 1),
        "9999-12-31T23:59:59.999999Z": utc(9999, 12, 31, 23, 59, 59, 999999),
    },
    "date": {
        "2026-01-31": date(2026, 1, 31),
        "2024-02-29": date(2024, 2, 29),
        "0001-01-01": date(1, 1, 1),
        "9999-12-31": date(9999, 12, 31),
    },
    "bool": {"true": True, "false": False, "True": True, "FALSE": False, "1": True, "0": False},
}

_NEVER = [" ", "x", "-", "+", "1 ", " 1", "NULL", "null", "N/A", "None", "\0", "1\n", "１", "٣", "1;2", '"1"']
BAD: dict[str, list[str]] = {
    "decimal(18,2)": [
        *_NEVER,
        "1.005",
        "1e3",
        "1,5",
        "1.000,50",
        "10000000000000000",
        "--1",
        "1.2.3",
        ".",
        "NaN",
        "inf",
    ],
    "decimal(38,0)": ["1" + "0" * 38, "0.1"],
    "decimal(3,3)": ["1", "1.0", "0.1234"],
    "int64": [
        *_NEVER,
        "1.0",
        "1.",
        "1e3",
        "9223372036854775808",
        "-9223372036854775809",
        "1_000",
        "1,000",
        "0x10",
        "9" * 5000,
    ],
    "double": [
        *_NEVER,
        "1,5",
        "nan",
        "NaN",
        "inf",
        "-Infinity",
        "1e999",
        "-1e999",
        ".",
        "e5",
        "1e",
        "0x1p3",
        "1_0",
        "1f",
    ],
    "timestamp": [
        *_NEVER,
        "2026-01-31",
        "2026-02-29T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:60Z",
        "2026-01-31T23:59:59.1234567Z",
        "2026-01-31T23:59:59,5Z",
        "2026-01-31T23:59:59 Z",
        "2026-01-31t23:59:59z",
        "2026-01-31T23:59:59+24:00",
        "2026-01-31T23:59:59+02:60",
        "2026-1-31T23:59:59Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59-01:00",
        "01/31/2026",
        "January 31, 2026 11:59 PM",
        "1769903999",
        "2026-01-31T23:59:59Z\n",
    ],
    "date": [
        *_NEVER,
        "2026-02-29",
        "2026-13-01",
        "2026-1-31",
        "20260131",
        "31/01/2026",
        "2026-01-31T00:00:00Z",
        "0000-01-01",
    ],
    "bool": [*_NEVER, "yes", "no", "t", "f", "2", "-1", "01", "truee", "on"],
}


def the(name: str) -> ColumnType:
    return parse_column_types({"x": name})["x"]


def read_as(name: str, *cells: str) -> list[Any]:
    reader = TableReader("x.csv", ",", ["id", "x"], {"x": the(name)})
    quoted = ('"' + cell.replace('"', '""') + '"' for cell in cells)
    table = reader.read("".join(f"{number},{cell}\n" for number, cell in enumerate(quoted)).encode())
    assert table.schema.field("x").type == arrow_type(the(name))
    found: list[Any] = table.column("x").to_pylist()
    return found


@pytest.mark.parametrize(("name", "cell", "value"), [(n, c, v) for n, cells in GOOD.items() for c, v in cells.items()])
def test_good_cells(name: str, cell: str, value: Any) -> None:
    assert read_cell(the(name), cell) == value
    assert read_as(name, cell) == [value]
    assert read_as(name, cell, "", *GOOD[name]) == [value, None, *GOOD[name].values()]


@pytest.mark.parametrize(("name", "cell"), [(name, cell) for name, cells in BAD.items() for cell in cells])
def test_bad_cells_are_reported_by_file_column_and_record_and_never_shown(name: str, cell: str) -> None:
    with pytest.raises(ValueError):
        read_cell(the(name), cell)
    good = next(iter(GOOD[name]))
    # In a separate thread: exceptions raised by a trace function can remain the context of all later ones.
    with ThreadPoolExecutor(1) as thread:
        error = thread.submit(read_as, name, good, "", f"{cell}", "").exception()
    assert isinstance(error, CellDoesNotFit)
    assert error.final
    assert (error.file, error.column, error.record) == ("x.csv", "x", 3)
    assert str(error).startswith(f"'x.csv', record 3, column 'x': the cell does not fit the type {the(name)}. ")
    assert the(name).hint in str(error)
    if len(cell) > 12:
        assert cell not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize("name", GOOD)
def test_an_empty_cell_is_null(name: str) -> None:
    assert read_cell(the(name), "") is None
    assert read_as(name, "", "") == [None, None]


_DIGITS = st.text("0123456789", max_size=22)
_LIKELY = st.one_of(
    st.builds("".join, st.tuples(st.sampled_from(["", "-", "+"]), _DIGITS, st.sampled_from(["", "."]), _DIGITS)),
    st.builds(
        "".join,
        st.tuples(
            st.sampled_from(["", "-"]),
            _DIGITS,
            st.sampled_from(["", ".5"]),
            st.sampled_from(["e", "E"]),
            st.sampled_from(["", "+", "-"]),
            st.text("0123456789", max_size=3),
        ),
    ),
    st.datetimes().map(datetime.isoformat),
    st.builds(
        "{}{}".format, st.datetimes().map(datetime.isoformat), st.sampled_from(["Z", "+02:00", "-0330", "+99:00"])
    ),
    st.dates().map(date.isoformat),
    st.floats().map(repr),
    st.integers().map(str),
    st.sampled_from(["true", "FALSE", "1", "0", "tRue"]),
    st.text("0123456789-:TZ. +e", max_size=24),
)


@settings(deadline=None, max_examples=500)
@given(st.sampled_from([*GOOD, "decimal(5,0)", "decimal(20,10)"]), st.lists(_LIKELY, min_size=1, max_size=5))
def test_pyarrow_reads_each_cell_as_python_does(name: str, cells: list[str]) -> None:
    expected = []
    for number, cell in enumerate(cells):
        try:
            expected.append(read_cell(the(name), cell))
        except ValueError:
            with pytest.raises(CellDoesNotFit) as caught:
                read_as(name, *cells)
            assert caught.value.record == number + 1
            return
    assert read_as(name, *cells) == expected


def test_column_types_are_read() -> None:
    declared = {"a": "decimal(18,2)", "b": " Decimal( 4 , 0 ) ", "c": "int64", "d": "BOOL"}
    types = parse_column_types(declared)
    assert types == {
        "a": ColumnType("decimal", 18, 2),
        "b": ColumnType("decimal", 4),
        "c": ColumnType("int64"),
        "d": ColumnType("bool"),
    }
    assert [str(each) for each in types.values()] == ["decimal(18,2)", "decimal(4,0)", "int64", "bool"]


@pytest.mark.parametrize(
    "text",
    ["", "number", "int", "float", "varchar", "decimal", "decimal(18)", "decimal(18,2", "decimal(a,b)", "timestamp(3)"],
)
def test_a_type_that_is_not_supported_is_refused_with_those_that_are(text: str) -> None:
    with pytest.raises(ValueError, match=r"the type .* of 'total' is not supported; use decimal.* or bool"):
        parse_column_types({"total": text})


@pytest.mark.parametrize("text", ["decimal(0,0)", "decimal(39,2)", "decimal(5,6)"])
def test_a_decimal_that_is_not_possible_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'total' is not valid; the precision must be from 1 to 38"):
        parse_column_types({"total": text})


@pytest.mark.parametrize("declared", [["total"], {"total": 18}, {"total": None}, {1: "int64"}, "int64"])
def test_only_a_dict_of_strings_is_accepted(declared: Any) -> None:
    with pytest.raises(TypeError, match=r"is not a|must be a string"):
        parse_column_types(declared)


def test_a_declared_column_may_be_in_any_file_but_must_be_in_one() -> None:
    files = [["id", "total"], ["id", "price"]]
    check_declared(["price", "total"], files)
    with pytest.raises(ColumnMissing, match=r"'tota', 'x', which no file .* are 'id', 'price', 'total'") as caught:
        check_declared(["tota", "price", "x"], files)
    assert caught.value.final


def test_every_type_has_an_arrow_type() -> None:
    assert [str(arrow_type(the(name))) for name in GOOD] == [
        "decimal128(18, 2)",
        "decimal128(38, 0)",
        "decimal128(3, 3)",
        "int64",
        "double",
        "timestamp[us, tz=UTC]",
        "date32[day]",
        "bool",
    ]
    assert pa.types.is_temporal(arrow_type(the("date")))
