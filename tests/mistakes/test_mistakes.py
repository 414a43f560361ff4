# SPDX-License-Identifier: Apache-2.0
"""Mistakes of users (promise 9): each is reported when the DAG is parsed or, if it is not known then, by the first
attempt, before an export is created, in words that name what to change."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, ObjectStoragePath
from airflow.sdk import DAG

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.hooks.connectif import ConnectifHook
from airflow_provider_connectif.operators.connectif import ConnectifCreateExportOperator, ConnectifListExportsOperator
from airflow_provider_connectif.sensors.connectif import ConnectifExportSensor
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError
from airflow_provider_connectif.transfers.connectif_to_object_storage import ConnectifExportToObjectStorageOperator
from airflow_provider_connectif.triggers.connectif import ConnectifExportFinishedEventTrigger
from tests.airflow_harness import ACTIVITIES, FakeTask
from tests.leaks import words_before_a_secret
from tests.simulated_clock import CLOCK
from tests.stores import S3_KEY, S3_SECRET

CREATE, LIST, WAIT, STORE = (
    ConnectifCreateExportOperator,
    ConnectifListExportsOperator,
    ConnectifExportSensor,
    ConnectifExportToObjectStorageOperator,
)
CONTACTS: dict[str, Any] = {"export_type": "contacts"}
REPORT: dict[str, Any] = {
    "export_type": "data-explorer",
    "report_id": "rep-1",
    "from_date": "2026-11-01",
    "to_date": "2026-11-30",
}
LAKE = {"destination": "file:///tmp/lake/{export_id}"}
TEMPLATE = "{{ x }}"


@dataclass(frozen=True)
class Mistake:
    """A mistake, and what the user must be told.

    :param operator: the class
    :param arguments: its arguments in the DAG file
    :param words: regular expressions, each of which the message must match
    :param rendered: arguments whose templates render as these values; empty if the DAG cannot be parsed
    """

    operator: type
    arguments: dict[str, Any]
    words: tuple[str, ...]
    rendered: dict[str, Any] = field(default_factory=dict)


def store(destination: Any, **arguments: Any) -> tuple[type, dict[str, Any]]:
    return STORE, {"destination": destination, **(arguments or CONTACTS)}


PARSED = {
    # Destinations
    "dates of contacts": Mistake(*store("s3://lake/{from_date}"), ("destination: names {from_date}", "{created_at:")),
    "a report of activities": Mistake(*store("s3://lake/{report_id}", **ACTIVITIES), ("names {report_id}", "activ")),
    "a segment that is not given": Mistake(*store("s3://lake/{segment_id}"), ("names {segment_id}", "{export_id}")),
    "a format without %": Mistake(
        *store("s3://lake/{created_at:YYYY-MM-DD}"), ("{created_at:YYYY-MM-DD} contains no date", "%Y-%m-%d")
    ),
    "a format with an unknown letter": Mistake(*store("s3://lake/{created_at:%Y-%Q}"), ("%Q.*known letter",)),
    "minutes for months": Mistake(*store("s3://lake/{created_at:%Y-%M-%d}"), ("minute, %M", "month is %m")),
    "no bucket": Mistake(*store("s3:///connectif"), ("destination: .* names no bucket",)),
    "one slash": Mistake(*store("s3:/lake/connectif"), ("destination: .* has no scheme",)),
    "a relative path": Mistake(*store(Path("lake/connectif")), ("'lake/connectif' has no scheme", "file:///data/lake")),
    "a URL": Mistake(
        *store("https://account.blob.core.windows.net/lake?sig=c2VjcmV0"), ("https://, which is not a store",)
    ),
    "credentials in the URI": Mistake(*store("s3://key:secret@lake/x"), ("user and a password", "storage_conn_id")),
    # Values
    "an origin": Mistake(WAIT, {"origin": "application"}, ("origin: 'application'", "'app' or 'api'")),
    "an origin in a list": Mistake(LIST, {"origin": "Connectif"}, ("origin: 'Connectif'", "'app' or 'api'")),
    "a status": Mistake(LIST, {"status": "done"}, ("status: 'done'", "'finished'")),
    "a type in the singular": Mistake(WAIT, {"export_type": "contact"}, ("did you mean 'contacts'",)),
    "a type with an underscore": Mistake(LIST, {"export_type": "data_explorer"}, ("did you mean 'data-explorer'",)),
    "an activity in capitals": Mistake(
        CREATE, {**ACTIVITIES, "activity_types": ["Purchase"]}, ("activity_types: 'Purchase'", "mean 'purchase'")
    ),
    "an activity in the plural": Mistake(
        *store("s3://lake/{export_id}", **ACTIVITIES, activity_types=["logins"]), ("did you mean 'login'",)
    ),
    "a date-time for Data Explorer": Mistake(
        CREATE,
        {**REPORT, "from_date": "2026-11-01T00:00:00Z"},
        ("from_date: ", r"data_interval_start\.in_timezone\('Europe/Madrid'\)\.to_date_string\(\)"),
    ),
    "a version without v": Mistake(CREATE, {**CONTACTS, "version": 5}, ("version: 5 is not a version", "'v5'")),
    "dates in the wrong order": Mistake(
        CREATE, {**REPORT, "to_date": date(2026, 10, 1)}, ("to_date: 2026-10-01 is before from_date",)
    ),
    "an empty id": Mistake(CREATE, {**CONTACTS, "segment_id": ""}, ("segment_id: '' is not a segment id",)),
    "the URL of a segment": Mistake(
        CREATE,
        {**CONTACTS, "segment_id": "https://eu1.connectif.cloud/store/5f0c/segments/5f7c"},
        ("segment_id: ", "looks like a URL", "only the id"),
    ),
    "several ids": Mistake(STORE, {**LAKE, "export_id": ["a", "b"]}, (r"\.expand\(export_id=…\)",)),
    "a dictionary": Mistake(WAIT, {"export_id": {"export_id": "a"}}, ("dictionary", r"\['export_id'\]")),
    "no interval between polls": Mistake(STORE, {**LAKE, "export_id": "a", "poke_interval": "60"}, ("poke_interval",)),
}

RENDERED = {
    # Ids
    "a list as text": Mistake(
        STORE,
        {**LAKE, "export_id": TEMPLATE},
        ("export_id: ", "looks like a list", r"create\.output", r"\.expand\(export_id=…\)"),
        {"export_id": "['a', 'b']"},
    ),
    "a list as text for the sensor": Mistake(
        WAIT, {"export_id": TEMPLATE}, ("looks like a list", r"\.output"), {"export_id": '["a"]'}
    ),
    "nothing as text": Mistake(STORE, {**LAKE, "export_id": TEMPLATE}, ("'None'", "XCom"), {"export_id": "None"}),
    "nothing as text for the sensor": Mistake(
        WAIT, {"export_id": [TEMPLATE]}, ("'None' is not an export id", "XCom"), {"export_id": ["None"]}
    ),
    "an empty string": Mistake(STORE, {**LAKE, "export_id": TEMPLATE}, ("export_id: '' .* empty",), {"export_id": ""}),
    "a line break": Mistake(WAIT, {"export_id": TEMPLATE}, ("line break",), {"export_id": "a\n"}),
    "a URL as id": Mistake(
        STORE,
        {**LAKE, "export_id": TEMPLATE},
        ("export_id: the URL is not an export id", "only the id"),
        {"export_id": "https://files.connectif.cloud/a.zip?signature=c2VjcmV0"},
    ),
    "a path as id": Mistake(WAIT, {"export_id": TEMPLATE}, ("URL or a path",), {"export_id": "exports/64f0"}),
    "infinity by native rendering": Mistake(
        STORE,
        {**LAKE, "export_id": TEMPLATE},
        ("export_id: inf", "render_template_as_native_obj", r"create\.output"),
        {"export_id": float("inf")},
    ),
    "a number by native rendering": Mistake(
        CREATE, {**CONTACTS, "segment_id": TEMPLATE}, ("segment_id: 64", "native"), {"segment_id": 64}
    ),
    "a template in a template": Mistake(
        WAIT, {"export_id": TEMPLATE}, ("a template that was not rendered",), {"export_id": "{{ ti.xcom_pull() }}"}
    ),
    # Other values
    "no segment as text": Mistake(
        CREATE, {**CONTACTS, "segment_id": TEMPLATE}, ("segment_id: 'None'", "missing value"), {"segment_id": "None"}
    ),
    "no version as text": Mistake(
        CREATE, {**CONTACTS, "version": TEMPLATE}, ("version: 'None'", "or ''"), {"version": "None"}
    ),
    "no earlier run": Mistake(
        CREATE, {**ACTIVITIES, "from_date": TEMPLATE}, ("from_date: 'None'", "missing value"), {"from_date": "None"}
    ),
    "no earlier run for a filter": Mistake(
        WAIT, {"created_after": TEMPLATE}, ("created_after: 'None'", "missing value"), {"created_after": "None"}
    ),
    "no bound for a filter": Mistake(
        LIST, {"finished_after": TEMPLATE}, ("finished_after: ''",), {"finished_after": ""}
    ),
    "no dates": Mistake(CREATE, {**ACTIVITIES, "from_date": TEMPLATE}, ("from_date: is missing",), {"from_date": " "}),
    "an interval of no length": Mistake(
        CREATE,
        {**ACTIVITIES, "from_date": TEMPLATE, "to_date": TEMPLATE},
        ("to_date: is the same time", "CronDataIntervalTimetable"),
        {"from_date": "2026-11-01T00:00:00+00:00", "to_date": "2026-11-01T00:00:00+00:00"},
    ),
    "a destination without a scheme": Mistake(
        STORE, {**CONTACTS, "destination": TEMPLATE}, ("'lake' has no scheme",), {"destination": "lake"}
    ),
    "dates of contacts, rendered": Mistake(
        STORE,
        {"destination": "s3://lake/{from_date}", "export_type": TEMPLATE},
        ("names {from_date}", "contacts"),
        {"export_type": "contacts"},
    ),
    "neither an id nor a type": Mistake(
        STORE, {**LAKE, "export_type": TEMPLATE}, ("use either export_id or export_type",), {"export_type": ""}
    ),
}


def assert_says(error: BaseException, words: tuple[str, ...]) -> None:
    message = str(error)
    for expected in words:
        assert re.search(expected.replace("{", r"\{"), message), message
    assert words_before_a_secret(message) is None
    assert "c2VjcmV0" not in message
    assert "key:secret" not in message


@pytest.mark.parametrize("mistake", PARSED.values(), ids=PARSED)
def test_is_reported_when_the_dag_is_parsed(mistake):
    with DAG("lake", schedule=None), pytest.raises(ConnectifArgumentError) as caught:
        mistake.operator(task_id="mine", **mistake.arguments)
    assert_says(caught.value, ("^Task 'mine' of DAG 'lake': ", *mistake.words))


@pytest.mark.parametrize("mistake", RENDERED.values(), ids=RENDERED)
def test_is_reported_by_the_first_attempt_before_any_request(sandbox, task, mistake):
    with DAG("lake", schedule=None):
        operator = mistake.operator(task_id="mine", **mistake.arguments)
    for name, value in mistake.rendered.items():
        setattr(operator, name, value)  # as Airflow does when it renders templates
    with pytest.raises(ConnectifArgumentError) as caught:
        operator.execute(task.context())
    assert_says(caught.value, ("^Task 'mine' of DAG 'lake': ", *mistake.words))
    assert sandbox.stats.requests == 0


@pytest.mark.parametrize("arguments", [{"origin": "application"}, {"export_type": "contact"}, {"report_id": "a b"}])
def test_a_watcher_that_would_never_have_an_event_is_reported_when_the_dag_is_parsed(arguments):
    with pytest.raises(ConnectifArgumentError, match=next(iter(arguments))):
        ConnectifExportFinishedEventTrigger(**arguments)


@pytest.mark.parametrize("status", ["failed", "cancelled", "Error", "", None])
def test_a_watcher_of_another_status_is_reported_with_the_supported_ones(status):
    with pytest.raises(ConnectifArgumentError, match=r"^status: .* is not supported; use 'finished' or 'error'\.$"):
        ConnectifExportFinishedEventTrigger(status=status)


class TestHook:
    """The hook checks what the operators check."""

    @pytest.mark.parametrize("arguments", [{"origin": "application"}, {"status": "done"}, {"export_type": "contact"}])
    def test_a_filter_that_matches_nothing(self, sandbox, arguments):
        with pytest.raises(InvalidArgument, match=f"^{next(iter(arguments))}: "):
            ConnectifHook().list_exports(**arguments)
        assert sandbox.stats.requests == 0

    def test_an_id(self, sandbox):
        with pytest.raises(InvalidArgument, match=r"^export_id: .* looks like a URL"):
            ConnectifHook().get_export("https://api.connectif.cloud/exports/64f0")
        assert sandbox.stats.requests == 0


class TestPaths:
    """A destination may be any path."""

    def test_a_path_of_pathlib_is_a_folder(self, sandbox, task, tmp_path):
        operator = STORE(task_id="store", destination=tmp_path / "lake", export_id=sandbox.create_in_app())
        assert task.run(operator)["destination"] == str(tmp_path / "lake")

    def test_a_path_of_airflow_is_a_uri_with_its_connection(self, tmp_path):
        assert STORE(task_id="a", destination=ObjectStoragePath("s3://lake/a"), **CONTACTS).destination == "s3://lake/a"
        path = ObjectStoragePath("file://here@/{{ ds }}/{export_id}")
        assert STORE(task_id="b", destination=path, **CONTACTS).destination == str(path)

    def test_a_path_that_a_template_renders_is_accepted(self, sandbox, task, tmp_path):
        operator = STORE(task_id="store", destination=TEMPLATE, export_id=sandbox.create_in_app())
        operator.destination = tmp_path / "lake"
        assert task.run(operator)["files"]


class TestEmptyTemplates:
    """An optional argument whose template renders nothing is not given."""

    def test_a_segment_is_omitted(self, sandbox, task):
        operator = CREATE(task_id="create", export_type="contacts", segment_id=TEMPLATE, version=TEMPLATE)
        operator.segment_id, operator.version = "", " "
        task.run(operator)
        [created] = sandbox.stats.created
        assert created["body"].get("filters", {}) == {}
        assert "version" not in created["body"]

    def test_a_filter_is_omitted(self, sandbox, task):
        export_id = sandbox.create_in_app()
        operator = WAIT(task_id="wait", export_type=TEMPLATE, origin="app", poke_interval=1)
        operator.export_type = ""
        assert task.run(operator) == export_id

    def test_a_connection_of_a_store_is_omitted(self, sandbox, task, tmp_path):
        operator = STORE(
            task_id="store", destination=tmp_path, storage_conn_id=TEMPLATE, export_id=sandbox.create_in_app()
        )
        operator.storage_conn_id = ""
        assert task.run(operator)["files"]


def test_an_activity_type_that_does_not_exist_is_refused_by_the_api_and_named(sandbox, task):
    operator = CREATE(task_id="mine", **ACTIVITIES, activity_types=["purchase", "coupon-used"])
    with pytest.raises(AirflowFailException) as caught:
        task.run(operator)
    assert_says(caught.value, (r"\(422\)", r"activity_types \(/filters/activityTypes\): Value is not valid"))
    assert sandbox.stats.created_by_api == 0


def aws(endpoint: str, **fields: Any) -> str:
    extra = {"endpoint_url": endpoint, "region_name": "us-east-1", "config_kwargs": {"retries": {"max_attempts": 1}}}
    return json.dumps({"conn_type": "aws", "login": S3_KEY, "password": S3_SECRET, "extra": extra, **fields})


class TestStores:
    """A store that cannot be used fails the task before an export is created or waited for."""

    @pytest.fixture
    def s3(self, s3_server, monkeypatch):
        """A real S3 server with the bucket ``lake``, and a connection to it."""
        endpoint, buckets = s3_server
        (buckets / "lake").mkdir(exist_ok=True)
        monkeypatch.setenv("AIRFLOW_CONN_LAKE", aws(endpoint))
        return endpoint

    def refused(self, task: FakeTask, destination: Any, **arguments: Any) -> str:
        operator = STORE(task_id="store", destination=destination, **{**CONTACTS, **arguments})
        with pytest.raises(AirflowException) as caught:
            task.run(operator)
        return str(caught.value)

    @pytest.mark.parametrize("field", ["", "{created_at:%Y}/", "{export_id}/"])
    def test_a_missing_bucket(self, sandbox, task, s3, field):
        message = self.refused(task, f"s3://nowhere/{field}x", storage_conn_id="lake")
        assert "bucket or container of the destination does not exist" in message
        assert "s3://nowhere/" in message
        assert "the connection lake (storage_conn_id)" in message
        assert sandbox.stats.created_by_api == 0

    def test_a_missing_bucket_for_an_export_that_is_not_finished(self, sandbox, task, s3):
        sandbox.set(seconds_per_export=3600)
        export_id = sandbox.create_in_app()
        started = CLOCK.monotonic()
        message = self.refused(
            task, "s3://nowhere/x", storage_conn_id="lake", export_type=None, export_id=export_id, timeout=7200
        )
        assert "bucket or container" in message
        assert CLOCK.monotonic() == started

    def test_a_missing_bucket_for_an_export_that_is_finished(self, sandbox, task, s3):
        message = self.refused(
            task, "s3://nowhere/x", storage_conn_id="lake", export_type=None, export_id=sandbox.create_in_app()
        )
        assert "the connection lake" in message

    def test_a_wrong_key(self, sandbox, task, s3, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_WRONG", aws(s3, password="another-secret"))
        message = self.refused(task, "s3://lake/x", storage_conn_id="wrong")
        assert "while looking at the folder" in message
        assert "[destination s3://lake/x, the connection wrong (storage_conn_id)]" in message
        assert "another-secret" not in message
        assert sandbox.stats.created_by_api == 0

    def test_a_connection_that_is_not_defined(self, sandbox, task, s3, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        message = self.refused(task, "s3://lake/x", storage_conn_id="other")
        assert "the connection other (storage_conn_id), which is not defined" in message
        assert sandbox.stats.created_by_api == 0

    def test_no_connection(self, sandbox, task, s3, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        message = self.refused(task, "s3://lake/x")
        assert "the credentials of the environment, because storage_conn_id is not set" in message
        assert sandbox.stats.created_by_api == 0

    def test_a_missing_package(self, sandbox, task, monkeypatch):
        try:
            from airflow.sdk.io import fs
        except ImportError:  # Airflow 3.0
            import airflow.io as fs
        monkeypatch.setattr(fs, "_register_filesystems", lambda: {"file": fs._file})
        message = self.refused(task, "gs://lake/x")
        assert "pip install 'airflow-provider-connectif[google]'" in message
        assert sandbox.stats.created_by_api == 0

    def test_a_file_where_a_folder_should_be(self, sandbox, task, tmp_path):
        (tmp_path / "lake").write_text("")
        message = self.refused(task, f"file://{tmp_path}/lake/x")
        assert f"{tmp_path}/lake is not a folder" in message
        assert sandbox.stats.created_by_api == 0

    def test_a_folder_that_is_not_writable(self, sandbox, task, tmp_path, monkeypatch):
        monkeypatch.setattr("os.access", lambda path, mode: path != str(tmp_path))
        message = self.refused(task, f"{tmp_path}/lake/x")
        assert f"may not write to {tmp_path}" in message
        assert sandbox.stats.created_by_api == 0

    def test_a_missing_bucket_or_container_of_any_store(self, strict_place):
        place = strict_place
        if place.store().fs.protocol in ("file", ("file", "local")):
            pytest.skip("folders have no buckets")
        assert not place.store().check("a.csv")
        place.write("a.csv.gz", b"")
        assert not place.store().check("a.csv")
        place.write("a.csv", b"")
        assert place.store().check("a.csv")
        with pytest.raises(FileNotFoundError):
            place.with_path("missing-bucket/folder").store().check("a.csv")
