# SPDX-License-Identifier: Apache-2.0
"""``python -m airflow_provider_connectif.sandbox``: the sandbox in the foreground."""

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
_GROUPS = {  # by the first option of each
    "key": "keys",
    "queue_seconds": "the exports' course",
    "newest_version": "creating",
    "order": "the list",
    "rate_limit": "rate limit and errors",
    "rows": "the data",
    "archive": "the archive",
    "address_seconds": "the files' server",
}


def parser() -> argparse.ArgumentParser:
    """Return the command line's parser: a flag for each option."""
    result = argparse.ArgumentParser(
        prog="python -m airflow_provider_connectif.sandbox",
        usage="%(prog)s [--port PORT] [--host HOST] [--quiet] [options]",
        description="A local stand-in for the Connectif Exports API, with made-up data.",
        epilog="While it runs: POST /_sandbox/options changes options, POST /_sandbox/exports makes an "
        "export as the application does, POST /_sandbox/faults queues faults, GET /_sandbox/stats tells the counts.",
    )
    result.add_argument("--port", type=int, default=8787, help="the port to listen on; 0: a free one (8787)")
    result.add_argument("--host", default="127.0.0.1", help="the address to listen on (127.0.0.1)")
    result.add_argument("--quiet", action="store_true", help="do not print a line for each request")
    group: argparse._ActionsContainer = result
    for field, hint in option_types():
        if field.name in _GROUPS:
            group = result.add_argument_group(_GROUPS[field.name])
        flag = "--" + field.name.replace("_", "-")
        default = _SEED if field.name == "seed" else field.default
        text = field.metadata["help"].replace("%", "%%")
        if hint is bool:
            group.add_argument(flag, action=argparse.BooleanOptionalAction, default=default, help=text)
        elif default == ():
            group.add_argument(flag, action="append", default=[], help=f"{text}; may be repeated", metavar="X")
        else:
            kind, name = {int: (int, "N"), float: (float, "X")}.get(hint, (str, "X"))
            choices = field.metadata["choices"]
            text += "" if default == "" else f" ({default})"
            group.add_argument(
                flag,
                type=kind,
                default=default,
                choices=choices,
                help=text,
                metavar=None if choices else name,
            )
    return result


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until interrupted."""
    arguments_parser = parser()
    given = vars(arguments_parser.parse_args(arguments))
    port, host, quiet = given.pop("port"), given.pop("host"), given.pop("quiet")
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.WARNING if quiet else logging.INFO)
    try:
        options = SandboxOptions(**given)
        sandbox = Sandbox(options).serve(port=port, host=host)
    except ValueError as error:
        arguments_parser.error(str(error))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with sandbox as running, contextlib.suppress(KeyboardInterrupt):
            print(f"The Connectif sandbox listens at {running.url}")
            print(f"  key: {running.key}")
            print(f"  AIRFLOW_CONN_CONNECTIF_DEFAULT='{running.connection_json}'", flush=True)
            running.wait()
    except OSError as error:
        print(f"Cannot listen on {host}:{port}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
