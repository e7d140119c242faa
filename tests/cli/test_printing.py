"""How a task is shown: what is said of its version and its checkpoint."""

from app.cli.printing import as_json, story
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
