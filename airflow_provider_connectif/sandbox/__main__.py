# SPDX-License-Identifier: Apache-2.0
"""Run the sandbox in the foreground: ``python -m airflow_provider_connectif.sandbox``."""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import sys
from collections.abc import Sequence

from airflow_provider_connectif.sandbox.options import SandboxOptions, option_types
from airflow_provider_connectif.sandbox.server import Sandbox

_SEED = 6
_GROUPS = {  # keyed by the first option of each group
    "key": "API keys",
    "queue_seconds": "export lifecycle",
    "newest_version": "creating exports",
    "order": "listing exports",
    "rate_limit": "rate limit and errors",
    "rows": "export data",
    "archive": "export archive",
    "url_seconds": "file server",
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line, which has a flag for each option."""
    result = argparse.ArgumentParser(
        prog="python -m airflow_provider_connectif.sandbox",
        usage="%(prog)s [--port PORT] [--host HOST] [--quiet] [options]",
        description="A local stand-in for the Connectif Exports API, with generated data.",
        epilog="While it runs: POST /_sandbox/options changes options, POST /_sandbox/exports creates an export as the "
        "application does, POST /_sandbox/faults queues a fault, and GET /_sandbox/stats returns the counts.",
    )
    result.add_argument("--port", type=int, default=8787, help="port to listen on; 0 selects a free one (8787)")
    result.add_argument("--host", default="127.0.0.1", help="address to listen on (127.0.0.1)")
    result.add_argument("--quiet", action="store_true", help="do not print a line for each request")
    group: argparse._ActionsContainer = result
    for field, hint in option_types():
        if field.name in _GROUPS:
            group = result.add_argument_group(_GROUPS[field.name])
        flag = "--" + field.name.replace("_", "-")
        default = _SEED if field.name == "seed" else field.default
        help_text = field.metadata["help"].replace("%", "%%")
        if hint is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=help_text)
        elif default == ():
            group.add_argument(flag, action="append", default=[], help=f"{help_text}; may be repeated", metavar="X")
        else:
            kind, name = {int: (int, "N"), float: (float, "X")}.get(hint, (str, "X"))
            choices = field.metadata["choices"]
            help_text += "" if default == "" else f" ({default})"
            group.add_argument(
                flag,
                type=kind,
                default=default,
                choices=choices,
                help=help_text,
                metavar=None if choices else name,
            )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    command_line = parser()
    values = vars(command_line.parse_args(arguments))
    port, host, quiet = values.pop("port"), values.pop("host"), values.pop("quiet")
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING if quiet else logging.INFO)
    try:
        sandbox = Sandbox(SandboxOptions(**values)).serve(port=port, host=host)
    except ValueError as error:
        command_line.error(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with sandbox as running, contextlib.suppress(KeyboardInterrupt):
            print(f"The Connectif sandbox is listening on {running.url} (press Ctrl+C to stop it)")
            print(f"  key: {running.key}")
            print(f"  AIRFLOW_CONN_CONNECTIF_DEFAULT='{running.connection_json}'", flush=True)
            running.wait()
    except OSError as error:
        print(f"Cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
