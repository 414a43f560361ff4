# SPDX-License-Identifier: Apache-2.0
"""Build the documentation's site in ``build/docs``, with warnings as errors: ``make docs``."""

from __future__ import annotations

import argparse
import os
import re
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from airflow_provider_connectif import __version__
from scripts.api_pages import api_pages
from scripts.docs_text import write_text
from scripts.docs_versions import write_versions

ROOT = Path(__file__).parents[1]
_API = "docs/api-reference"


def stage(folder: Path) -> None:
    """Copy the pages and the files to which they link, in the same layout, so that the links work."""
    only_for_sphinx = shutil.ignore_patterns("__pycache__", "conf.py", "templates")
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=only_for_sphinx)
    shutil.copytree(ROOT / "example_dags", folder / "example_dags", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*ROOT.glob("*.md"), ROOT / "LICENSE"]:
        shutil.copy(path, folder)
    (folder / _API).mkdir()
    for name, text in api_pages().items():
        (folder / _API / name).write_text(text)


def build(into: Path, *, switcher: bool = False) -> str:
    """Build the site, and the pages as text next to it.

    :param into: the output folder, whose content is replaced
    :param switcher: whether the pages list the other versions in the folder that contains ``into``
    :return: the output of Sphinx, which is empty
    :raises subprocess.CalledProcessError: if there is any warning
    """
    shutil.rmtree(into, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="connectif-docs-") as name:
        scratch = Path(name)
        source = scratch / "pages"
        stage(source)
        output = _sphinx("html", scratch, into, *(["--html-define", "versions=1"] if switcher else []))
        references = sorted((source / _API).glob("*.rst"))
        output += _sphinx("text", scratch, into, filenames=references)
        for path in references:
            path.unlink()
        shutil.copytree(source, into, dirs_exist_ok=True, ignore=shutil.ignore_patterns("static"))
    # The root of the site redirects to its first page.
    (into / "index.html").write_text('<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html">\n')
    _write_text(into)
    return output


def _sphinx(builder: str, scratch: Path, into: Path, *options: str, filenames: list[Path] | None = None) -> str:
    source = scratch / "pages"
    command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", *options]
    command += ["--conf-dir", str(ROOT / "docs"), "--doctree-dir", str(scratch / "doctrees"), "--builder", builder]
    command += [str(source), str(into), *map(str, filenames or [])]
    # The API reference imports Airflow, which writes its configuration to its home.
    settings = {**os.environ, "AIRFLOW_HOME": str(scratch / "airflow")}
    done = subprocess.run(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = done.stdout.replace(f"{source}/", "")
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, "sphinx", output)
    return output


def _write_text(into: Path) -> None:
    configuration = runpy.run_path(str(ROOT / "docs" / "conf.py"))
    modules = sorted(str(path.relative_to(into)) for path in (into / _API).glob("*.txt") if path.stem != "index")
    navigation: dict[str, list[str]] = {}
    for part, entries in configuration["NAVIGATION"].items():
        navigation[part] = []
        for entry in entries:
            name = re.sub(r".*</(.+)>", r"/\1", entry)
            path = f"{name[1:]}.md" if name.startswith("/") else f"docs/{name}.md"
            navigation[part] += modules if path == f"{_API}/index.md" else [path]
    summary = re.search(r'^description = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    title = configuration["html_title"]
    write_text(into, title=title, summary=summary[1] if summary else "", navigation=navigation, index="docs/index.md")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "docs")
    parser.add_argument("--versions", type=Path, help="a folder of versions, to which this one is added instead")
    options = parser.parse_args()
    into = (options.versions / __version__ if options.versions else options.into).resolve()
    try:
        print(build(into, switcher=options.versions is not None), end="")
    except subprocess.CalledProcessError as error:
        print(error.output)
        return 1
    if options.versions:
        write_versions(options.versions)
    print(f"The site is in {into}; open {into / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
