"""Folders for embedded servers, with users who come and go."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import pytest

from app.infra.embedded import Cluster
from app.infra.embedded.access import let_in
from app.infra.embedded.programs import shipped
from tests.infra.embedded.users import ORDINARY, ROOT, User


@pytest.fixture
def folder(server_folder: Path) -> Iterator[Path]:
    """A folder for data that all accounts get to, with a short path; no server in it survives the test."""
    folder = server_folder / uuid4().hex[:8]
    folder.mkdir(mode=0o711)
    if ROOT:
        let_in(ORDINARY, next(iter(shipped().values())))
    yield folder
    for data in folder.glob("**/cluster"):
        cluster = Cluster(data.parent)
        cluster.prepare()
        cluster.stop("immediate")
    shutil.rmtree(folder)


@pytest.fixture
def home(folder: Path) -> Path:
    """Where the data go, which any account may make; not there yet."""
    place = folder / "project"
    place.mkdir()
    place.chmod(0o777)
    return place / ".data" / "postgres"


@pytest.fixture
def use(home: Path) -> Iterator[Callable[[int], User]]:
    """Makes users of ``home``, of whom none outlives the test."""
    with ExitStack() as users:

        def make(account: int) -> User:
            user = User(home, account)
            users.callback(user.process.communicate)
            users.callback(user.process.kill)
            return user

        yield make
