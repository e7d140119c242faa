"""Settings: each row of the table in api.md, where values come from, and what is said about wrong ones."""

import json
import os
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app import QueueError
from app.domain.retention_rules import KEEP_ALL, RetentionRules
from app.infra.settings import InvalidSettings, Settings


@pytest.fixture(autouse=True)
def nothing_is_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without ``.env``, and an environment without our variables."""
    names = {*Settings.model_fields, "job_concurrency", "job_timeout"}
    for name in [name for name in os.environ if name.lower() in names]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


DEFAULTS = {
    "database_url": None,
    "worker_schema": "worker",
    "worker_jobs": None,
    "worker_concurrency": 5,
    "worker_task_timeout": 300.0,
    "worker_poll_interval": 1.0,
    "worker_lease": 60.0,
    "worker_stale_check_interval": 15.0,
    "worker_shutdown_grace": 25.0,
    "worker_cancel_grace": 10.0,
    "worker_retention": KEEP_ALL,
    "worker_id": f"{socket.gethostname()}-{os.getpid()}",
    "worker_queues": (),
    "worker_task_types": (),
    "data_dir": Path(".data"),
    "in_memory": False,
}
GIVEN = [
    ("WORKER_SCHEMA", "queue_b", "worker_schema", "queue_b"),
    ("WORKER_JOBS", "shop.jobs:catalog,more:jobs", "worker_jobs", "shop.jobs:catalog,more:jobs"),
    ("WORKER_CONCURRENCY", "20", "worker_concurrency", 20),
    ("JOB_CONCURRENCY", "20", "worker_concurrency", 20),
    ("WORKER_TASK_TIMEOUT", "90", "worker_task_timeout", 90.0),
    ("WORKER_TASK_TIMEOUT", "90s", "worker_task_timeout", 90.0),
    ("WORKER_TASK_TIMEOUT", "5m", "worker_task_timeout", 300.0),
    ("WORKER_TASK_TIMEOUT", "7d", "worker_task_timeout", 604_800.0),
    ("WORKER_TASK_TIMEOUT", "1h30m", "worker_task_timeout", 5_400.0),
    ("WORKER_TASK_TIMEOUT", " 2.5 S ", "worker_task_timeout", 2.5),
    ("JOB_TIMEOUT", "1500", "worker_task_timeout", 1.5),
    ("JOB_TIMEOUT", "1e4", "worker_task_timeout", 10.0),
    ("WORKER_POLL_INTERVAL", "250ms", "worker_poll_interval", 0.25),
    ("WORKER_LEASE", "2m", "worker_lease", 120.0),
    ("WORKER_STALE_CHECK_INTERVAL", "1", "worker_stale_check_interval", 1.0),
    ("WORKER_SHUTDOWN_GRACE", "0", "worker_shutdown_grace", 0.0),
    ("WORKER_CANCEL_GRACE", "0", "worker_cancel_grace", 0.0),
    ("WORKER_CANCEL_GRACE", "2m", "worker_cancel_grace", 120.0),
    ("WORKER_ID", "blue", "worker_id", "blue"),
    ("WORKER_QUEUES", "a, b,,c d", "worker_queues", ("a", "b", "c d")),
    ("WORKER_TASK_TYPES", "email:*,report:*", "worker_task_types", ("email:*", "report:*")),
    ("WORKER_RETENTION", "completed=7d, *@bulk=1d", "worker_retention", RetentionRules.of("completed=7d, *@bulk=1d")),
    ("WORKER_RETENTION", '{"*:a,b": "1d", "*": 60}', "worker_retention", RetentionRules.of({"*:a,b": 86_400, "*": 60})),
    ("WORKER_RETENTION", "", "worker_retention", KEEP_ALL),
    ("WORKER_SCHEDULES", '{"a": {"enabled": false}}', "worker_schedules", {"a": {"enabled": False}}),
    ("DATA_DIR", "/var/lib/queue", "data_dir", Path("/var/lib/queue")),
    ("IN_MEMORY", "true", "in_memory", True),
]
WRONG = [
    ("WORKER_SCHEMA", "Bad-Name", "WORKER_SCHEMA: String should match pattern '^[a-z_][a-z0-9_]{0,49}$'"),
    ("WORKER_SCHEMA", "pg_queue", "WORKER_SCHEMA: must not begin with pg_, which PostgreSQL keeps for itself"),
    ("WORKER_CONCURRENCY", "many", "WORKER_CONCURRENCY or JOB_CONCURRENCY: Input should be a valid integer"),
    ("WORKER_CONCURRENCY", "0", "WORKER_CONCURRENCY or JOB_CONCURRENCY: Input should be greater than or equal to 1"),
    ("JOB_CONCURRENCY", "0", "WORKER_CONCURRENCY or JOB_CONCURRENCY: Input should be greater than or equal to 1"),
    ("JOB_CONCURRENCY", "2.5", "WORKER_CONCURRENCY or JOB_CONCURRENCY: Input should be a valid integer"),
    ("WORKER_TASK_TIMEOUT", "soon", "WORKER_TASK_TIMEOUT or JOB_TIMEOUT: must be seconds or a duration such as 90s"),
    ("WORKER_TASK_TIMEOUT", "0", "WORKER_TASK_TIMEOUT or JOB_TIMEOUT: Input should be greater than 0"),
    *(
        ("JOB_TIMEOUT", wrong, "JOB_TIMEOUT: must be a number of milliseconds, more than 0")
        for wrong in ("soon", "30s", "0", "-1", "inf", "nan", "1.2.3", "1e30", "")
    ),
    ("WORKER_POLL_INTERVAL", "-1", "WORKER_POLL_INTERVAL: must be"),
    ("WORKER_LEASE", "100ms", "WORKER_LEASE: Input should be greater than or equal to 0.5"),
    ("WORKER_LEASE", "101y", "WORKER_LEASE: must be seconds or a duration such as 90s, 5m, 7d"),
    ("WORKER_STALE_CHECK_INTERVAL", "", "WORKER_STALE_CHECK_INTERVAL: must be seconds or a duration"),
    ("WORKER_SHUTDOWN_GRACE", "nan", "WORKER_SHUTDOWN_GRACE: must be"),
    ("WORKER_ID", "x" * 201, "WORKER_ID: String should have at most 200 characters"),
    ("WORKER_QUEUES", "mail*", "WORKER_QUEUES: must not contain *, which is kept for patterns"),
    ("WORKER_QUEUES", "a\x01", "WORKER_QUEUES: must not contain control characters"),
    ("WORKER_TASK_TYPES", "x" * 201, "WORKER_TASK_TYPES: must have at most 200 characters, not 201"),
    ("IN_MEMORY", "perhaps", "IN_MEMORY: Input should be a valid boolean"),
    ("WORKER_SCHEDULES", "{", "WORKER_SCHEDULES: must be JSON: "),
    ("WORKER_SCHEDULES", "[]", "WORKER_SCHEDULES: Input should be a valid dictionary"),
    ("WORKER_SCHEDULES", '{"a": false}', "WORKER_SCHEDULES: schedule 'a': Input should be a valid dictionary"),
]


def test_every_setting_has_the_default_of_the_table() -> None:
    """
    With nothing set, a queue works as the documentation says.
    """
    settings = Settings()

    assert {name: getattr(settings, name) for name in DEFAULTS} == DEFAULTS


@pytest.mark.parametrize(("variable", "text", "name", "value"), GIVEN)
def test_the_environment_sets_it(
    monkeypatch: pytest.MonkeyPatch, variable: str, text: str, name: str, value: object
) -> None:
    """
    Under each of its names, durations as seconds or as text.
    """
    monkeypatch.setenv(variable, text)

    assert value == getattr(Settings(), name)


@pytest.mark.parametrize(("variable", "text", "said"), WRONG)
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, variable: str, text: str, said: str) -> None:
    """
    By the name of the variable, with what is allowed, in one line.
    """
    monkeypatch.setenv(variable, text)

    with pytest.raises(InvalidSettings) as refused:
        Settings()

    assert said == str(refused.value)[: len(said)]
    assert 1 == len(str(refused.value).splitlines())


@pytest.mark.parametrize(("variable", "text", "said"), WRONG[:9])
def test_a_wrong_value_in_the_file_is_refused_like_another(variable: str, text: str, said: str) -> None:
    """
    The message does not depend on where it came from.
    """
    Path(".env").write_text(f"{variable}={text}\n")

    with pytest.raises(InvalidSettings) as refused:
        Settings()

    assert said == str(refused.value)[: len(said)]


def test_everything_that_is_wrong_is_said_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Nobody likes to be told one thing after another.
    """
    monkeypatch.setenv("WORKER_LEASE", "long")
    monkeypatch.setenv("WORKER_CONCURRENCY", "0")

    with pytest.raises(InvalidSettings) as refused:
        Settings(worker_poll_interval=-1)

    assert [True] * 3 == [name in str(refused.value) for name in ("LEASE", "CONCURRENCY", "POLL_INTERVAL")]
    assert isinstance(refused.value, QueueError)


