# SPDX-License-Identifier: Apache-2.0
"""A real Airflow on this machine, for the demo, ``make airflow`` and the system tests.

It runs ``airflow standalone`` (scheduler, DAG processor, triggerer and API server on SQLite) with a separate home
folder and free ports, so that it does not interfere with any other Airflow.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, TypeVar

import psutil
import requests

T = TypeVar("T")

FINISHED = ("success", "failed")
_DEADLOCK = ("Database error", "Database is locked")


class LocalAirflowError(Exception):
    """Airflow did not start, or a condition was not met in time."""


def free_port() -> int:
    """Return a TCP port of the loopback interface that is not in use."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, poll: Callable[[], T | None], timeout: float, interval: float = 0.3) -> T:
    """Call a function until it returns something other than None, and return that.

    :param what: what is awaited, for the error message
    :param poll: the function; connection errors and timeouts count as None
    :param timeout: seconds after which the wait fails
    :param interval: seconds between two calls
    :raises LocalAirflowError: if the wait times out
    """
    end = time.monotonic() + timeout
    while True:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            result = poll()
            if result is not None:
                return result
        if time.monotonic() > end:
            raise LocalAirflowError(f"Timed out after {timeout:.0f} s waiting for {what}")
        time.sleep(interval)


def sandbox_connection(url: str, key: str) -> dict[str, Any]:
    """Return the connection to a sandbox, or to any Connectif API, for :class:`LocalAirflow`."""
    return {"conn_type": "connectif", "host": url, "password": key}


