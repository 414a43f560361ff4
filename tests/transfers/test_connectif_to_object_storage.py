# SPDX-License-Identifier: Apache-2.0
"""The transfer operator: storing an existing export, or creating, waiting for and storing one."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSensorTimeout
from airflow.sdk import DAG

from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from tests.airflow_harness import ACTIVITIES, FakeDag, FakeTask, FakeTaskInstance, run_trigger
from tests.simulated_clock import CLOCK

REPORT = {"reportId": "rep-1", "fromDate": "2026-11-01", "toDate": "2026-11-01"}


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    return tmp_path / "lake"


@pytest.fixture(params=[False, True], ids=["waits here", "deferrable"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return request.param


def transfer(lake: Path, folder: str = "out", **arguments: Any) -> ConnectifExportToObjectStorageOperator:
    defaults = {"task_id": "store", "destination": f"file://{lake}/{folder}", "poke_interval": 0.05, "timeout": 20}
    return ConnectifExportToObjectStorageOperator(**{**defaults, **arguments})


def names(folder: Path) -> list[str]:
    """Return the paths of all files in a folder and its subfolders, including hidden ones."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def is_final(problem: BaseException) -> bool:
    return isinstance(problem, (AirflowFailException, AirflowSensorTimeout))


class TestExistingExport:
    def test_is_stored_with_its_manifest(self, sandbox, task, lake):
        export_id = sandbox.create_in_app()
        result = task.run(transfer(lake, export_id=export_id))
        [file] = result["files"]
        path = Path(file["path"].removeprefix("file://"))
        assert path.parent == lake / "out"
        assert file["bytes"] == path.stat().st_size > 0
        assert len(file["sha256"]) == 64
        assert result == {
            "export_id": export_id,
            "destination": f"file://{lake}/out",
            "files": [file],
            "manifest": f"file://{lake}/out/_connectif_manifest.json",
            "unchanged": False,
            "schema_changes": [],
        }
        manifest = json.loads((lake / "out" / "_connectif_manifest.json").read_text())
        assert manifest["export"]["id"] == export_id
        assert manifest["writer"] == {
            "dag_id": "lake",
            "run_id": "run-1",
            "task_id": "task",
            "map_index": -1,
            "clear_number": 0,
        }
        assert names(lake / "out") == sorted(["_connectif_manifest.json", path.name])
        json.dumps(result)

    def test_is_waited_for_if_it_is_not_finished(self, sandbox, task, lake, deferrable):
        sandbox.set(seconds_per_export=0.2)
        export_id = sandbox.create_in_app()
        result = task.run(transfer(lake, export_id=export_id, deferrable=deferrable))
        assert result["export_id"] == export_id
        assert len(names(lake / "out")) == 2

    def test_that_makes_no_progress_for_half_an_hour_is_logged_once(self, sandbox, task, lake, deferrable, task_log):
        sandbox.set(seconds_per_export=4 * 3600)  # 5 rows, one in 48 minutes
        export_id = sandbox.create_in_app()
        timing = {"poke_interval": 60, "timeout": 5 * 3600}
        task.run(transfer(lake, export_id=export_id, deferrable=deferrable, **timing))
        assert task_log().count(f"The progress of export {export_id} has not changed for") == 5

    def test_that_is_finished_does_not_defer(self, sandbox, task, lake):
        assert transfer(lake, export_id=sandbox.create_in_app(), deferrable=True).execute(task.context())

    def test_is_requested_again_if_it_is_finished_without_a_file(self, sandbox, task, lake, monkeypatch):
        monkeypatch.setattr("airflow_provider_connectif.api.file_url.fresh_file_url.__kwdefaults__", SHORT_PAUSES)
        sandbox.set(reads_without_file_url=3)
        assert task.run(transfer(lake, export_id=sandbox.create_in_app()))["files"]

    def test_fails_if_it_never_gets_a_file(self, sandbox, task, lake, monkeypatch):
        monkeypatch.setattr("airflow_provider_connectif.api.file_url.fresh_file_url.__kwdefaults__", SHORT_PAUSES)
        sandbox.set(reads_without_file_url=99)
        with pytest.raises(AirflowException, match="finished, but the API did not return the URL"):
            task.run(transfer(lake, export_id=sandbox.create_in_app()))
        assert names(lake) == []

    def test_that_failed_is_a_final_error(self, sandbox, task, lake, deferrable):
        sandbox.set(seconds_per_export=0.2)
        export_id = sandbox.create_in_app({"fail": True})
        with pytest.raises(AirflowFailException, match="ended with status 'error'"):
            task.run(transfer(lake, export_id=export_id, deferrable=deferrable))

    def test_that_does_not_exist_is_a_final_error(self, sandbox, task, lake):
        with pytest.raises(AirflowFailException, match="does not know export aaa"):
            task.run(transfer(lake, export_id="aaa"))

    @pytest.mark.parametrize("file_format", ["csv", "csv.gz", "archive"])
    def test_is_stored_in_the_given_format(self, sandbox, task, lake, file_format):
        export_id = sandbox.create_in_app()
        [file] = task.run(transfer(lake, export_id=export_id, file_format=file_format))["files"]
        content = Path(file["path"].removeprefix("file://")).read_bytes()
        ending = {"csv": ".csv", "csv.gz": ".csv.gz", "archive": ".zip"}[file_format]
        assert file["path"].endswith(ending)
        if file_format == "archive":
            assert content[:2] == b"PK"
        else:
            text = (gzip.decompress(content) if file_format == "csv.gz" else content).decode("utf-8-sig")
            assert len(text.splitlines()) >= 6  # a header and five rows, some with line breaks in them

    def test_is_not_downloaded_again_by_a_retry(self, sandbox, task, lake):
        export_id = sandbox.create_in_app()
        first = task.run(transfer(lake, export_id=export_id))
        before = sandbox.stats
        assert task.run(transfer(lake, export_id=export_id)) == first
        assert sandbox.stats.file_requests == before.file_requests
        assert sandbox.stats.requests - before.requests == 1


