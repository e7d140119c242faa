"""The embedded server is shared by real processes, whatever way they end."""

import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest

from app.infra.embedded import EmbeddedPostgres
from tests.infra.embedded.users import ACCOUNTS, ME, ORDINARY, User, answers, postmasters, write, written


@pytest.mark.parametrize("account", ACCOUNTS)
def test_data_survive_the_server_that_ends_with_its_user(account: int, use: Callable[[int], User]) -> None:
    """Two runs, one after the other."""
    first = use(account)
    write(first.url(), "kept")
    first.end()
    second = use(account)
    url = second.url()

    assert ["kept"] == written(url)
    second.end()
    assert not answers(url)


def test_the_server_ends_with_its_last_user_only(use: Callable[[int], User]) -> None:
    """Two processes share a server; the first one, which started it, leaves first."""
    first, second = use(ME), use(ME)
    url = first.url()

    assert url == second.url()
    first.end()
    assert answers(url)
    second.end()
    assert not answers(url)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_three_first_starts_at_the_same_moment_make_one_server(
    account: int, use: Callable[[int], User], home: Path
) -> None:
    """Nothing is there yet, not even the folder."""
    users = [use(account) for _ in range(3)]

    urls = {user.url() for user in users}

    assert 1 == len(urls)
    assert 1 == len(postmasters(home))
    for user in users:
        user.end()
    assert [] == postmasters(home)


def test_a_killed_user_does_not_keep_the_server_alive(use: Callable[[int], User], home: Path) -> None:
    """Its server runs on, the next user joins that one, and it ends with him."""
    killed = use(ME)
    url = killed.url()
    (before,) = postmasters(home)
    killed.end(by=signal.SIGKILL)
    assert [before] == postmasters(home)

    later = use(ME)
    assert url == later.url()
    assert [before] == postmasters(home)
    later.end()

    assert not answers(url)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_a_killed_postgres_is_started_again_with_all_that_was_committed(
    account: int, use: Callable[[int], User], home: Path
) -> None:
    """The file with its process id is still there, and its first user too."""
    first = use(account)
    write(first.url(), "kept")
    (before,) = postmasters(home)
    os.kill(before, signal.SIGKILL)

    url = use(account).url()

    assert ["kept"] == written(url)
    assert [before] != postmasters(home)


@pytest.mark.parametrize(("said", "sent"), [("fail", None), ("", signal.SIGTERM)], ids=["error", "SIGTERM"])
def test_the_server_ends_after_a_user_that_does_not_end_well(
    said: str, sent: signal.Signals | None, use: Callable[[int], User]
) -> None:
    """However it ends, as long as Python ends it."""
    user = use(ME)
    url = user.url()

    user.end(said, by=sent)

    assert not answers(url)


def test_ctrl_c_does_not_reach_postgres_before_the_user_has_finished(use: Callable[[int], User], home: Path) -> None:
    """The terminal sends it to the whole process group; the user writes to the database afterwards."""
    user = use(ME)
    url = user.url()

    user.end(by=signal.SIGINT)

    assert 0 == user.process.returncode
    assert not answers(url)
    with psycopg.connect(use(ME).url()) as connection:
        found = connection.execute("SELECT count(*) FROM written_after_the_interrupt").fetchone()
    assert (0,) == found


def test_threads_share_one_start_and_closing_twice_does_no_harm(home: Path) -> None:
    """And a closed one can be started again."""
    postgres = EmbeddedPostgres(home)

    with ThreadPoolExecutor() as threads:
        urls = {start.result() for start in [threads.submit(postgres.start) for _ in range(4)]}

    assert 1 == len(urls)
    postgres.close()
    postgres.close()
    assert not answers(*urls)
    assert urls == {postgres.start()}
    postgres.close()


def test_root_and_an_ordinary_user_take_turns_in_what_the_ordinary_user_made(
    use: Callable[[int], User], home: Path
) -> None:
    """Root becomes the data's owner instead of taking them."""
    for account, already in (ORDINARY, []), (ME, ["1"]), (ORDINARY, ["1", "2"]):
        user = use(account)
        url = user.url()
        assert already == written(url)
        write(url, str(len(already) + 1))
        user.end()


def test_anothers_folder_and_a_closed_one_are_refused_by_name(folder: Path) -> None:
    """An ordinary user gets a sentence, not a traceback."""
    closed = folder / "closed"
    closed.mkdir(mode=0o555)
    os.chown(closed, ORDINARY, -1)

    expected = {Path("/usr"): "/usr belongs to user root", closed / "data": "Permission denied"}
    for place, complaint in expected.items():
        said = User(place, ORDINARY).refusal()
        assert said.startswith("refused: The embedded PostgreSQL is not available")
        assert complaint in said
        assert said.endswith("set DATABASE_URL to use another server.")