NAMES = [
    ("WORKER_CONCURRENCY", "JOB_CONCURRENCY", "worker_concurrency", ("1", "2", 3)),
    ("WORKER_TASK_TIMEOUT", "JOB_TIMEOUT", "worker_task_timeout", ("1000", "2000", 3)),
    ("WORKER_LEASE", "WORKER_LEASE", "worker_lease", ("1", "2", 3)),
]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("said", NAMES)
def test_code_beats_the_environment_which_beats_the_file(
    monkeypatch: pytest.MonkeyPatch, swapped: bool, said: tuple[str, str, str, tuple[str, str, Any]]
) -> None:
    """
    Under whichever of two names each of them says it.
    """
    one, other, name, values = said
    in_file, in_environment = (other, one) if swapped else (one, other)
    seconds = {"JOB_TIMEOUT": 1000.0}

    Path(".env").write_text(f"{in_file}={values[0]}\nSOMEBODY_ELSES=1\n")
    from_file = getattr(Settings(), name)
    monkeypatch.setenv(in_environment, values[1])
    from_environment = getattr(Settings(), name)
    from_code = getattr(Settings(**{name: values[2]}), name)

    assert [
        float(values[0]) / seconds.get(in_file, 1),
        float(values[1]) / seconds.get(in_environment, 1),
        values[2],
    ] == [from_file, from_environment, from_code]


