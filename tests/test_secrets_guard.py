# SPDX-License-Identifier: Apache-2.0
"""The guard in ``tests/conftest.py`` fails a test that writes a secret, so that passing tests prove that none does."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[1]
CONFTEST = (ROOT / "tests" / "conftest.py").read_text()


@pytest.mark.shows_secrets
@pytest.mark.parametrize(
    ("line", "failed"),
    [
        pytest.param("print('apiKey sandbox-key-id:sandbox-key-' + 'secret')", 1, id="the key, printed"),
        pytest.param(
            "logging.warning('got %s', 'http://x/files/1?expires=1&' + 'signature=0123456789ab')",
            1,
            id="a signed URL, logged",
        ),
        pytest.param("print('sandbox-key-id, signature=***')", 0, id="neither"),
    ],
)
def test_a_test_that_writes_a_secret_fails(pytester, monkeypatch, line, failed):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(f"import logging\n\ndef test_it():\n    {line}\n")
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(passed=1, errors=failed)