class TestCreateWaitAndStore:
    def test_is_one_task(self, sandbox, task, lake, deferrable):
        sandbox.set(seconds_per_export=0.2)
        result = task.run(transfer(lake, deferrable=deferrable, **ACTIVITIES))
        [created] = sandbox.stats.created
        assert result["export_id"] == created["id"]
        assert len(result["files"]) == 2  # the activities, and their products
        assert len(names(lake / "out")) == 3

    def test_a_retry_uses_the_same_export_and_downloads_nothing(self, sandbox, task, lake):
        first = task.run(transfer(lake, **ACTIVITIES))
        before = sandbox.stats
        assert task.run(transfer(lake, **ACTIVITIES)) == first
        assert sandbox.stats.created_by_api == 1
        assert sandbox.stats.file_requests == before.file_requests
        assert sandbox.stats.requests - before.requests == 1

    def test_a_task_cleared_after_success_creates_another_export(self, sandbox, task, lake):
        first = task.run(transfer(lake, **ACTIVITIES))
        task.clear()
        assert task.run(transfer(lake, **ACTIVITIES))["export_id"] != first["export_id"]
        assert sandbox.stats.created_by_api == 2

    def test_a_created_export_that_failed_is_replaced_by_the_next_attempt(self, sandbox, task, lake, deferrable):
        sandbox.set(seconds_per_export=0.2)
        sandbox.fault("create", "then-fails")
        with pytest.raises(AirflowException, match="ended with status 'error'") as caught:
            task.run(transfer(lake, deferrable=deferrable, **ACTIVITIES))
        assert not is_final(caught.value)
        result = task.run(transfer(lake, deferrable=deferrable, **ACTIVITIES))
        assert [result["export_id"]] == [created["id"] for created in sandbox.stats.created[1:]]

    def test_a_created_export_that_failed_immediately_is_replaced_as_well(self, sandbox, task, lake):
        sandbox.fault("create", "then-fails")
        with pytest.raises(AirflowException) as caught:
            task.run(transfer(lake, **ACTIVITIES))
        assert not is_final(caught.value)
        assert task.run(transfer(lake, **ACTIVITIES))["files"]

    def test_a_created_export_that_was_deleted_is_replaced_by_the_next_attempt(self, sandbox, task, lake, deferrable):
        import requests

        sandbox.set(seconds_per_export=30)
        operator = transfer(lake, deferrable=True, **ACTIVITIES)
        deferred = task.run_until_deferred(operator)
        [created] = sandbox.stats.created
        headers = {"Authorization": f"apiKey {sandbox.key}"}
        requests.delete(f"{sandbox.url}/exports/{created['id']}", headers=headers, timeout=5).raise_for_status()
        event = run_trigger(deferred, CLOCK.run) if deferrable else None
        retry = transfer(lake, **ACTIVITIES)
        with pytest.raises(AirflowException, match="does not know") as caught:
            task.resume(operator, deferred, event) if event else task.run(retry)
        assert not is_final(caught.value)
        sandbox.set(seconds_per_export=0)
        assert task.run(transfer(lake, **ACTIVITIES))["export_id"] != created["id"]

    def test_works_without_a_state_store_and_logs_this_once(self, sandbox, lake, deferrable, caplog):
        sandbox.set(seconds_per_export=0.2)
        task = FakeTask(store=None, run_async=CLOCK.run)
        assert task.run(transfer(lake, deferrable=deferrable, **ACTIVITIES))["files"]
        assert sandbox.stats.created_by_api == 1
        assert caplog.text.count("no task state store") == 1

    def test_a_missing_state_store_is_not_logged_if_no_export_is_created(self, sandbox, lake, caplog):
        FakeTask(store=None, run_async=CLOCK.run).run(transfer(lake, export_id=sandbox.create_in_app()))
        assert "no task state store" not in caplog.text

    def test_a_timeout_without_a_state_store_creates_no_other_export(self, sandbox, lake):
        """The deferral contains the id of the export."""
        sandbox.set(seconds_per_export=30)
        task = FakeTask(store=None, run_async=CLOCK.run)
        with pytest.raises(AirflowSensorTimeout):
            task.run(transfer(lake, deferrable=True, timeout=0.2, **ACTIVITIES))
        assert sandbox.stats.created_by_api == 1

    def test_the_timeout_is_the_same_if_only_the_event_is_passed_on(self, sandbox, task, lake):
        """As in ``airflow dags test``, which passes on nothing else after a deferral."""
        sandbox.set(seconds_per_export=30)
        operator = transfer(lake, deferrable=True, timeout=0.2, **ACTIVITIES)
        deferred = task.run_until_deferred(operator)
        with pytest.raises(AirflowSensorTimeout):
            operator.resume_execution(deferred.method_name, {"event": run_trigger(deferred, CLOCK.run)}, task.context())

    @pytest.mark.parametrize("on", ["list", "create"])
    def test_a_wrong_host_is_a_final_error(self, sandbox, task, lake, on):
        """A 404 of these requests does not mean that an export was deleted."""
        sandbox.fault(on, "404", times=9)
        with pytest.raises(AirflowFailException, match="Host is wrong"):
            task.run(transfer(lake, **ACTIVITIES))

    def test_a_field_that_the_api_rejects_is_named(self, sandbox, task, lake):
        sandbox.set(known_segments=("seg-1",))
        with pytest.raises(AirflowFailException, match="/filters/segmentId"):
            task.run(transfer(lake, export_type="contacts", segment_id="seg-2"))


