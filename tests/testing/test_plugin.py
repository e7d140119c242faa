"""The pytest plugin, in a project of its own that uses it."""

import re
import subprocess
import sys
from pathlib import Path

from tests.cli.running import ROOT, environment

TESTS = '''
"""Tests of somebody's application."""

import pytest

from tests.testing.shop import Carrier, Order, jobs, ship

CARRIER = Carrier()


@pytest.fixture
def task_services():
    return {Carrier: CARRIER}


def test_ships(task_queue):
    ship.enqueue(Order(number=7), delay=3600)
    task_queue.assert_enqueued(ship, Order(number=7), count=1)
    assert task_queue.drain() == 0
    task_queue.clock.advance(hours=1)
    assert task_queue.drain() == 1
    assert CARRIER.taken == [7]


async def test_each_test_has_a_queue_of_its_own(task_queue):
    assert task_queue.enqueued() == []
    await ship.aenqueue(Order(number=8))
    assert await task_queue.adrain() == 1


def test_unbound_again():
    assert jobs.queue is None


def test_fails(task_queue):
    ship.enqueue(Order(number=-1))
    task_queue.drain()
'''
OPTIONS = '[tool.pytest.ini_options]\nasyncio_mode = "auto"\nasyncio_default_fixture_loop_scope = "function"\n'


def ran(folder: Path, options: str, tests: str = TESTS) -> str:
    """What pytest says of *tests* in a project with these options."""
    (folder / "pyproject.toml").write_text(OPTIONS + options)
    (folder / "test_application.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "app.testing.plugin", "-p", "asyncio", "-p", "no:cacheprovider", "-q"],
        check=False,
        cwd=folder,
        # By name alone: whether it is found by itself depends on how this project was installed.
        env=environment(pytest_disable_plugin_autoload=1, pythonpath=ROOT),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.stdout + done.stderr


def test_a_project_names_its_catalog_and_gets_a_queue(tmp_path: Path) -> None:
    """In each test an empty one; a job that fails fails its test, with the handler's own words."""
    said = ran(tmp_path, 'task_jobs = "tests.testing.shop:jobs"\n')

    assert "1 failed, 3 passed" in said, said
    assert re.search(r"^E .*JobFailed: attempt 1 of task 'order:ship' failed: ValueError", said, re.MULTILINE), said


def test_a_project_that_names_none_is_told_how(tmp_path: Path) -> None:
    """By the test that asked for a queue."""
    nothing, wrong = (
        ran(tmp_path, options, "def test_it(task_queue): ...\n")
        for options in ("", 'task_jobs = "tests.testing.shop:ship"\n')
    )

    assert "Which jobs? Set the ini option task_jobs = package.module:catalog" in nothing
    assert "task_jobs: 'tests.testing.shop:ship' is no JobCatalog, but a Job" in wrong


def test_the_catalog_may_be_said_in_code(tmp_path: Path) -> None:
    """By overriding the fixture."""
    fixture = "\n\n@pytest.fixture\ndef task_jobs():\n    return jobs\n"

    assert "1 failed, 3 passed" in ran(tmp_path, "", TESTS + fixture)