def test_of_two_names_in_one_place_the_first_of_the_table_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The one that is ours.
    """
    for name, text in {"WORKER_CONCURRENCY": "1", "JOB_CONCURRENCY": "2"}.items():
        monkeypatch.setenv(name, text)
    for name, text in {"WORKER_TASK_TIMEOUT": "1", "JOB_TIMEOUT": "2000"}.items():
        monkeypatch.setenv(name, text)

    settings = Settings()

    assert (1, 1.0) == (settings.worker_concurrency, settings.worker_task_timeout)


@pytest.mark.parametrize("variable", ["DATABASE_URL", "WORKER_JOBS", "WORKER_ID", "WORKER_QUEUES", "WORKER_TASK_TYPES"])
def test_an_empty_text_leaves_it_unset(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    """
    As deployments write it that have nothing to say: ``WORKER_QUEUES=``.
    """
    monkeypatch.setenv(variable, "")

    assert DEFAULTS[variable.lower()] == getattr(Settings(), variable.lower())


def test_code_may_say_it_in_its_own_words() -> None:
    """
    A timedelta, a list, a number, under the field's name or under the other one.
    """
    settings = Settings(
        worker_lease=timedelta(minutes=2), worker_queues=["a"], worker_task_types=("b:*",), job_timeout=1500
    )

    assert (120.0, ("a",), ("b:*",), 1.5) == (
        settings.worker_lease, settings.worker_queues, settings.worker_task_types, settings.worker_task_timeout
    )  # fmt: skip


def test_a_setting_that_does_not_exist_is_refused() -> None:
    """
    In code a misspelt name is an error; in the environment it is somebody else's variable.
    """
    with pytest.raises(InvalidSettings, match="There is no setting worker_concurency"):
        Settings(worker_concurency=3)


def test_a_copy_keeps_what_was_given_and_replaces_the_rest() -> None:
    """
    And is checked like another.
    """
    settings = Settings(worker_lease=90, database_url="postgresql://me:h1dden@host/db")

    copy = settings.replaced(worker_concurrency=7, worker_id=None)

    assert (90.0, 7, settings.database_url) == (copy.worker_lease, copy.worker_concurrency, copy.database_url)
    with pytest.raises(InvalidSettings):
        settings.replaced(worker_concurrency=0)


def test_retention_is_written_as_it_may_be_given() -> None:
    """
    So that settings can be dumped and read again.
    """
    settings = Settings(worker_retention="failed:audit:*=forever, completed=7d")

    dumped = json.loads(settings.model_dump_json())["worker_retention"]

    assert {"failed:audit:*": "forever", "completed": 604_800} == dumped
    assert settings.worker_retention == Settings(worker_retention=dumped).worker_retention