class TestWait:
    def test_ends_at_the_timeout(self, sandbox, task, lake, deferrable):
        sandbox.set(seconds_per_export=30)
        started = CLOCK.time()
        with pytest.raises(AirflowSensorTimeout, match="Timed out after 4 s while waiting for"):
            task.run(transfer(lake, export_id=sandbox.create_in_app(), timeout=4, deferrable=deferrable))
        assert CLOCK.time() - started == pytest.approx(4, abs=0.001)

    def test_has_one_deadline_for_all_attempts(self, sandbox, task, lake, deferrable):
        sandbox.set(seconds_per_export=30)
        arguments = {"export_id": sandbox.create_in_app(), "deferrable": True, "timeout": 0.3}
        task.run_until_deferred(transfer(lake, **arguments))
        CLOCK.sleep(0.4)
        started = CLOCK.time()
        with pytest.raises(AirflowSensorTimeout):
            task.run(transfer(lake, **{**arguments, "deferrable": deferrable}))
        assert CLOCK.time() == started

    def test_succeeds_if_the_export_finished_just_before_the_deadline(self, sandbox, task, lake):
        sandbox.set(seconds_per_export=30)
        operator = transfer(lake, deferrable=True, timeout=0.2, **ACTIVITIES)
        deferred = task.run_until_deferred(operator)
        event = run_trigger(deferred, CLOCK.run)
        assert event["status"] == "timeout"
        sandbox.end_export(sandbox.stats.created[0]["id"])
        assert task.resume(operator, deferred, event)["files"]

    def test_continues_after_failed_polls(self, sandbox, task, lake, deferrable):
        sandbox.set(seconds_per_export=0.2)
        export_id = sandbox.create_in_app()
        sandbox.fault("get", "500", times=3, skip=1)
        assert task.run(transfer(lake, export_id=export_id, deferrable=deferrable))["files"]

    def test_accepts_timedeltas(self, lake):
        operator = transfer(lake, export_id="a", timeout=timedelta(hours=1), poke_interval=timedelta(minutes=2))
        assert (operator.timeout, operator.poke_interval) == (3600.0, 120.0)