class LocalAirflow:
    """An ``airflow standalone`` with a separate home folder, as a context manager that stops all of its processes.

    :param home: ``AIRFLOW_HOME``, for the database, the logs and the output of the components; created if missing
    :param dags: folder of the DAG files
    :param connections: connections by id, each in Airflow's JSON form (``{"conn_type": …}``)
    :param environment: additional environment variables, which the DAGs see as well
    :param port: port of the API server; a free one by default
    """

    command: Sequence[str] = ("airflow", "standalone")

    def __init__(
        self,
        home: Path,
        *,
        dags: Path,
        connections: Mapping[str, Mapping[str, Any]] | None = None,
        environment: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.home = home
        self.dags = dags
        self.port = port or free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = self._environment(connections or {}, environment or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()

    def _environment(self, connections: Mapping[str, Mapping[str, Any]], more: Mapping[str, str]) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_")}
        settings = {
            "api.base_url": self.url,
            "api.host": "127.0.0.1",
            "api.port": self.port,
            "api.workers": 1,
            "core.auth_manager": ("airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"),
            "core.dags_folder": self.dags,
            "core.execution_api_server_url": f"{self.url}/execution/",  # Airflow 3.0 does not derive it from base_url
            "core.executor": "LocalExecutor",
            "core.load_examples": False,
            "core.parallelism": 4,
            "core.simple_auth_manager_all_admins": True,
            "core.test_connection": "Enabled",
            # All processes share one SQLite file: they wait for each other instead of failing immediately.
            "database.sql_alchemy_conn": f"sqlite:///{self.home / 'airflow.db'}?timeout=20",
            "database.sql_alchemy_conn_async": f"sqlite+aiosqlite:///{self.home / 'airflow.db'}?timeout=20",
            "dag_processor.min_file_process_interval": 60,
            "dag_processor.refresh_interval": 5,
            "logging.trigger_log_server_port": free_port(),
            "logging.worker_log_server_host": "127.0.0.1",
            "logging.worker_log_server_port": free_port(),
            "scheduler.scheduler_heartbeat_sec": 1,
            "scheduler.scheduler_idle_sleep_time": 0.5,
            "triggerer.job_heartbeat_sec": 1,
            "usage_data_collection.enabled": False,
        }
        return {
            **inherited,
            # The sandbox is faster than Connectif, and has no rate limit.
            "CONNECTIF_POKE_INTERVAL": "5",
            "AIRFLOW_HOME": str(self.home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "NO_COLOR": "1",
            **{"AIRFLOW__" + name.replace(".", "__").upper(): str(value) for name, value in settings.items()},
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()},
            **more,
        }

    @property
    def output(self) -> Path:
        """The file with the output of the components."""
        return self.home / "standalone.log"

    def __enter__(self) -> LocalAirflow:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, timeout: float = 420) -> None:
        """Start all components and wait until they are healthy."""
        self.home.mkdir(parents=True, exist_ok=True)
        with self.output.open("ab") as output:
            self._process = subprocess.Popen(
                list(self.command),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=self.home,
                start_new_session=True,
            )
        try:
            wait_for("Airflow's components to be healthy", self._healthy, timeout)
        except LocalAirflowError as error:
            tail = "\n".join(self.output.read_text(errors="replace").splitlines()[-30:])
            raise LocalAirflowError(f"{error}; the last lines of {self.output}:\n{tail}") from None

    def _healthy(self) -> bool | None:
        if self._process is not None and self._process.poll() is not None:
            raise LocalAirflowError(f"Airflow ended with code {self._process.returncode}")
        response = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5)
        components = response.json() if response.ok else {}
        names = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return True if all((components.get(name) or {}).get("status") == "healthy" for name in names) else None

    def stop(self) -> None:
        """Terminate every process of this Airflow, and kill those that are still running after that."""
        process, self._process = self._process, None
        if process is None:
            return
        family = self._family(process.pid)
        # Individually, because `airflow standalone` stops its components only on SIGINT, which processes that a shell
        # started in the background ignore.
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    end(member)
            _, family = psutil.wait_procs(family, timeout=5)
        process.wait(timeout=5)

    @staticmethod
    def _family(pid: int) -> list[psutil.Process]:
        """Return the process, its descendants, and processes of its session that have lost their parent."""
        found = set()
        with contextlib.suppress(psutil.NoSuchProcess):
            found = {psutil.Process(pid), *psutil.Process(pid).children(recursive=True)}
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == pid:
                    found.add(process)
        return list(found)

    def wait(self) -> int:
        """Wait until the process ends, and return its exit code."""
        return self._process.wait() if self._process else 0

    def cli(self, *arguments: str) -> str:
        """Run an ``airflow`` command with the settings of this Airflow, and return its output."""
        done = subprocess.run(
            ["airflow", *arguments], env=self.environment, capture_output=True, text=True, cwd=self.home
        )
        if done.returncode:
            raise LocalAirflowError(f"airflow {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        """Call the API server with an absolute path such as ``/api/v2/dags``, and return the JSON body."""
        if "Authorization" not in self._session.headers:
            token = requests.get(f"{self.url}/auth/token", timeout=30)
            token.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        for attempts_left in reversed(range(5)):
            response = self._session.request(method, self.url + path, timeout=60, **arguments)
            # On a deadlock, SQLite fails one of the transactions and rolls it back.
            locked = response.status_code >= 500 and any(words in response.text for words in _DEADLOCK)
            if not (attempts_left and locked):
                break
        if not response.ok:
            raise LocalAirflowError(f"{method} {path}: {response.status_code} {response.text[:1000]}")
        return response.json() if response.content else None

    def unpause(self, dag_id: str, timeout: float = 240) -> None:
        """Wait until the DAG has been parsed, and unpause it.

        :raises LocalAirflowError: if a DAG file cannot be imported
        """

        def known() -> bool | None:
            found = self.api("GET", "/api/v2/dags", params={"dag_id_pattern": dag_id})["dags"]
            return True if any(dag["dag_id"] == dag_id for dag in found) else self._import_errors()

        wait_for(f"the DAG {dag_id}", known, timeout)
        self.api("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def scheduled_run(self, dag_id: str, timeout: float = 240) -> str:
        """Unpause the DAG, and return the id of the latest run that its schedule creates."""
        self.unpause(dag_id, timeout)

        def created() -> str | None:
            runs = self.api(
                "GET",
                f"/api/v2/dags/{dag_id}/dagRuns",
                params={"run_type": "scheduled", "order_by": "-run_after", "limit": 1},
            )["dag_runs"]
            return str(runs[0]["dag_run_id"]) if runs else None

        return wait_for(f"a scheduled run of {dag_id}", created, timeout)

    def trigger(self, dag_id: str, *, at: datetime | None = None, timeout: float = 240) -> str:
        """Unpause the DAG, trigger a run, and return its id.

        :param at: logical date of the run; now by default
        """
        self.unpause(dag_id, timeout)
        logical_date = (at or datetime.now(timezone.utc)).isoformat()
        run = self.api("POST", f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": logical_date})
        return str(run["dag_run_id"])

    def _import_errors(self) -> None:
        errors = self.api("GET", "/api/v2/importErrors")["import_errors"]
        if errors:
            raise LocalAirflowError(f"{errors[0]['filename']}: {errors[0]['stack_trace']}")

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 600) -> str:
        """Wait until a run has ended, and return its state: ``success`` or ``failed``."""

        def ended() -> str | None:
            state = self.api("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in FINISHED else None

        return wait_for(f"the end of the run {run_id} of {dag_id}", ended, timeout)

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """Return the state of each task of a run. For a mapped task it is that of the last instance."""
        found = self.api("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task["state"] for task in found["task_instances"]}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return an XCom of a task, by default the value that it returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", path, params={"map_index": map_index, "deserialize": False})["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """Return the logs of all tries of a task."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return "\n".join(path.read_text(errors="replace") for path in sorted(folder.rglob("*.log*")))

    def all_logs(self) -> Iterator[tuple[Path, str]]:
        """Yield the path and content of every log file, including the output of the components."""
        for path in sorted([self.output, *(self.home / "logs").rglob("*")]):
            if path.is_file():
                yield path, path.read_text(errors="replace")
