"""As whom the server runs when we are root, which PostgreSQL refuses to be."""

import logging
import os
import pwd
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

from app.infra.embedded.errors import EmbeddedPostgresUnavailable
from app.infra.embedded.locks import locked

_log = logging.getLogger(__name__)

_SYSTEM_USER = "pgserver"
_OTHERS_RUN = stat.S_IROTH | stat.S_IXOTH


def owner_of(home: Path) -> tuple[int, int] | None:
    """User and group to become for a server whose folder is *home*; ``None`` when we are them already.

    Root runs it as the owner of the folder, which therefore stays usable for an ordinary user who ran first,
    and gives a folder of its own to a system user.
    """
    found, me = home.stat(), os.geteuid()
    if me == found.st_uid != 0:
        return None
    if me != 0:
        raise EmbeddedPostgresUnavailable(
            f"{home} belongs to user {name_of(found.st_uid)} and this process runs as {name_of(me)}"
        )
    if found.st_uid != 0:
        return found.st_uid, found.st_gid
    owner = _system_user()
    os.chown(home, *owner)
    return owner


def name_of(user: int) -> str:
    """A user's name, or the number of one who has none."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)


def let_in(user: int, folder: Path) -> None:
    """Let a user walk to a folder, below /root say; what else is in those above stays unseen."""
    for place in (folder, *folder.parents):
        found = place.stat()
        if found.st_uid != user and not found.st_mode & stat.S_IXOTH:
            _log.warning("chmod o+x %s: PostgreSQL's user %s must get to %s", place, name_of(user), folder)
            place.chmod(stat.S_IMODE(found.st_mode) | stat.S_IXOTH)


def make_runnable(user: int, installation: Path) -> None:
    """Let a user run PostgreSQL's programs when they were installed under a strict umask."""
    found = (installation / "bin" / "postgres").stat()
    if found.st_uid == user or found.st_mode & _OTHERS_RUN == _OTHERS_RUN:
        return
    package = installation.parent
    for tree in package, package.with_name(f"{package.name}.libs"):  # the libraries that auditwheel has added
        _log.warning("chmod -R o+rX %s: PostgreSQL's user %s must run it", tree, name_of(user))
        for place in (tree, *tree.rglob("*")) if tree.exists() else ():
            if not place.is_symlink():
                mode = stat.S_IMODE(place.stat().st_mode)
                place.chmod(mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0))


def _system_user() -> tuple[int, int]:
    with locked(Path("/etc/passwd")):  # of two useradd at once, the second fails
        with suppress(KeyError):
            return pwd.getpwnam(_SYSTEM_USER)[2:4]
        useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
        if useradd is None:
            raise EmbeddedPostgresUnavailable(
                f"PostgreSQL refuses to run as root, and there is neither a user {_SYSTEM_USER} nor useradd"
            )
        made = subprocess.run(  # noqa: S603
            [useradd, "--system", "--user-group", "--no-create-home", "--shell=/bin/false", _SYSTEM_USER],
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        if made.returncode:
            raise EmbeddedPostgresUnavailable(f"user {_SYSTEM_USER} cannot be made: {made.stdout.strip()}")
        return pwd.getpwnam(_SYSTEM_USER)[2:4]