class TestIfExists:
    def test_replace_stores_the_new_export_and_deletes_the_old_one(self, sandbox, task, lake):
        task.run(transfer(lake, export_id=sandbox.create_in_app()))
        second = task.run(transfer(lake, export_id=sandbox.create_in_app({"exportType": "activities"})))
        assert len(names(lake / "out")) == len(second["files"]) + 1

    def test_error_rejects_another_export_but_not_the_same(self, sandbox, task, lake):
        first = sandbox.create_in_app()
        task.run(transfer(lake, export_id=first))
        assert task.run(transfer(lake, export_id=first, if_exists="error"))["export_id"] == first
        with pytest.raises(AirflowFailException, match="if_exists is 'error'"):
            task.run(transfer(lake, export_id=sandbox.create_in_app(), if_exists="error"))

    def test_skip_returns_the_existing_export(self, sandbox, task, lake):
        first = task.run(transfer(lake, "{export_type}", export_id=sandbox.create_in_app()))
        again = task.run(transfer(lake, "{export_type}", export_id=sandbox.create_in_app(), if_exists="skip"))
        assert again == first

    def test_skip_creates_no_export_if_the_folder_is_known_and_complete(self, sandbox, task, lake):
        first = task.run(transfer(lake, if_exists="skip", **ACTIVITIES))
        before = sandbox.stats.requests
        other_run = FakeTask(ti=FakeTaskInstance(run_id="run-2"))
        assert other_run.run(transfer(lake, if_exists="skip", **ACTIVITIES)) == first
        task.clear()
        assert task.run(transfer(lake, if_exists="skip", **ACTIVITIES)) == first
        assert sandbox.stats.requests == before

    def test_skip_creates_an_export_if_the_folder_is_not_complete(self, sandbox, task, lake):
        first = task.run(transfer(lake, **ACTIVITIES))
        Path(first["files"][0]["path"].removeprefix("file://")).unlink()
        second = FakeTask(ti=FakeTaskInstance(run_id="run-2")).run(transfer(lake, if_exists="skip", **ACTIVITIES))
        assert second["export_id"] != first["export_id"]

    def test_skip_creates_an_export_if_the_folder_depends_on_it(self, sandbox, task, lake):
        task.run(transfer(lake, "{export_id}", **ACTIVITIES))
        FakeTask(ti=FakeTaskInstance(run_id="run-2")).run(transfer(lake, "{export_id}", if_exists="skip", **ACTIVITIES))
        assert sandbox.stats.created_by_api == 2

    @pytest.mark.parametrize("if_exists", ["replace", "skip", "error"])
    def test_two_tasks_of_one_run_cannot_use_one_folder(self, sandbox, lake, if_exists):
        FakeTask(ti=FakeTaskInstance(map_index=0)).run(transfer(lake, export_id=sandbox.create_in_app()))
        before = names(lake / "out")
        with pytest.raises(AirflowFailException, match=r"Task task\[0\] of the same run .* put \{export_id\}"):
            FakeTask(ti=FakeTaskInstance(map_index=1)).run(
                transfer(lake, export_id=sandbox.create_in_app(), if_exists=if_exists)
            )
        assert names(lake / "out") == before


