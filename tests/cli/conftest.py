# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from airflow_provider_connectif.sandbox import Sandbox, SandboxOptions
from airflow_provider_connectif.sandbox.server import RunningSandbox
from tests.airflow_harness import (  # noqa: F401  fixtures
    debug_log,
    sandbox,
    short_lookup_policy,
)
from tests.leaks import words_before_a_secret
from tests.simulated_clock import simulated_leases  # noqa: F401  fixture


@pytest.fixture(scope="module")
def running_sandbox() -> Iterator[RunningSandbox]:
    """Closed at the end of the module, because tests of other packages check that no threads are left."""
    with Sandbox(SandboxOptions(seconds_per_export=0.0, rows=5)).serve(port=0) as running:
        yield running


@pytest.fixture
def airflow(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """Run ``airflow connectif exports …`` in this process, and return its standard output and standard error.

    Neither may contain a secret.
    """
    from airflow.cli.cli_parser import get_parser
    from airflow.providers_manager import ProvidersManager

    if not hasattr(ProvidersManager, "cli_command_functions"):
        pytest.skip("providers cannot add commands before Airflow 3.2")

    def run(*words: str) -> tuple[str, str]:
        capsys.readouterr()
        args = get_parser().parse_args(["connectif", "exports", *words])
        args.func(args)
        written = capsys.readouterr()
        assert words_before_a_secret(written.out + written.err) is None
        return written.out, written.err

    return run


@pytest.fixture
def refused(airflow: Callable[..., tuple[str, str]], capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a command that must fail, and return its error message."""

    def run(*words: str) -> str:
        with pytest.raises(SystemExit) as caught:
            airflow(*words)
        message = caught.value.code
        # Python prints such a code to standard error, and exits with 1.
        assert isinstance(message, str)
        assert caught.value.__suppress_context__
        assert words_before_a_secret(message + "".join(capsys.readouterr())) is None
        return message

    return run
