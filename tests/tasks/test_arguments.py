# SPDX-License-Identifier: Apache-2.0
"""Which arguments are known when a DAG is parsed, and how invalid ones are reported."""

from __future__ import annotations

import pickle

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, BaseOperator
from airflow.sdk import DAG

from airflow_provider_connectif.api.errors import InvalidArgument
from airflow_provider_connectif.tasks.arguments import (
    ConnectifArgumentError,
    argument_errors,
    check_exactly_one,
    is_unknown,
)


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


def test_an_argument_error_is_not_retried_and_a_value_error():
    with pytest.raises(ConnectifArgumentError, match="version: is wrong") as caught, argument_errors():
        raise InvalidArgument("version", "is wrong")
    assert isinstance(caught.value, AirflowFailException)
    assert isinstance(caught.value, ValueError)
    assert caught.value.__cause__ is None
    assert str(pickle.loads(pickle.dumps(caught.value))) == "version: is wrong"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"a": None, "b": None}, "a: is missing; use either a or b"),
        ({"a": 1, "b": 2}, "a: cannot be combined with b; use either a or b"),
    ],
)
def test_exactly_one_of_several_alternatives_must_be_given(given, words):
    with pytest.raises(InvalidArgument, match=words):
        check_exactly_one(given)
    check_exactly_one({"a": None, "b": 0})