class TestDestination:
    def test_can_contain_fields_of_the_export(self, sandbox, task, lake):
        export_id = sandbox.create_in_app({"exportType": "data-explorer", "filters": REPORT, "title": "Añ/o!"})
        result = task.run(
            transfer(lake, "{report_id}/{from_date:%Y/%m}/{to_date}/{export_type}-{export_id}", export_id=export_id)
        )
        expected = f"file://{lake}/rep-1/2026/11/2026-11-01/data-explorer-{export_id}"
        assert result["destination"] == expected

    @pytest.mark.parametrize(
        "title",
        [
            "V! Carrito abandonado",
            "Ventas por categoría",
            "../../etc/passwd",
            "..",
            "a/b\\c",
            "🛒 {export_id} 50%",
            "ñ" * 300,
        ],
    )
    def test_is_one_folder_whatever_the_title_of_the_report(self, sandbox, task, lake, title):
        export_id = sandbox.create_in_app({"exportType": "data-explorer", "filters": REPORT, "title": title})
        result = task.run(transfer(lake, "{file_name}", export_id=export_id))
        [folder] = lake.iterdir()
        assert result["destination"] == f"file://{lake}/{folder.name}"
        assert names(lake) == sorted(f"{folder.name}/{path.name}" for path in folder.iterdir())
        assert len(list(lake.parent.iterdir())) == 1
        [file] = result["files"]
        assert (folder / file["path"].rpartition("/")[2]).stat().st_size == file["bytes"]

    def test_has_datetimes_in_the_dags_time_zone(self, sandbox, lake):
        task = FakeTask(dag=FakeDag(ZoneInfo("Europe/Madrid")))
        filters = {"fromDate": "2026-10-31T23:00:00.000Z", "toDate": "2026-11-01T23:00:00.000Z"}
        export_id = sandbox.create_in_app({"exportType": "activities", "filters": filters})
        result = task.run(transfer(lake, "{from_date:%Y-%m-%d}_{to_date}", export_id=export_id))
        assert result["destination"] == f"file://{lake}/2026-11-01_2026-11-02T000000"

    @pytest.mark.parametrize("reported", ["normal", "as-sent", "date-time"])
    def test_keeps_the_dates_of_data_explorer(self, sandbox, lake, reported):
        sandbox.set(filter_dates=reported)
        task = FakeTask(dag=FakeDag(ZoneInfo("America/New_York")))
        days = {"from_date": "2026-11-01", "to_date": "2026-11-02"}
        result = task.run(
            transfer(lake, "{from_date}_{to_date}", export_type="data-explorer", report_id="rep-1", **days)
        )
        assert result["destination"] == f"file://{lake}/2026-11-01_2026-11-02"

    def test_a_field_that_the_export_does_not_have_is_named(self, sandbox, task, lake):
        export_id = sandbox.create_in_app()
        with pytest.raises(AirflowFailException, match=rf"destination: names {{report_id}}, which export {export_id}"):
            task.run(transfer(lake, "{report_id}", export_id=export_id))
        assert sandbox.stats.file_requests == 0

    @pytest.mark.parametrize(
        ("destination", "words"),
        [
            ("s3://lake/{color}", "destination: {color} is not a field of an export; use one of {export_id}"),
            ("s3://lake/{export_id:%Y}", "destination: {export_id} has a format"),
            ("s3://lake/{export_id", "destination: has an unmatched brace"),
            ("lake/out", "destination: 'lake/out' has no scheme"),
            (" ", "destination: ' ' is not the URI of a folder"),
            (None, "destination: None is not the URI of a folder"),
        ],
    )
    def test_an_invalid_destination_fails_when_the_dag_is_parsed(self, destination, words):
        with pytest.raises(ConnectifArgumentError) as caught:
            ConnectifExportToObjectStorageOperator(task_id="store", export_id="a", destination=destination)
        assert str(caught.value).startswith(f"Task 'store': {words}")

    @pytest.mark.parametrize(("scheme", "extra"), [("s3", "amazon"), ("gs", "google"), ("abfs", "microsoft-azure")])
    def test_a_store_whose_package_is_missing_names_the_extra(self, sandbox, task, monkeypatch, scheme, extra):
        try:
            from airflow.sdk.io import fs
        except ImportError:  # Airflow 3.0
            import airflow.io as fs
        monkeypatch.setattr(fs, "_register_filesystems", lambda: {"file": fs._file})
        with pytest.raises(AirflowFailException, match=rf"{scheme}://.*'airflow-provider-connectif\[{extra}\]'"):
            task.run(
                ConnectifExportToObjectStorageOperator(
                    task_id="store", export_id=sandbox.create_in_app(), destination=f"{scheme}://lake/out"
                )
            )

    def test_an_unsupported_scheme_is_named_with_those_that_are_supported(self, sandbox, task):
        with pytest.raises(AirflowFailException, match=r"does not support nonsense:// .* file://.* s3:// \(amazon\)"):
            task.run(
                ConnectifExportToObjectStorageOperator(
                    task_id="store", export_id=sandbox.create_in_app(), destination="nonsense://lake/out"
                )
            )


