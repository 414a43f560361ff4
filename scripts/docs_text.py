# SPDX-License-Identifier: Apache-2.0
"""The documentation as text, next to the site: ``llms.txt`` lists the pages, and ``all-pages.md`` contains them all."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
_DEFINITION = re.compile(r"^\[([^\]]+)\]: (\S+)\n?", re.MULTILINE)
_REFERENCE = re.compile(r"\[([^\]]+)\]\[([^\]]+)\]")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_LISTED = re.compile(r"^\| \[([^\]]+)\]\(([^)]+)\) \| (.+) \|$", re.MULTILINE)

_LLMS = """\
# {title}

> {summary}

All pages in one file: [all-pages.md](all-pages.md)
"""


def write_text(into: Path, *, title: str, summary: str, navigation: Mapping[str, Sequence[str]], index: str) -> None:
    """Write both files.

    :param into: the site, which contains the source of each page next to its HTML
    :param navigation: the pages of each part, as paths in the site
    :param index: path of the page that lists the others, with a description of each
    """
    folder = posixpath.dirname(index)
    listed = _LISTED.findall((into / index).read_text())
    described = {posixpath.normpath(posixpath.join(folder, link)): (name, text) for name, link, text in listed}
    lines = [_LLMS.format(title=title, summary=summary)]
    pages = [(into / index).read_text()]
    for part, paths in navigation.items():
        lines += [f"## {part}", ""]
        for path in paths:
            text = (into / path).read_text()
            name, description = described.get(path, (_heading(text), ""))
            lines.append(f"- [{name}]({path})" + (f": {description}" if description else ""))
            pages.append(one_page(path, text))
        lines.append("")
    pages[0] = one_page(index, pages[0])
    (into / "llms.txt").write_text("\n".join(lines))
    (into / "all-pages.md").write_text("\n".join(pages))


def _heading(text: str) -> str:
    lines = (line.strip("#* ") for line in text.splitlines())
    return next(line for line in lines if line)


def one_page(path: str, text: str) -> str:
    """Return a page as a part of a single file in the root of the site: its links work there too."""
    if not path.endswith(".md"):
        return f"<!-- {path} -->\n\n```text\n{text.strip()}\n```\n"
    definitions = dict(_DEFINITION.findall(text))

    def inline(match: re.Match[str]) -> str:
        label, target = match[1], definitions.get(match[2])
        return f"[{label}]({target})" if target else match[0]

    def from_root(match: re.Match[str]) -> str:
        target = match[1]
        if re.match(r"\w+:", target):
            return match[0]
        name, hash_sign, anchor = target.partition("#")
        name = posixpath.normpath(posixpath.join(posixpath.dirname(path), name)) if name else path
        return f"]({name}{hash_sign}{anchor})"

    parts = _FENCE.split(text)
    # Every second part is a code block. Labels are unique in a page, but not in the whole file.
    parts[::2] = [_LINK.sub(from_root, _REFERENCE.sub(inline, _DEFINITION.sub("", part))) for part in parts[::2]]
    return f"<!-- {path} -->\n\n{''.join(parts).strip()}\n"
