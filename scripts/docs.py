# SPDX-License-Identifier: Apache-2.0
"""Build the documentation's site in ``build/docs``, with warnings as errors: ``make docs``."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def stage(folder: Path) -> None:
    """Copy the pages and the files to which they link, in the same layout, so that the links work."""
    shutil.copytree(ROOT / "docs", folder / "docs", ignore=shutil.ignore_patterns("__pycache__", "conf.py"))
    shutil.copytree(ROOT / "example_dags", folder / "example_dags", ignore=shutil.ignore_patterns("__pycache__"))
    for path in [*ROOT.glob("*.md"), ROOT / "LICENSE"]:
        shutil.copy(path, folder)


def build(into: Path, *, quiet: bool = True) -> str:
    """Build the site.

    :param into: the output folder, whose content is replaced
    :param quiet: whether to report only warnings
    :return: the output of Sphinx
    :raises subprocess.CalledProcessError: if there is any warning
    """
    shutil.rmtree(into, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="connectif-docs-") as scratch:
        source = Path(scratch) / "pages"
        stage(source)
        command = [sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", *(["--quiet"] if quiet else [])]
        command += ["--conf-dir", str(ROOT / "docs"), "--doctree-dir", str(Path(scratch) / "doctrees")]
        command += ["--builder", "html", str(source), str(into)]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    output = done.stdout.replace(f"{source}/", "")
    if done.returncode:
        raise subprocess.CalledProcessError(done.returncode, "sphinx", output)
    # The root of the site redirects to its first page.
    (into / "index.html").write_text('<!doctype html><meta http-equiv="refresh" content="0; url=docs/index.html">\n')
    return output


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, default=ROOT / "build" / "docs")
    into = parser.parse_args().into.resolve()
    try:
        print(build(into), end="")
    except subprocess.CalledProcessError as error:
        print(error.output)
        return 1
    print(f"The site is in {into}; open {into / 'index.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
