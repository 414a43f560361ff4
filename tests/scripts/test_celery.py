# SPDX-License-Identifier: Apache-2.0
"""What ``make celery`` counts; the run itself takes minutes."""

from __future__ import annotations

import json

from scripts.celery import CeleryAirflow, broken


def store(lake, export_id, *, size=3):
    folder = lake / export_id
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"abc")
    manifest = {"export": {"id": export_id}, "files": [{"path": "a.csv", "bytes": size}]}
    (folder / "_connectif_manifest.json").write_text(json.dumps(manifest))
    return folder


def test_whole_folders_of_all_that_was_created_are_fine(tmp_path):
    store(tmp_path, "one")
    store(tmp_path, "made by somebody else")
    assert broken(tmp_path, {"one": {}}) == []


def test_a_short_file_a_stray_one_and_a_missing_export_are_told(tmp_path):
    store(tmp_path, "short", size=4)
    (store(tmp_path, "stray") / "b.csv").touch()
    found = broken(tmp_path, {"short": {}, "stray": {}, "lost": {}})
    assert len(found) == 3
    assert "lost" in found[-1]


def test_a_workers_tasks_are_counted_without_colours(tmp_path):
    airflow = CeleryAirflow(tmp_path, dags=tmp_path)
    lines = [
        "[2026-11-25 15:00:00] \x1b[33mTask execute_workload[12ab-34] received\x1b[0m",
        "[2026-11-25 15:00:01] \x1b[33mTask execute_workload[12ab-34] succeeded in 1.2s: None\x1b[0m",
    ]
    (tmp_path / "worker-1.log").write_text("\n".join(lines))
    assert airflow.done_by(1) == 1
