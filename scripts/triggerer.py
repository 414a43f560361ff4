# SPDX-License-Identifier: Apache-2.0
"""The triggerer of a local Airflow: stopped, killed, and started again. With ``with``, none is left at the end."""

from __future__ import annotations

import contextlib
import subprocess

import psutil

from scripts.local_airflow import LocalAirflow, wait_for


class Triggerer:
    """Whatever triggerer a local Airflow has now.

    :param local: the Airflow; its own first triggerer counts too.
    """

    def __init__(self, local: LocalAirflow) -> None:
        self._local = local
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Triggerer:
        return self

    def __exit__(self, *_: object) -> None:
        if self._started:  # which ends with nothing but this; the Airflow's own one ends with it
            self.kill()

    def _processes(self) -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter(["cmdline", "environ", "status"]):
            home = (process.info["environ"] or {}).get("AIRFLOW_HOME")
            words = process.info["cmdline"] or []
            is_one = home == str(self._local.home) and any("triggerer" in word for word in words)
            if is_one and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        return found

    def kill(self) -> None:
        """Kill every process of it, so that none can say a last word."""
        family = set(self._processes())
        for process in list(family):
            with contextlib.suppress(psutil.NoSuchProcess):
                family.update(process.children(recursive=True))  # its server of logs is named otherwise
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self._reap()

    def stop(self) -> None:
        """Stop it as an operator does, and wait until it has ended."""
        processes = self._processes()
        children = {child.pid for process in processes for child in process.children()}
        for process in processes:
            if process.pid not in children:
                process.terminate()
        wait_for("the triggerer has ended", lambda: None if self._processes() else True, 40)
        self._reap()

    def start(self) -> None:
        """Start a new one."""
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
