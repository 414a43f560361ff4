# SPDX-License-Identifier: Apache-2.0
"""Write the list of public names, so that a change of the public API is intentional: ``make public-api``.

The names are read from the source, so that the list does not depend on the version of Python or Airflow.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "airflow_provider_connectif"
LISTING = ROOT / "tests" / "public_api.txt"

# All modules of these packages are public, and single modules of others, mostly because the hook returns their classes.
PACKAGES = ("hooks", "links", "operators", "sensors", "transfers", "triggers")
MODULES = (
    "__init__",
    "api.client",
    "api.errors",
    "api.export_request",
    "api.models",
    "events",
    "files.errors",
    "files.download.remote_file",
    "provider_info",
    "sandbox.__init__",
    "sandbox.options",
    "sandbox.server",
    "sandbox.stats",
    "windows",
)
_HEADER = """\
What users of the package may rely on: the modules, and their names with signatures.
Anything that is not listed may change at any time. `make public-api` writes this file.
"""


def public_modules() -> list[Path]:
    """Return the files of the public modules."""
    paths = [path for name in PACKAGES for path in (PACKAGE / name).glob("*.py") if not path.name.startswith("_")]
    return sorted([*paths, *(PACKAGE.joinpath(*name.split(".")).with_suffix(".py") for name in MODULES)])


def listing() -> str:
    """Return the public API, with a line for each name."""
    lines = [_HEADER]
    for path in public_modules():
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        lines += [name, *(f"    {line}" for line in names_of(path.read_text())), ""]
    return "\n".join(lines)


def names_of(source: str) -> list[str]:
    """Return the public names of a module: those without an underscore, and those that ``__all__`` re-exports."""
    tree = ast.parse(source)
    exported = {name for node in tree.body for name in _all_of(node)}
    lines = [
        f"{alias.asname or alias.name}: from {node.module}"
        for node in tree.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if (alias.asname or alias.name) in exported
    ]
    return [*lines, *_names_in(tree.body)]


def _names_in(body: list[ast.stmt]) -> list[str]:
    return [line for node in body for line in _lines_of(node)]


def _lines_of(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
        if _is_public(node.name) or node.name == "__init__":
            yield from (f"@{ast.unparse(each)}" for each in node.decorator_list)
            kind = "async def" if isinstance(node, ast.AsyncFunctionDef) else "def"
            returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
            yield f"{kind} {node.name}({ast.unparse(node.args)}){returns}"
    elif isinstance(node, ast.ClassDef) and _is_public(node.name):
        yield from (f"@{ast.unparse(each)}" for each in node.decorator_list)
        yield f"class {node.name}({', '.join(map(ast.unparse, node.bases))})"
        yield from (f"    {line}" for line in _names_in(node.body))
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and _is_public(node.target.id):
        value = f" = {ast.unparse(node.value)}" if node.value else ""
        yield f"{node.target.id}: {ast.unparse(node.annotation)}{value}"
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            if isinstance(target, ast.Name) and _is_public(target.id):
                yield f"{target.id} = {ast.unparse(node.value)}"


def _all_of(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
        return list(ast.literal_eval(node.value))
    return []


def _is_public(name: str) -> bool:
    return not name.startswith("_") and name != "log"


def main(arguments: list[str]) -> int:
    """Write the list, or with ``--check`` return 1 if it has changed."""
    if arguments == ["--check"]:
        if LISTING.read_text() == listing():
            return 0
        print("The public API has changed. If this is intentional, run make public-api.")
        return 1
    LISTING.write_text(listing())
    print(f"Wrote {LISTING.relative_to(ROOT)}. Describe changes in CHANGELOG.md.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
