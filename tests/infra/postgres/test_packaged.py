"""The installed package: its migrations come along, and it needs nothing of the checkout."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
HEAD = max(path.name[:4] for path in (ROOT / "alembic" / "versions").glob("0*.py"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Our wheel, built without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    [wheel] = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment in which the wheel is installed, and its dependencies are found."""
    home = tmp_path_factory.mktemp("installed")
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", "--quiet"]
    subprocess.run([*install, str(wheel)], check=True, capture_output=True)
    # A path in a .pth file is searched, and the .pth files there are not read: ours, which leads to the checkout.
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return python.parent


def test_the_wheel_holds_the_package_and_its_migrations_alone(wheel: Path) -> None:
    """
    The migrations inside the package; no tests, and no folder beside it that would shadow Alembic.
    """
    names = zipfile.ZipFile(wheel).namelist()

    migrations = {name for name in names if name.startswith("app/alembic/versions/")}
    files = [path for kind in ("py", "sql") for path in ROOT.glob(f"alembic/versions/**/*.{kind}")]
    assert {f"app/{path.relative_to(ROOT)}" for path in files} == migrations
    assert {"app/py.typed", "app/alembic/env.py"} <= {*names}
    assert [] == [name for name in names if not name.startswith(("app/", "app_task_queue-"))]


def test_an_installed_queue_migrates_and_works(programs: Path, empty_database_url: str, tmp_path: Path) -> None:
    """
    Far from any checkout, by its script and as a module.
    """

    def run(program: str, *arguments: str) -> Any:
        environment = {"DATABASE_URL": empty_database_url, "PATH": ""}
        command = [str(programs / program), *arguments, "--json"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
        assert (0, "") == (done.returncode, done.stderr)
        return json.loads(done.stdout)

    migrated = run("task-queue", "migrate")
    counted = run("python", "-m", "app", "stats")

    assert {"before": None, "after": HEAD, "changed": True} == migrated
    assert 0 == counted["total"]


def test_an_installed_queue_is_the_installed_one(programs: Path, tmp_path: Path) -> None:
    """
    The checkout of these tests is not what was tested.
    """
    ask = "from importlib.util import find_spec; print(find_spec('app').origin)"

    said = subprocess.run([programs / "python", "-c", ask], check=True, capture_output=True, text=True, cwd=tmp_path)

    assert Path(said.stdout).is_relative_to(programs.parent)
