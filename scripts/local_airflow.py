# SPDX-License-Identifier: Apache-2.0
"""A real Airflow on this machine for the demo, for looking around, and for the system tests.

It is ``airflow standalone`` (scheduler, DAG processor, triggerer and API server on SQLite) with its own home
folder and its own free ports, so that it disturbs no other Airflow.
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


class LocalAirflowError(Exception):
    """Airflow did not start, or did not do in time what was asked."""


def free_port() -> int:
    """Return a TCP port of the loopback that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(what: str, ask: Callable[[], T | None], timeout: float, every: float = 0.3) -> T:
    """Ask until the answer is not None.

    :param what: what is waited for, for the error's text.
    :param ask: gives None while there is nothing yet; errors of the connection count as nothing.
    :param timeout: seconds after which :class:`LocalAirflowError` is raised.
    """
    end = time.monotonic() + timeout
    while True:
        with contextlib.suppress(requests.ConnectionError, requests.Timeout):
            answer = ask()
            if answer is not None:
                return answer
        if time.monotonic() > end:
            raise LocalAirflowError(f"{what}: not within {timeout:.0f} s")
        time.sleep(every)


def sandbox_connection(url: str, key: str) -> dict[str, Any]:
    """The connection to a sandbox (or any Connectif API), as :class:`LocalAirflow` takes it."""
    return {"conn_type": "connectif", "host": url, "password": key}


