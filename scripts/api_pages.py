# SPDX-License-Identifier: Apache-2.0
"""The pages of the API reference, which Sphinx fills from the docstrings: one for each public module."""

from __future__ import annotations

import functools
import re

from scripts.public_api import ROOT, names_of, public_modules

_NAME = re.compile(r"^(?:async def |def |class )?(\w+)")
_REEXPORT = re.compile(r"\w+: from ([\w.]+)")

_INDEX = """\
API reference
=============

All public modules, classes and functions, from their docstrings. :doc:`/docs/reference` is shorter, and compares the
arguments of the operators and the sensor. :doc:`/docs/policies` says what may change.

.. toctree::
   :maxdepth: 1

"""


def api_pages() -> dict[str, str]:
    """Return the text of each page by its file name, including the index."""
    names = {module: lines for module, lines in _public_names().items() if lines}
    pages = {f"{module}.rst": _page(module, lines, names) for module, lines in names.items()}
    return {"index.rst": _INDEX + "".join(f"   {module}\n" for module in names), **pages}


def _public_names() -> dict[str, list[str]]:
    """Return the lines of ``names_of`` for each public module, without those of members and decorators."""
    modules = {}
    for path in public_modules():
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        modules[module] = [line for line in names_of(path.read_text()) if line[0] not in " @"]
    return modules


@functools.cache
def public_classes() -> dict[str, str]:
    """Return the module of each public class, except for those with the same name in two modules."""
    found = [
        (line.split("(")[0].removeprefix("class "), module)
        for module, lines in _public_names().items()
        for line in lines
        if line.startswith("class ")
    ]
    names = [name for name, _ in found]
    return {name: module for name, module in found if names.count(name) == 1}


def _page(module: str, lines: list[str], public: dict[str, list[str]]) -> str:
    title = module.partition(".")[2]
    text = [title, "=" * len(title), "", f".. automodule:: {module}"]
    for line in lines:
        name, origin = _NAME.search(line)[1], _REEXPORT.fullmatch(line)  # type: ignore[index]
        if origin and origin[1] in public:
            text += ["", f".. py:class:: {name}", "", f"   The same as :py:class:`{origin[1]}.{name}`."]
        elif origin or line.startswith("class "):
            kind = "exception" if module.endswith(".errors") else "class"
            text += ["", f".. auto{kind}:: {module}.{name}", "   :members:"]
        else:
            text += ["", f".. auto{'function' if 'def ' in line else 'data'}:: {module}.{name}"]
    return "\n".join([*text, ""])
