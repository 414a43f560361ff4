# SPDX-License-Identifier: Apache-2.0
"""The content of the files."""

from __future__ import annotations

import csv
import io
import re
import zipfile
import zlib

import pytest


def only(tables: dict[str, list[list[str]]]) -> list[list[str]]:
    (rows,) = tables.values()
    return rows


def raw(client, export_id: str) -> bytes:
    """Return the bytes of the first CSV file."""
    with zipfile.ZipFile(io.BytesIO(client.file(export_id).content)) as archive:
        return archive.read(archive.infolist()[0])


def test_contacts_are_one_csv_file_with_the_requested_rows(sandbox, client) -> None:
    sandbox.set(rows=321)
    export = client.create()
    (name,) = client.tables(export["id"])
    assert re.fullmatch(r"export-contacts-[0-9a-f-]{36}\.csv", name)
    assert len(only(client.tables(export["id"]))) == 1 + 321 == 1 + export["total"]


def test_activities_are_two_csv_files_and_the_products_belong_to_purchases(client) -> None:
    export = client.create(client.activities())
    tables = client.tables(export["id"])
    first, second = tables
    assert re.fullmatch(r"export-activities-[0-9a-f-]{36}\.csv", first)
    assert second == first.replace(".csv", "-products.csv")
    rows = [dict(zip(tables[first][0], row, strict=True)) for row in tables[first][1:]]
    products = [dict(zip(tables[second][0], row, strict=True)) for row in tables[second][1:]]
    purchases = {row["activityId"] for row in rows if row["type"] == "purchase"}
    assert purchases
    assert purchases == {product["activityId"] for product in products}


def test_a_report_is_one_csv_file_with_quoted_fields_and_a_name_in_another_case(client) -> None:
    export = client.create(client.report())
    (name,) = client.tables(export["id"])
    assert name != export["fileName"].replace(".zip", ".csv")
    assert name.lower() == export["fileName"].replace(".zip", ".csv")
    text = raw(client, export["id"]).decode()
    assert text.startswith('"Date","Product ID",')
    fields = re.findall(r'"(?:[^"]|"")*"(?:,|\n)', text)
    assert "".join(fields) == text


@pytest.mark.parametrize("kind", ["contacts", "activities", "report"])
def test_fields_contain_what_breaks_careless_readers(sandbox, client, kind: str) -> None:
    sandbox.set(rows=300)
    export = client.create(getattr(client, kind)())
    text = "".join(field for rows in client.tables(export["id"]).values() for row in rows for field in row)
    assert all(character in text for character in ',";\né')


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_the_delimiter_is_the_requested_one(client, delimiter: str) -> None:
    export = client.create(client.contacts(delimiter=delimiter))
    rows = only(client.tables(export["id"], delimiter))
    assert rows[0][:2] == ["email", "name"]
    assert {len(row) for row in rows} == {len(rows[0])}


def test_contact_fields_are_columns_at_the_end_and_change_nothing_else(sandbox, client) -> None:
    export = client.create(client.contacts(version="v5"))
    before = only(client.tables(export["id"]))
    sandbox.set(contact_fields=["level", "shoeSize"])
    assert only(client.tables(export["id"])) == before
    rows = only(client.tables(client.create(client.contacts(version="v5"))["id"]))
    assert rows[0] == [*before[0], "level", "shoeSize"]
    assert {len(row) for row in rows} == {len(rows[0])}
    assert len({row[-1] for row in rows}) > 1
    activities = client.tables(client.create(client.activities())["id"])
    assert not any("level" in rows[0] for rows in activities.values())


