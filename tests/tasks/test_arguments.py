# SPDX-License-Identifier: Apache-2.0
"""What is known of an argument when a DAG is parsed, and how a wrong one is told."""

from __future__ import annotations

import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator
from airflow.sdk import DAG

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.tasks.arguments import ConnectifArgumentError, check, check_exactly_one, is_unknown


@pytest.mark.parametrize("value", ["{{ ds }}", "a{% if x %}b{% endif %}", "{# x #}"])
def test_a_template_is_unknown(value):
    assert is_unknown(value)


def test_another_tasks_result_is_unknown():
    with DAG("lake"):
        other = BaseOperator(task_id="other")
    assert is_unknown(other.output)
    assert is_unknown(other.output["key"])


@pytest.mark.parametrize("value", ["", "text", "{export_id}", None, 5, [], [1], {"a": 1}, BaseOperator])
def test_everything_else_is_known(value):
    assert not is_unknown(value)


def test_what_a_check_finds_is_not_retried_and_a_value_error():
    def find() -> None:
        raise InvalidArgument("version", "is wrong")

    with pytest.raises(ConnectifArgumentError, match="version: is wrong") as caught:
        check(find)
    assert isinstance(caught.value, AirflowFailException)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is None
    assert str(pickle.loads(pickle.dumps(caught.value))) == "version: is wrong"


def test_a_check_gives_what_it_made():
    assert check(int, "5", base=8) == 5


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": None, "b": None}, "a: is missing: give either a or b"),
        ({"a": 1, "b": 2}, "a: a and b exclude each other: give either a or b"),
    ],
)
def test_one_of_several_is_asked_for(given, words):
    with pytest.raises(InvalidArgument, match=words):
        check_exactly_one(given)
    check_exactly_one({"a": None, "b": 0})
