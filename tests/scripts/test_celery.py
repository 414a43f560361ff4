# SPDX-License-Identifier: Apache-2.0
"""The checks of ``make celery``, which itself takes minutes."""

from __future__ import annotations

import json

from scripts.celery import CeleryAirflow, find_problems


def store(lake, export_id, *, size=3):
    folder = lake / export_id
    folder.mkdir(parents=True)
    (folder / "a.csv").write_bytes(b"abc")
    manifest = {"export": {"id": export_id}, "files": [{"path": "a.csv", "bytes": size}]}
    (folder / "_connectif_manifest.json").write_text(json.dumps(manifest))
    return folder


def test_complete_folders_of_all_created_exports_pass(tmp_path):
    store(tmp_path, "one")
    store(tmp_path, "created by someone else")
    assert find_problems(tmp_path, {"one": {}}) == []


def test_a_short_file_an_unexpected_one_and_a_missing_export_are_reported(tmp_path):
    store(tmp_path, "short", size=4)
    (store(tmp_path, "unexpected") / "b.csv").touch()
    found = find_problems(tmp_path, {"short": {}, "unexpected": {}, "lost": {}})
    assert len(found) == 3
    assert "lost" in found[-1]


def test_the_tasks_of_a_worker_are_counted_in_coloured_output(tmp_path):
    airflow = CeleryAirflow(tmp_path, dags=tmp_path)
    lines = [
        "[2026-11-25 15:00:00] \x1b[33mTask execute_workload[12ab-34] received\x1b[0m",
        "[2026-11-25 15:00:01] \x1b[33mTask execute_workload[12ab-34] succeeded in 1.2s: None\x1b[0m",
    ]
    (tmp_path / "worker-1.log").write_text("\n".join(lines))
    assert airflow.succeeded_tasks(1) == 1
