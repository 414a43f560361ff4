# SPDX-License-Identifier: Apache-2.0
"""A cleared task is distinguished from one that is retried, whatever its ``retries`` were or are."""

from __future__ import annotations

import itertools
import json

import pytest

from airflow_provider_connectif.tasks.generation import TaskGeneration


class SimulatedTask:
    """A task instance with the numbers that Airflow keeps (``airflow.models.taskinstance``)."""

    def __init__(self, retries=1):
        self.retries = self.max_tries = retries
        self.try_number = self.clear_number = 0

    def attempt(self):
        """Start an attempt and return its generation."""
        self.try_number += 1
        return TaskGeneration(self.max_tries, self.clear_number, self.try_number, self.retries)

    def attempts(self, number):
        return [self.attempt() for _ in range(number)][-1]

    def clear(self, *, retries=None, reset_dag_runs=True):
        self.retries = self.retries if retries is None else retries
        self.max_tries = self.try_number + self.retries
        self.clear_number += reset_dag_runs

    def clear_another_task(self):
        self.clear_number += 1


def is_repetition(now, before):
    return now.is_repetition_of(json.loads(json.dumps(before.as_json())))


RETRIES = range(4)


@pytest.mark.parametrize(("retries", "new_retries"), list(itertools.product(RETRIES, RETRIES)))
def test_a_cleared_task_is_recognized_whatever_its_retries_were_and_are(retries, new_retries):
    for attempts, lost in itertools.product(range(1, retries + 2), range(new_retries + 1)):
        task = SimulatedTask(retries)
        before = task.attempts(attempts)
        task.clear(retries=new_retries)
        task.attempts(lost) if lost else None
        assert is_repetition(task.attempt(), before), (attempts, lost)


@pytest.mark.parametrize("retries", RETRIES)
def test_a_cleared_task_is_recognized_if_its_last_attempt_recorded_nothing(retries):
    task = SimulatedTask(3)
    before = task.attempt()
    task.attempt()
    task.clear(retries=retries)
    assert is_repetition(task.attempt(), before)


def test_a_task_cleared_repeatedly_is_recognized_each_time():
    task = SimulatedTask(3)
    before = task.attempts(2)
    for retries in (1, 0, 3, 0, 0):
        task.clear(retries=retries)
        now = task.attempt()
        assert is_repetition(now, before)
        before = now


@pytest.mark.parametrize("retries", RETRIES)
def test_a_task_cleared_twice_before_it_ran_is_recognized_once(retries):
    task = SimulatedTask(retries)
    before = task.attempt()
    task.clear()
    task.clear()
    first = task.attempt()
    assert is_repetition(first, before)
    assert not is_repetition(task.attempt(), first)


@pytest.mark.parametrize(("retries", "cleared"), list(itertools.product(RETRIES, (0, 1, 2))))
def test_a_retry_is_not_a_repetition_even_if_other_tasks_of_the_run_were_cleared(retries, cleared):
    task = SimulatedTask(retries)
    task.attempts(retries + 1)
    task.clear()
    before = task.attempt()
    for _ in range(retries):
        for _ in range(cleared):
            task.clear_another_task()
        now = task.attempt()
        assert not is_repetition(now, before)
        before = now


def test_a_retry_is_not_a_repetition_if_the_dags_retries_have_changed():
    for retries, attempts, new_retries in itertools.product((1, 2, 3), (1, 2, 3), RETRIES):
        if attempts > retries:
            continue  # no retry is left
        task = SimulatedTask(retries)
        before = task.attempts(attempts)
        task.retries = new_retries
        assert not is_repetition(task.attempt(), before), "no task was cleared"
        task = SimulatedTask(retries)
        before = task.attempts(attempts)
        task.retries = new_retries
        task.clear_another_task()
        # The documented ambiguity: fewer retries, by exactly the number of attempts.
        assert is_repetition(task.attempt(), before) == (retries - new_retries == attempts)


def test_a_rescheduled_attempt_is_not_a_repetition():
    task = SimulatedTask(2)
    before = task.attempts(2)
    task.clear_another_task()
    task.try_number -= 1
    assert not is_repetition(task.attempt(), before)


def test_a_task_cleared_without_resetting_its_run_is_recognized():
    task = SimulatedTask(1)
    before = task.attempt()
    task.clear(reset_dag_runs=False)
    assert is_repetition(task.attempt(), before)


@pytest.mark.parametrize("max_tries", [0, 1, 3, 4])
def test_without_a_clear_number_any_other_max_tries_is_a_repetition(max_tries):
    before = TaskGeneration(1)
    assert is_repetition(TaskGeneration(max_tries), before) == (max_tries != 1)


@pytest.mark.parametrize("recorded", [2, True, None, "2", [], {}])
def test_whatever_else_is_recorded_is_a_repetition(recorded):
    assert TaskGeneration(2, 5, 3, 0).is_repetition_of(recorded)


def test_the_generation_is_read_from_the_context(task):
    task.ti.max_tries, task.ti.try_number, task.ti.task.retries, task.dag_run.clear_number = 4, 3, 2, 1
    assert TaskGeneration.of(task.context()) == TaskGeneration(4, 1, 3, 2)


def test_an_incomplete_context_leaves_out_what_it_does_not_have(task):
    task.ti.max_tries = task.ti.try_number = task.ti.task = None
    assert TaskGeneration.of({"ti": task.ti}) == TaskGeneration(0)
