# SPDX-License-Identifier: Apache-2.0
"""Stop, kill and restart the triggerer of a local Airflow."""

from __future__ import annotations

import contextlib
import subprocess

import psutil

from scripts.local_airflow import LocalAirflow, wait_for


class Triggerer:
    """The current triggerer of a local Airflow, as a context manager that leaves none running.

    :param local: the Airflow, including the triggerer that it has started itself
    """

    def __init__(self, local: LocalAirflow) -> None:
        self._local = local
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Triggerer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._started:  # the Airflow only stops the triggerer that it has started itself
            self.kill()

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline", "environ", "status"]):
            home = (process.info["environ"] or {}).get("AIRFLOW_HOME")
            command = process.info["cmdline"] or []
            is_triggerer = home == str(self._local.home) and any("triggerer" in word for word in command)
            if is_triggerer and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def kill(self) -> None:
        """Kill all of its processes, so that none can write anything more."""
        family = set(self._processes())
        for process in list(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                family.update(process.children(recursive=True))  # its log server has another name
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._reap()

    def stop(self) -> None:
        """Terminate it gracefully, and wait until it has ended."""
        processes = self._processes()
        children = {child.pid for process in processes for child in process.children()}
        for process in processes:
            if process.pid not in children:
                process.terminate()
        wait_for("the end of the triggerer", lambda: None if self._processes() else True, 40)
        self._reap()

    def start(self) -> None:
        """Start a new triggerer."""
        with self._local.output.open("ab") as output:
            self._started.append(
                subprocess.Popen(
                    ["airflow", "triggerer"],
                    env=self._local.environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    cwd=self._local.home,
                )
            )

    def _reap(self) -> None:
        for process in self._started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=5)
