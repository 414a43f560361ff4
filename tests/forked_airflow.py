# SPDX-License-Identifier: Apache-2.0
"""An ``airflow`` command for tests that run many: Airflow is imported once, and each command runs in a fork.

The fork has the arguments, the working directory, the standard streams and the exit code of the calling process, so the
only difference is that it does not take seconds to import Airflow.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def forked_airflow(folder: Path, environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield an environment whose ``airflow`` command is such a fork.

    :param folder: an empty folder for the command
    :param environment: the environment of Airflow
    """
    program, address = folder / "airflow", folder / "socket"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{__file__}" run "{address}" "$@"\n')
    program.chmod(0o755)
    command = [sys.executable, "-m", "tests.forked_airflow", "serve", str(address)]
    with subprocess.Popen(command, env=dict(environment), cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert any(line == "ready\n" for line in server.stdout), "Airflow could not be imported"
            yield {**environment, "PATH": os.pathsep.join([str(folder), environment["PATH"]])}
        finally:
            server.terminate()


def serve(address: str) -> None:
    """Run commands until the process is terminated."""
    from airflow.__main__ import main

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        message, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
        child = os.fork()
        if not child:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            command = json.loads(message)
            os.chdir(command["folder"])
            sys.argv = ["airflow", *command["arguments"]]
            return main()
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        connection.send(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
        connection.close()


def run(address: str, *arguments: str) -> int:
    """Run a command, and return its exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps({"folder": os.getcwd(), "arguments": arguments}).encode()], [0, 1, 2])
        return connection.recv(1)[0]


if __name__ == "__main__":
    sys.exit({"run": run, "serve": serve}[sys.argv[1]](*sys.argv[2:]))