class LocalAirflow:
    """``airflow standalone`` with a home of its own; a context manager that stops all of its processes.

    :param home: AIRFLOW_HOME, made when missing: the database, the logs, the output of the components.
    :param dags: the folder of DAG files.
    :param connections: connections by id, each as Airflow's JSON form (``{"conn_type": …}``).
    :param environment: more environment variables, also seen by the DAGs.
    :param port: the API server's port; a free one when not given.
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
            "core.execution_api_server_url": f"{self.url}/execution/",  # Airflow 3.0 does not take it from the base URL
            "core.executor": "LocalExecutor",
            "core.load_examples": False,
            "core.parallelism": 4,
            "core.simple_auth_manager_all_admins": True,
            "core.test_connection": "Enabled",
            # Components and workers share one SQLite file: each waits for the others instead of failing at once.
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
            "AIRFLOW_HOME": str(self.home),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "NO_COLOR": "1",
            **{"AIRFLOW__" + name.replace(".", "__").upper(): str(value) for name, value in settings.items()},
            **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection) for name, connection in connections.items()},
            **more,
        }

    @property
    def output(self) -> Path:
        """The file with what the components print."""
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
        """Start all components and wait until each says that it is healthy."""
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
            wait_for("Airflow's components are healthy", self._healthy, timeout)
        except LocalAirflowError as error:
            tail = "\n".join(self.output.read_text(errors="replace").splitlines()[-30:])
            raise LocalAirflowError(f"{error}; the last lines of {self.output}:\n{tail}") from None

    def _healthy(self) -> bool | None:
        if self._process is not None and self._process.poll() is not None:
            raise LocalAirflowError(f"Airflow ended with code {self._process.returncode}")
        answer = requests.get(f"{self.url}/api/v2/monitor/health", timeout=5)
        parts = answer.json() if answer.ok else {}
        names = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return True if all((parts.get(name) or {}).get("status") == "healthy" for name in names) else None

    def stop(self) -> None:
        """End every process of this Airflow: first politely, then not."""
        process, self._process = self._process, None
        if process is None:
            return
        family = self._family(process.pid)
        # Each by itself: `airflow standalone` stops its components for SIGINT alone, which is ignored in
        # whatever a shell started in the background.
        for end in (psutil.Process.terminate, psutil.Process.kill):
            for member in family:
                with contextlib.suppress(psutil.NoSuchProcess):
                    end(member)
            _, family = psutil.wait_procs(family, timeout=5)
        process.wait(timeout=5)

    @staticmethod
    def _family(pid: int) -> list[psutil.Process]:
        """The process, its descendants, and those of its session whose parents are gone already."""
        found = set()
        with contextlib.suppress(psutil.NoSuchProcess):
            found = {psutil.Process(pid), *psutil.Process(pid).children(recursive=True)}
        for process in psutil.process_iter():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                if os.getsid(process.pid) == pid:
                    found.add(process)
        return list(found)

    def wait(self) -> int:
        """Wait until the process ends by itself."""
        return self._process.wait() if self._process else 0

    def cli(self, *arguments: str) -> str:
        """Run ``airflow …`` with this Airflow's settings and return what it prints."""
        done = subprocess.run(
            ["airflow", *arguments], env=self.environment, capture_output=True, text=True, cwd=self.home
        )
        if done.returncode:
            raise LocalAirflowError(f"airflow {' '.join(arguments)}: {done.stderr[-2000:]}")
        return done.stdout

    def api(self, method: str, path: str, **arguments: Any) -> Any:
        """Call the API server; ``path`` is from its root, such as ``/api/v2/dags``. Returns the JSON body."""
        if "Authorization" not in self._session.headers:
            token = requests.get(f"{self.url}/auth/token", timeout=30)
            token.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {token.json()['access_token']}"
        for attempts_left in reversed(range(5)):
            answer = self._session.request(method, self.url + path, timeout=60, **arguments)
            # SQLite gives up on one of two that wait for each other; what it had begun is undone.
            if not (attempts_left and answer.status_code == 500 and "Database error" in answer.text):
                break
        if not answer.ok:
            raise LocalAirflowError(f"{method} {path}: {answer.status_code} {answer.text[:1000]}")
        return answer.json() if answer.content else None

    def unpause(self, dag_id: str, timeout: float = 240) -> None:
        """Wait until the DAG is known, and let it run.

        :raises LocalAirflowError: when a DAG file cannot be imported, with the reason.
        """

        def known() -> bool | None:
            found = self.api("GET", "/api/v2/dags", params={"dag_id_pattern": dag_id})["dags"]
            return True if any(dag["dag_id"] == dag_id for dag in found) else self._import_errors()

        wait_for(f"the DAG {dag_id} is known", known, timeout)
        self.api("PATCH", f"/api/v2/dags/{dag_id}", json={"is_paused": False})

    def scheduled_run(self, dag_id: str, timeout: float = 240) -> str:
        """Let the DAG run, and return the id of the last run that its schedule then makes."""
        self.unpause(dag_id, timeout)

        def made() -> str | None:
            runs = self.api(
                "GET",
                f"/api/v2/dags/{dag_id}/dagRuns",
                params={"run_type": "scheduled", "order_by": "-run_after", "limit": 1},
            )["dag_runs"]
            return str(runs[0]["dag_run_id"]) if runs else None

        return wait_for(f"a scheduled run of {dag_id}", made, timeout)

    def trigger(self, dag_id: str, *, at: datetime | None = None, timeout: float = 240) -> str:
        """Let the DAG run, start a run by hand, and return its id.

        :param at: the run's logical date; now when not given.
        """
        self.unpause(dag_id, timeout)
        moment = (at or datetime.now(timezone.utc)).isoformat()
        run = self.api("POST", f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": moment})
        return str(run["dag_run_id"])

    def _import_errors(self) -> None:
        errors = self.api("GET", "/api/v2/importErrors")["import_errors"]
        if errors:
            raise LocalAirflowError(f"{errors[0]['filename']}: {errors[0]['stack_trace']}")

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 600) -> str:
        """Wait until a run has ended; returns ``success`` or ``failed``."""

        def ended() -> str | None:
            state = self.api("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in FINISHED else None

        return wait_for(f"the run {run_id} of {dag_id} has ended", ended, timeout)

    def tasks(self, dag_id: str, run_id: str) -> dict[str, str]:
        """The state of each task of a run (of the last instance, where a task is mapped)."""
        found = self.api("GET", f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances")
        return {task["task_id"]: task["state"] for task in found["task_instances"]}

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """The value that a task returned."""
        path = f"/api/v2/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/xcomEntries/{key}"
        return self.api("GET", path, params={"deserialize": False})["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str) -> str:
        """The logs of all tries of a task, as they are on disk."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return "\n".join(path.read_text(errors="replace") for path in sorted(folder.rglob("*.log*")))

    def all_logs(self) -> Iterator[tuple[Path, str]]:
        """Every log file of this Airflow with its text, the components' output included."""
        for path in sorted([self.output, *(self.home / "logs").rglob("*")]):
            if path.is_file():
                yield path, path.read_text(errors="replace")
