# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import pytest

from tests.docs.pages import blocks


@pytest.fixture(scope="session")
def dag_bag(tmp_path_factory):
    """The DAGs that the pages' code blocks make, loaded from files as Airflow does it."""
    from airflow.dag_processing.dagbag import DagBag

    folder = tmp_path_factory.mktemp("dags")
    for block in blocks("python"):
        if block.is_dag:
            (folder / f"{block.page.stem}_{block.line}.py").write_text(block.text)
    return DagBag(str(folder))
