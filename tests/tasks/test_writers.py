# SPDX-License-Identifier: Apache-2.0
"""A task instance as the writer of a folder."""

from __future__ import annotations

import pytest

from airflow_provider_connectif.tasks.writers import manifest_writer
from tests.airflow_harness import FakeTask, FakeTaskInstance
from tests.tasks.test_transfer import WRITER


@pytest.mark.parametrize(("map_index", "recorded"), [(3, 3), (-1, -1), (None, -1)])
def test_the_manifest_names_the_task_instance(map_index, recorded):
    context = FakeTask(FakeTaskInstance(task_id="store", map_index=map_index)).context()
    assert manifest_writer(context) == {**WRITER, "map_index": recorded}
