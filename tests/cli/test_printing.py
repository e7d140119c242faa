"""How a task is shown: what is said of its version and its checkpoint."""

from datetime import UTC, datetime

from app.cli.printing import as_json, story
from app.domain.tasks.failures import Failure
from tests.examples import a_task


def test_a_task_shows_its_version_and_what_was_saved() -> None:
    """
    As JSON always, to people where there is something to say.
    """
    plain, saved = a_task(), a_task(version=2, checkpoint={"page": 3})

    assert [(1, None), (2, {"page": 3})] == [
        (shown["version"], shown["checkpoint"]) for shown in map(as_json, (plain, saved))
    ]
    assert ("version" in story(plain), "checkpoint" in story(plain)) == (False, False)
    assert "  version     2\n" in story(saved)
    assert '  checkpoint  {"page": 3}' in story(saved)


def test_the_errors_of_another_round_are_told_apart() -> None:
    """
    After a requeue the attempts are counted from 1 again.
    """
    at = datetime(2030, 1, 31, tzinfo=UTC)
    errors = [Failure("builtins.OSError", "no").recorded(attempt=attempt, at=at) for attempt in (1, 2, 1, 1)]

    told = [line.split(" at ")[0].strip() for line in story(a_task(errors=errors)).splitlines()[-6:]]

    back = "then put back on its queue:"
    assert ["attempt 1 failed", "attempt 2 failed", back, "attempt 1 failed", back, "attempt 1 failed"] == told
