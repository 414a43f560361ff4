# SPDX-License-Identifier: Apache-2.0
"""The commands, run against the sandbox."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from airflow_provider_connectif.cli import export_command as commands
from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from tests.leaks import words_before_a_secret

ACTIVITIES = ("activities", "--from-date", "2026-11-01T00:00:00Z", "--to-date", "2026-11-02T00:00:00Z")


def rows(output: str) -> list[dict[str, object]]:
    return json.loads(output)


@pytest.fixture
def account(sandbox, airflow):
    """Three exports: one created in the application, one created through the API, and one that failed."""
    ids = [sandbox.create_in_app({"exportType": "contacts"})]
    time.sleep(0.01)
    ids.append(airflow("create", *ACTIVITIES)[0].strip())
    time.sleep(0.01)
    sandbox.set(seconds_per_export=60)
    ids.append(sandbox.create_in_app({"exportType": "contacts"}))
    sandbox.end_export(ids[-1], fails=True)
    return ids


@pytest.fixture
def month(monkeypatch):
    """An account with 120 exports of the last days."""
    with Sandbox(SandboxOptions(seed=120)).serve(port=0) as running:
        monkeypatch.setenv("AIRFLOW_CONN_CONNECTIF_DEFAULT", running.connection_json)
        yield running


@pytest.fixture
def terminal(monkeypatch):
    """Let the output be a terminal with a number of columns."""

    def resize(columns: int) -> None:
        monkeypatch.setattr("airflow.cli.simple_table.is_tty", lambda: True)
        monkeypatch.setenv("COLUMNS", str(columns))

    return resize


class TestNarrowTerminal:
    @pytest.mark.parametrize(
        ("columns", "last"), [(300, "file_name"), (110, "finished_at"), (80, "created_at"), (60, "status")]
    )
    def test_fewer_columns_are_shown_and_no_value_is_broken(self, month, airflow, terminal, columns, last):
        terminal(columns)
        head, _, *lines = airflow("list")[0].rstrip().splitlines()
        assert head.split("|")[-1].strip() == last
        ids = [row["id"] for row in rows(airflow("list", "--output", "json")[0])]
        assert [line.split()[0] for line in lines if line.strip()] == ids
        assert all(len(line) <= columns for line in lines)

    def test_the_checksum_of_a_file_is_omitted_before_its_path_is_broken(self, terminal, capsys):
        from airflow_provider_connectif.cli.output import print_rows

        terminal(80)
        path = "s3://lake/connectif/" + "a" * 50
        print_rows([{"path": path, "bytes": 5, "sha256": "0" * 64}], "table")
        written = capsys.readouterr().out
        assert path in written
        assert "bytes" in written
        assert "sha256" not in written


class TestList:
    def ids(self, airflow, *words):
        return [row["id"] for row in rows(airflow("list", "--output", "json", *words)[0])]

    @pytest.mark.parametrize("order", ["newest", "oldest", "shuffled"])
    def test_is_newest_first_whatever_the_apis_order(self, sandbox, airflow, account, order):
        sandbox.set(order=order)
        assert self.ids(airflow) == account[::-1]

    def test_reads_all_pages(self, month, airflow):
        assert len(self.ids(airflow)) == 120

    @pytest.mark.parametrize(
        ("words", "which"),
        [
            (["--type", "contacts"], [2, 0]),
            (["--status", "finished"], [1, 0]),
            (["--status", "error"], [2]),
            (["--origin", "api"], [1]),
            (["--origin", "app", "--status", "finished"], [0]),
            (["--limit", "2"], [2, 1]),
            (["--limit", "1", "--status", "finished"], [1]),
        ],
    )
    def test_filters(self, airflow, account, words, which):
        assert self.ids(airflow, *words) == [account[index] for index in which]

    def test_filters_by_creation_time(self, month, airflow):
        exports = rows(airflow("list", "--output", "json")[0])
        created_after = exports[50]["created_at"]
        found = set(self.ids(airflow, "--created-after", created_after))
        # The output has no fractions of seconds.
        assert {row["id"] for row in exports if row["created_at"] > created_after} <= found
        assert found <= {row["id"] for row in exports if row["created_at"] >= created_after}

    def test_filters_by_report_and_by_the_time_of_finishing(self, sandbox, airflow, account):
        filters = {"reportId": "rep-1", "fromDate": "2026-11-01", "toDate": "2026-11-01"}
        report = sandbox.create_in_app({"exportType": "data-explorer", "filters": filters})
        assert self.ids(airflow, "--report-id", "rep-1") == [report]
        assert self.ids(airflow, "--report-id", "rep-2") == []
        assert self.ids(airflow, "--finished-after", "2100-01-01") == []
        assert set(self.ids(airflow, "--finished-after", "2020-01-01")) >= set(account[:2])

    @pytest.mark.parametrize(
        ("words", "expected"),
        [
            (["--type", "contact"], "--type: 'contact' is not known to Connectif; did you mean 'contacts'?"),
            (["--report-id", "a b"], "--report-id: 'a b' is not a report id: it contains white space"),
            (["--finished-after", "soon"], "--finished-after: 'soon' is not a date or time"),
        ],
    )
    def test_a_filter_that_matches_nothing_is_rejected(self, sandbox, refused, words, expected):
        assert refused("list", *words).startswith(expected)
        assert sandbox.stats.requests == 0

    @pytest.mark.parametrize("words", [["--origin", "application"], ["--status", "done"]])
    def test_a_value_that_is_not_a_choice_is_rejected(self, sandbox, airflow, words):
        with pytest.raises(SystemExit):
            airflow("list", *words)
        assert sandbox.stats.requests == 0

    def test_a_date_means_its_start_in_airflows_time_zone(self, airflow, account):
        assert self.ids(airflow, "--created-after", "2020-01-01") == account[::-1]
        assert self.ids(airflow, "--created-after", "2100-01-01") == []

    def test_an_invalid_date_is_rejected_with_an_example(self, sandbox, refused):
        assert refused("list", "--created-after", "yesterweek") == (
            "--created-after: 'yesterweek' is not a date or time; write one such as 2026-11-01 or 2026-11-01T06:30:00Z."
        )
        assert sandbox.stats.requests == 0

    def test_is_a_table_by_default(self, airflow, account):
        heading, line, *lines = airflow("list")[0].splitlines()
        assert [name.strip() for name in heading.split("|")] == [
            "id", "export_type", "status", "origin", "created_at", "finished_at", "file_name"
        ]  # fmt: skip
        assert set(line) == set("=+")
        assert [each.split("|")[0].strip() for each in lines if each.strip()] == account[::-1]

    def test_can_be_plain_text(self, airflow, account):
        lines = airflow("list", "--output", "plain")[0].splitlines()
        assert [line.split()[0] for line in lines] == ["id", *account[::-1]]

    def test_can_be_yaml(self, airflow, account):
        assert [row["id"] for row in yaml.safe_load(airflow("list", "--output", "yaml")[0])] == account[::-1]

    def test_reports_that_there_are_no_exports(self, sandbox, airflow):
        assert airflow("list")[0].strip() == "No data found"

    def test_shows_names_without_markup_and_without_control_characters(self, sandbox, airflow, monkeypatch):
        from airflow_provider_connectif.api.client import ConnectifClient
        from airflow_provider_connectif.api.models import Export

        strange = Export("1", "finished", file_name="[bold]Sales[/] [2026] \x1b[31mred\r\n.zip")
        monkeypatch.setattr(ConnectifClient, "list_exports", lambda *_, **__: iter([strange]))
        shown = "[bold]Sales[/] [2026] \N{REPLACEMENT CHARACTER}[31mred" + 2 * "\N{REPLACEMENT CHARACTER}" + ".zip"
        assert shown in airflow("list")[0]
        assert shown in airflow("list", "--output", "plain")[0]
        assert rows(airflow("list", "--output", "json")[0])[0]["file_name"] == strange.file_name


class TestShow:
    def test_shows_everything_but_the_signed_url(self, airflow, account):
        (shown,) = rows(airflow("show", account[1], "--output", "json")[0])
        assert {name: shown[name] for name in ("id", "export_type", "status", "origin")} == {
            "id": account[1], "export_type": "activities", "status": "finished", "origin": "api"
        }  # fmt: skip
        assert shown["filters"]["fromDate"] == "2026-11-01T00:00:00.000Z"
        assert "://" not in json.dumps(shown)

    def test_is_a_table_with_a_row_for_each_field(self, airflow, account):
        lines = airflow("show", account[1])[0].splitlines()
        fields = dict(tuple(map(str.strip, line.split("|"))) for line in lines if "|" in line)
        assert fields["id"] == account[1]
        assert "segment_id" not in fields

    def test_reports_an_export_that_does_not_exist(self, sandbox, refused):
        assert "does not know export 6b06b69ad48aec34e6ffffff (404)" in refused("show", "6b06b69ad48aec34e6ffffff")


class TestCreate:
    def test_prints_only_the_id(self, sandbox, airflow):
        out, err = airflow("create", *ACTIVITIES, "--activity-types", "purchase, login", "--version", "v5")
        (shown,) = rows(airflow("show", out.strip(), "--output", "json")[0])
        assert out == f"{shown['id']}\n"
        assert err == ""
        assert shown["filters"]["activityTypes"] == ["purchase", "login"]
        assert shown["version"] == "v5"

    @pytest.mark.parametrize(
        "words",
        [
            ("contacts", "--segment-id", "segment-1", "--delimiter", ";", "--date-format", "LL"),
            ("data-explorer", "--report-id", "report-1", "--from-date", "2026-11-01", "--to-date", "2026-11-30"),
        ],
        ids=["contacts", "data-explorer"],
    )
    def test_creates_each_type(self, sandbox, airflow, words):
        export_id = airflow("create", *words)[0].strip()
        (shown,) = rows(airflow("show", export_id, "--output", "json")[0])
        assert (shown["export_type"], shown["status"]) == (words[0], "finished")
        assert sandbox.stats.created_by_api == 1

    def test_creates_one_export_even_if_the_response_is_lost(self, sandbox, airflow):
        sandbox.fault("create", "create-then-cut")
        export_id = airflow("create", *ACTIVITIES)[0].strip()
        assert [row["id"] for row in rows(airflow("list", "--output", "json")[0])] == [export_id]

    def test_reports_an_invalid_option_before_anything_is_sent(self, sandbox, refused):
        assert refused("create", "activities", "--to-date", "2026-11-02T00:00:00Z") == (
            "--from-date: is missing; export_type='activities' requires it."
        )
        assert sandbox.stats.requests == 0

    def test_waits_with_wait(self, sandbox, airflow, monkeypatch):
        sandbox.set(seconds_per_export=0.6)
        monkeypatch.setattr(commands, "_FIRST_PAUSE", 0.2)
        out, err = airflow("create", *ACTIVITIES, "--wait")
        export_id = out.strip()
        (shown,) = rows(airflow("show", export_id, "--output", "json")[0])
        assert shown["status"] == "finished"
        lines = err.splitlines()
        assert lines[0].startswith(f"Export {export_id}: inProgress")
        assert lines[-1].startswith(f"Export {export_id}: finished")

    def test_fails_if_the_export_it_waits_for_fails(self, sandbox, refused):
        sandbox.set(fail=1.0)
        assert "ended with status 'error'" in refused("create", *ACTIVITIES, "--wait")


def test_waiting_polls_often_at_first_and_then_twice_a_minute():
    class Never:
        def get_export(self, export_id):
            from airflow_provider_connectif.api.models import Export

            if len(pauses) == 14:
                return Export(export_id, "finished")
            return Export(export_id, "queued")

    pauses: list[float] = []
    commands.wait_for(Never(), "1", commands.ConsoleLog(), sleep=pauses.append)
    assert pauses[:3] == [1.0, 1.5, 2.25]
    assert pauses[-1] == 30.0


class TestDownload:
    def test_stores_the_files_with_their_manifest(self, sandbox, airflow, account, tmp_path):
        out, err = airflow("download", account[1], str(tmp_path / "lake"), "--output", "json")
        files = rows(out)
        assert len(files) == 2
        for file in files:
            assert Path(file["path"]).stat().st_size == int(file["bytes"])
        manifest = json.loads((tmp_path / "lake" / "_connectif_manifest.json").read_text())
        assert manifest["export"]["id"] == account[1]
        assert manifest["writer"]["command"] == "airflow connectif exports download"
        assert words_before_a_secret(json.dumps(manifest)) is None
        assert err.startswith(f"Stored export {account[1]}: 2 file(s), ")

    def test_prints_the_rows_and_columns_of_each_file(self, airflow, account, tmp_path, terminal):
        out, _ = airflow("download", account[0], str(tmp_path), "--output", "json")
        for file in rows(out):
            with open(file["path"], encoding="utf-8-sig", newline="") as opened:
                header, *records = csv.reader(opened)
            assert (int(file["rows"]), file["columns"]) == (len(records), header)
        terminal(300)
        head, _, *lines = airflow("download", account[0], str(tmp_path))[0].rstrip().splitlines()
        assert [name.strip() for name in head.split("|")] == ["path", "rows", "columns", "bytes", "part", "sha256"]
        assert all(line.split("|")[2].strip().isdigit() for line in lines)

    def test_accepts_a_relative_path(self, airflow, account, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        airflow("download", account[1], "lake/{export_type}/{from_date:%Y-%m-%d}")
        assert (tmp_path / "lake/activities/2026-11-01/_connectif_manifest.json").exists()

    @pytest.mark.parametrize(
        ("file_format", "ending"), [("csv.gz", ".csv.gz"), ("parquet", ".parquet"), ("archive", ".zip")]
    )
    def test_supports_the_operators_formats(self, airflow, account, tmp_path, file_format, ending):
        out, _ = airflow("download", account[1], str(tmp_path), "--file-format", file_format, "--output", "json")
        assert all(str(file["path"]).endswith(ending) for file in rows(out))

    def test_stores_parquet_with_the_declared_types(self, airflow, account, tmp_path):
        types = ["--column-type", "amount=decimal(18,2)", "--column-type", "date=timestamp"]
        airflow("download", account[1], str(tmp_path), "--file-format", "parquet", *types)
        [path] = [path for path in tmp_path.glob("*.parquet") if not path.stem.endswith("-products")]
        schema = pq.read_schema(path)
        assert str(schema.field("amount").type) == "decimal128(18, 2)"
        assert str(schema.field("date").type) == "timestamp[us, tz=UTC]"
        assert str(schema.field("activityId").type) == "string"

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (["--column-type", "amount"], "--column-type: 'amount' is not NAME=TYPE"),
            (["--column-type", "a=date", "--column-type", "a=int64"], "--column-type: 'a' is given twice."),
            (["--column-type", "amount=money"], "--column-type: the type 'money' of 'amount' is not supported; use"),
            (["--column-type", "amount=int64", "--file-format", "csv"], "--column-type: is only for file_format='parq"),
            (["--column-type", "Amount=double"], "column_types declares 'Amount', which no file"),
        ],
    )
    def test_explains_wrong_types(self, refused, account, tmp_path, words, message):
        assert message in refused("download", account[1], str(tmp_path / "x"), "--file-format", "parquet", *words)
        assert not list(tmp_path.rglob("*.parquet"))

    def test_downloads_nothing_twice(self, sandbox, airflow, account, tmp_path):
        airflow("download", account[1], str(tmp_path))
        before = sandbox.stats.file_requests
        assert before > 0
        _, err = airflow("download", account[1], str(tmp_path))
        assert sandbox.stats.file_requests == before
        assert "is already stored, nothing was downloaded" in err

    def test_replaces_another_export_depending_on_if_exists(self, sandbox, airflow, refused, account, tmp_path):
        airflow("download", account[0], str(tmp_path))
        assert "is not replaced" in refused("download", account[1], str(tmp_path), "--if-exists", "error")
        airflow("download", account[1], str(tmp_path), "--if-exists", "skip")
        assert account[0] in (tmp_path / "_connectif_manifest.json").read_text()
        airflow("download", account[1], str(tmp_path))
        assert account[1] in (tmp_path / "_connectif_manifest.json").read_text()

    def test_to_s3_uses_the_stores_connection(self, airflow, account, s3_store, monkeypatch):
        connection = {
            "conn_type": "aws",
            "login": s3_store.options["key"],
            "password": s3_store.options["secret"],
            "extra": {"endpoint_url": s3_store.options["endpoint_url"], "region_name": "us-east-1"},
        }
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
        airflow("download", account[1], f"{s3_store.uri}/{{export_id}}", "--storage-conn-id", "lake")
        folder = s3_store.fs.ls(f"{s3_store.path}/{account[1]}", detail=False)
        assert sorted(name.rpartition(".")[2] for name in folder) == ["csv", "csv", "json"]

    def test_of_an_unfinished_export_reports_its_progress(self, sandbox, airflow, refused, tmp_path):
        sandbox.set(seconds_per_export=60)
        export_id = airflow("create", *ACTIVITIES)[0].strip()
        message = refused("download", export_id, str(tmp_path / "lake"))
        assert message.startswith(f"export_id: export {export_id} is not finished (inProgress")
        assert message.endswith("; add --wait.")
        assert not (tmp_path / "lake").exists()

    def test_waits_with_wait(self, sandbox, airflow, tmp_path, monkeypatch):
        monkeypatch.setattr(commands, "_FIRST_PAUSE", 0.1)
        sandbox.set(seconds_per_export=0.5)
        export_id = airflow("create", *ACTIVITIES)[0].strip()
        airflow("download", export_id, str(tmp_path), "--wait")
        assert (tmp_path / "_connectif_manifest.json").exists()

    def test_of_a_failed_export_reports_the_failure(self, account, refused, tmp_path):
        assert "ended with status 'error'" in refused("download", account[2], str(tmp_path))