def test_a_report_can_have_columns_of_its_own(sandbox, client) -> None:
    before = only(client.tables(client.create(client.report())["id"]))
    sandbox.set(report_columns=["r1=Date,Margin", "r2=Total amount,V! Carrito=2,Date"])
    by_report = {report: client.create(client.report(reportId=report))["id"] for report in ("r1", "r2", "r3")}
    rows = {report: only(client.tables(export_id)) for report, export_id in by_report.items()}
    headers = {report: table[0] for report, table in rows.items()}
    assert headers == {"r1": ["Date", "Margin"], "r2": ["Total amount", "V! Carrito=2", "Date"], "r3": before[0]}
    assert all({len(row) for row in table} == {len(table[0])} for table in rows.values())
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", row[-1]) for row in rows["r2"][1:])
    assert len({row[1] for row in rows["r1"]}) > 2


def test_each_version_adds_columns_and_the_fifth_renames_two(client) -> None:
    headers = []
    for version in range(1, 7):
        export = client.create(client.contacts(version=f"v{version}"))
        rows = only(client.tables(export["id"]))
        headers.append(rows[0])
        assert {len(row) for row in rows} == {len(rows[0])}
    widths = [len(header) for header in headers]
    assert widths == sorted(set(widths))
    assert headers[1][: widths[0]] == headers[0]
    assert {"name", "surname"} <= set(headers[3])
    assert {"firstName", "lastName"} <= set(headers[4])
    assert not {"name", "surname"} & set(headers[4])


