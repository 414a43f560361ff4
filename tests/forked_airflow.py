# SPDX-License-Identifier: Apache-2.0
"""Airflow's program for tests that run many commands: it is loaded once, and each command gets a fork of it.

A command has the arguments, the folder, the standard streams and the exit code of the process that asks for it, as if
it were ``airflow`` itself; only the seconds are saved that Airflow takes to load.
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
    """Give an environment in which ``airflow`` is such a fork.

    :param folder: an empty one, for the program.
    :param environment: what Airflow runs in.
    """
    program, address = folder / "airflow", folder / "socket"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -IS "{__file__}" ask "{address}" "$@"\n')
    program.chmod(0o755)
    command = [sys.executable, "-m", "tests.forked_airflow", "serve", str(address)]
    with subprocess.Popen(command, env=dict(environment), cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert any(line == "ready\n" for line in server.stdout), "Airflow could not be loaded"
            yield {**environment, "PATH": os.pathsep.join([str(folder), environment["PATH"]])}
        finally:
            server.terminate()


def serve(address: str) -> None:
    """Answer until the process is ended."""
    from airflow.__main__ import main

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(address)
    listener.listen()
    print("ready", flush=True)
    while True:
        asking, _ = listener.accept()
        message, streams, _, _ = socket.recv_fds(asking, 1 << 16, 3)
        child = os.fork()
        if not child:
            for number, stream in enumerate(streams):
                os.dup2(stream, number)
            asked = json.loads(message)
            os.chdir(asked["folder"])
            sys.argv = ["airflow", *asked["words"]]
            return main()
        for stream in streams:
            os.close(stream)
        _, status = os.waitpid(child, 0)
        asking.send(bytes([os.waitstatus_to_exitcode(status) & 0xFF]))
        asking.close()


def ask(address: str, *words: str) -> int:
    """Have a command run; its exit code."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(address)
        socket.send_fds(connection, [json.dumps({"folder": os.getcwd(), "words": words}).encode()], [0, 1, 2])
        return connection.recv(1)[0]


if __name__ == "__main__":
    sys.exit({"ask": ask, "serve": serve}[sys.argv[1]](*sys.argv[2:]))