class TestBadInput:
    @pytest.mark.parametrize("damage", ["corrupt", "truncated", "encrypted"])
    @pytest.mark.parametrize("file_format", ["csv", "csv.gz"])
    def test_a_damaged_archive_stores_nothing(self, sandbox, task, lake, damage, file_format):
        sandbox.set(damage=damage)
        export_id = sandbox.create_in_app()
        with pytest.raises(AirflowFailException):
            task.run(transfer(lake, export_id=export_id, file_format=file_format))
        assert names(lake) == []

    def test_a_name_with_a_path_stays_in_the_folder(self, sandbox, task, lake):
        """``../../x.csv`` is stored as ``x.csv``."""
        sandbox.set(damage="unsafe-name")
        task.run(transfer(lake, export_id=sandbox.create_in_app()))
        assert names(lake.parent) == ["lake/out/_connectif_manifest.json", "lake/out/x.csv"]

    def test_a_zip_bomb_is_stopped_at_the_limit(self, sandbox, task, lake):
        sandbox.set(damage="bomb")
        with pytest.raises(AirflowFailException, match=r"1000000|1,000,000|1 MB"):
            task.run(transfer(lake, export_id=sandbox.create_in_app(), max_uncompressed_bytes=1_000_000))
        assert names(lake) == []

    def test_html_instead_of_the_file_stores_nothing(self, sandbox, task, lake):
        sandbox.fault("file", "html", times=99)
        with pytest.raises(AirflowException):
            task.run(transfer(lake, export_id=sandbox.create_in_app()))
        assert names(lake) == []

    def test_the_old_export_stays_complete(self, sandbox, task, lake):
        first = task.run(transfer(lake, export_id=sandbox.create_in_app()))
        before = {name: (lake / "out" / name).read_bytes() for name in names(lake / "out")}
        sandbox.set(damage="corrupt")
        with pytest.raises(AirflowFailException):
            task.run(transfer(lake, export_id=sandbox.create_in_app()))
        assert {name: (lake / "out" / name).read_bytes() for name in names(lake / "out")} == before
        assert first["files"]