@pytest.mark.parametrize(
    ("date_format", "pattern"),
    [
        ("ISO", r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
        ("L", r"\d\d/\d\d/\d{4}"),
        ("LL", r"[A-Z][a-z]+ \d{1,2}, \d{4}"),
        ("LLL", r"[A-Z][a-z]+ \d{1,2}, \d{4} \d{1,2}:\d\d [AP]M"),
    ],
)
def test_dates_are_in_the_requested_format(client, date_format: str, pattern: str) -> None:
    export = client.create(client.contacts(dateFormat=date_format))
    header, *rows = only(client.tables(export["id"]))
    column = header.index("createdAt")
    assert all(re.fullmatch(pattern, row[column]) for row in rows)


def test_activities_are_within_the_requested_period_and_of_the_requested_types(client) -> None:
    body = client.activities()
    body["filters"] = {
        "fromDate": "2023-03-01T10:00:00Z",
        "toDate": "2023-03-01T10:01:00Z",
        "activityTypes": ["login", "purchase"],
    }
    header, *rows = next(iter(client.tables(client.create(body)["id"]).values()))
    timestamps = [row[header.index("date")] for row in rows]
    assert len(rows) == 100
    assert timestamps == sorted(timestamps)
    assert timestamps[0] >= "2023-03-01T10:00:00.000Z"
    assert timestamps[-1] < "2023-03-01T10:01:00.000Z"
    assert {row[header.index("type")] for row in rows} == {"login", "purchase"}


def test_a_report_covers_both_of_its_days(sandbox, client) -> None:
    sandbox.set(rows=50)
    export = client.create(client.report(fromDate="2023-03-01", toDate="2023-03-03"))
    _, *rows = only(client.tables(export["id"]))
    assert {row[0] for row in rows} == {"2023-03-01", "2023-03-02", "2023-03-03"}


def test_an_export_of_an_empty_period_has_only_a_header(client) -> None:
    body = client.activities()
    body["filters"]["toDate"] = body["filters"]["fromDate"]
    export = client.create(body)
    assert (export["progress"], export["total"]) == (0, 0)
    assert [len(rows) for rows in client.tables(export["id"]).values()] == [1, 1]


def test_the_file_of_an_export_is_reproducible_and_unique(client) -> None:
    first, second = client.create()["id"], client.create()["id"]
    assert client.file(first).content == client.file(first).content
    assert raw(client, first) != raw(client, second)


def test_later_changes_of_options_do_not_affect_a_file(sandbox, client) -> None:
    export_id = client.create()["id"]
    sandbox.set(rows=7, crlf=True, archive="plain")
    tables = client.tables(export_id)
    assert len(only(tables)) == 101
    sandbox._state._files.clear()  # so that it is built again
    assert client.tables(export_id) == tables


def test_only_a_few_files_are_kept_in_memory(sandbox, client) -> None:
    ids = [client.create()["id"] for _ in range(20)]
    contents = [client.file(export_id).content for export_id in ids]
    assert len(sandbox._state._files) == 16
    assert [client.file(export_id).content for export_id in ids] == contents


def test_a_byte_order_mark_and_crlf_are_options(sandbox, client) -> None:
    plain = raw(client, client.create()["id"])
    sandbox.set(bom=True, crlf=True)
    text = raw(client, client.create()["id"])
    assert (plain[:1], plain.count(b"\r\n")) == (b"e", 0)
    assert text.startswith(b"\xef\xbb\xbfemail,")
    rows = list(csv.reader(io.StringIO(text.decode("utf-8-sig"), newline="")))
    assert text.count(b"\r\n") == len(rows) == 101


@pytest.mark.parametrize("export_type", ["banner-stats", "form-stats", "webhooks-execution-logs"])
def test_types_that_only_the_application_creates_have_files_too(sandbox, client, export_type: str) -> None:
    export_id = sandbox.create_in_app({"exportType": export_type})
    (name,) = client.tables(export_id)
    assert name.startswith(f"export-{export_type}-")


def test_a_csv_file_may_replace_the_zip(sandbox, client) -> None:
    sandbox.set(archive="csv")
    export = client.create()
    response = client.file(export["id"])
    assert (export["fileExtension"], export["fileName"][-4:]) == ("csv", ".csv")
    assert response.headers["Content-Type"].startswith("text/csv")
    assert len(list(csv.reader(io.StringIO(response.content.decode(), newline="")))) == 101


@pytest.mark.parametrize(
    ("kind", "size"),
    [("contacts", 5_000), ("contacts", 2_100_001), ("activities", 1_100_000), ("report", 1_100_007)],
)
def test_a_csv_file_has_exactly_the_requested_size_and_whole_rows(sandbox, client, kind: str, size: int) -> None:
    sandbox.set(file_bytes=size, crlf=size % 2 == 0)
    export = client.create(getattr(client, kind)())
    text = raw(client, export["id"])
    rows = list(csv.reader(io.StringIO(text.decode(), newline="")))
    assert len(text) == size
    assert {len(row) for row in rows} == {len(rows[0])}


@pytest.mark.parametrize(
    ("damage", "error", "message"),
    [
        ("truncated", zipfile.BadZipFile, "not a zip file"),
        ("encrypted", RuntimeError, "encrypted"),
    ],
)
def test_a_damaged_archive_cannot_be_read(sandbox, client, damage: str, error: type, message: str) -> None:
    sandbox.set(damage=damage)
    with pytest.raises(error, match=message):
        client.tables(client.create()["id"])


@pytest.mark.parametrize("stored", [True, False])
def test_a_corrupt_archive_has_an_intact_directory_and_corrupt_data(sandbox, client, stored: bool) -> None:
    sandbox.set(damage="corrupt", stored=stored)
    archive = zipfile.ZipFile(io.BytesIO(client.file(client.create()["id"]).content))
    assert len(archive.namelist()) == 1
    with pytest.raises((zipfile.BadZipFile, zlib.error), match=r"CRC|invalid|Error -3"):
        archive.read(archive.namelist()[0])


def test_an_unsafe_name_points_outside_the_folder(sandbox, client) -> None:
    sandbox.set(damage="unsafe-name")
    assert next(iter(client.tables(client.create(client.activities())["id"]))) == "../../x.csv"


def test_a_bomb_is_small_and_declares_a_huge_size(sandbox, client) -> None:
    sandbox.set(damage="bomb")
    data = client.file(client.create()["id"]).content
    assert len(data) < 20_000_000
    assert zipfile.ZipFile(io.BytesIO(data)).infolist()[0].file_size == 10 << 30
