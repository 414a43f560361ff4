# SPDX-License-Identifier: Apache-2.0
"""Check the types of the example DAGs and of the Python snippets in the documentation, as a user's mypy does.

    python -m scripts.check_types

The examples are checked strictly; the functions in the snippets may lack annotations.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.docs.pages import ROOT, blocks

SNIPPET_OPTIONS = (
    "--allow-untyped-defs",
    "--allow-incomplete-defs",
    "--allow-untyped-calls",
    "--allow-untyped-decorators",
    "--allow-any-generics",
    "--no-warn-unused-ignores",
    # Each snippet may import what only its user needs.
    "--ignore-missing-imports",
)


def mypy(*arguments: str | Path) -> int:
    command = [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, check=False).returncode


def main() -> int:
    examples = mypy(*sorted((ROOT / "example_dags").glob("*.py")))
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for block in blocks("python"):
            file = Path(folder) / block.file_name
            file.write_text(block.text)
            files.append(file)
        snippets = mypy(*SNIPPET_OPTIONS, *files)
    return examples or snippets


if __name__ == "__main__":
    sys.exit(main())