class TestArguments:
    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ({}, "export_id: is missing; use either export_id or export_type"),
            ({"export_id": "a", "export_type": "contacts"}, "export_id: cannot be combined with export_type"),
            ({"export_id": "a", "segment_id": "b"}, "segment_id: is only for creating an export"),
            ({"export_id": "a", "delimiter": ";"}, "delimiter: is only for creating an export"),
            ({"export_id": ["a"]}, r"export_id: \['a'\] is not an export id but a list: .* \.expand"),
            ({"export_id": " "}, "export_id: ' ' is not an export id: it is empty"),
            ({"export_type": "banners"}, "export_type: 'banners' is not supported"),
            ({"export_type": "contacts", "from_date": "2026-11-01"}, "from_date: is not supported for"),
            ({**ACTIVITIES, "to_date": "2026-12-11T00:00:00Z"}, "to_date: .* more than 31 days"),
            ({**ACTIVITIES, "to_date": ACTIVITIES["from_date"]}, "to_date: is the same time"),
            (
                {"export_id": "a", "file_format": "orc"},
                "file_format: 'orc' is not supported; use 'csv'",
            ),
            ({"export_id": "a", "if_exists": "append"}, "if_exists: 'append' is not supported"),
            ({"export_id": "a", "timeout": -1}, "timeout: -1 is not supported; use seconds or a timedelta"),
            ({"export_id": "a", "timeout": float("nan")}, "timeout: nan is not supported; use seconds"),
            ({"export_id": "a", "poke_interval": "60"}, "poke_interval: '60' is not supported; use seconds"),
            (
                {"export_id": "a", "max_uncompressed_bytes": 0},
                "max_uncompressed_bytes: 0 is not a positive",
            ),
            (
                {"export_id": "a", "max_uncompressed_bytes": "1GB"},
                "max_uncompressed_bytes: '1GB' is not a",
            ),
        ],
    )
    def test_invalid_arguments_fail_when_the_dag_is_parsed(self, lake, arguments, words):
        with pytest.raises(ConnectifArgumentError, match=words):
            transfer(lake, **arguments)

    def test_values_that_are_not_known_yet_are_not_checked(self, lake):
        with DAG("lake"):
            other = ConnectifCreateExportOperator(task_id="create", export_type="contacts")
            transfer(lake, task_id="one", export_id=other.output, file_format="{{ x }}", if_exists="{{ x }}")
            transfer(lake, task_id="two", **{**ACTIVITIES, "from_date": "{{ x }}", "to_date": other.output})
            transfer(lake, "{{ ds }}/{% if x %}{export_id}{% endif %}", task_id="three", export_id="{{ x }}")

    @pytest.mark.parametrize(
        ("name", "rendered", "words"),
        [
            ("export_id", None, "export_id: is missing"),
            ("export_id", ["a", "b"], r"export_id: .* with \.expand"),
            ("file_format", "zip", "file_format: 'zip' is not supported"),
            ("destination", "somewhere", "destination: 'somewhere' has no scheme"),
        ],
    )
    def test_they_are_checked_after_rendering(self, sandbox, task, lake, name, rendered, words):
        operator = transfer(lake, export_id="{{ x }}")
        setattr(operator, name, rendered)  # as Airflow's rendering does
        with pytest.raises(ConnectifArgumentError, match=words):
            operator.execute(task.context())
        assert sandbox.stats.requests == 0

    def test_deferrable_defaults_to_airflows_setting(self, monkeypatch, lake):
        monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
        assert transfer(lake, export_id="a").deferrable is True

    def test_the_timeout_defaults_to_airflows_setting_for_sensors(self, monkeypatch, lake):
        monkeypatch.setenv("AIRFLOW__SENSORS__DEFAULT_TIMEOUT", "77")
        assert transfer(lake, export_id="a", timeout=None).timeout == 77.0


SHORT_PAUSES = {"attempts": 8, "pause": 0.01, "sleep": CLOCK.sleep}
