"""The import contracts, each seen to refuse the breach it exists for."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import packages_distributions
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CONTRACTS: list[dict[str, Any]] = PYPROJECT["tool"]["importlinter"]["contracts"]


@dataclass(frozen=True, slots=True)
class Breach:
    """New modules, by path and source, that the contract named must refuse."""

    contract: str
    modules: dict[str, str]


BREACHES = {
    "an inner layer imports an outer one": Breach(
        "Dependencies point inwards", {"app/usecases/planted.py": "import app.infra"}
    ),
    "one driving adapter imports another": Breach(
        "Dependencies point inwards", {"app/worker/planted.py": "import app.cli"}
    ),
    "an adapter reaches the container through the public names": Breach(
        "Dependencies point inwards", {"app/infra/planted.py": "from app import TaskQueueContainer"}
    ),
    "a package that no layer places": Breach("Dependencies point inwards", {"app/planted/__init__.py": ""}),
    "a use case imports a framework": Breach(
        "The core knows no framework", {"app/usecases/planted.py": "import sqlalchemy.exc"}
    ),
    "the domain imports a framework": Breach(
        "The core knows no framework", {"app/domain/planted.py": "import pydantic"}
    ),
    "the domain logs": Breach("The domain does nothing but think", {"app/domain/planted.py": "import logging"}),
    "the worker wires itself": Breach(
        "Only the composition root knows the container",
        {"app/worker/planted.py": "from dependency_injector.wiring import Provide"},
    ),
    "an adapter calls a use case": Breach(
        "Adapters call no use case", {"app/infra/planted.py": "import app.usecases.tasks"}
    ),
    "an adapter calls any use case at all": Breach(
        "Adapters call no use case", {"app/infra/planted.py": "from app import usecases"}
    ),
    "a part of the test kit needs pytest": Breach(
        "Only the plugin knows pytest", {"app/testing/planted.py": "import pytest"}
    ),
    "two modules import each other": Breach(
        "No cycles between siblings",
        {
            "app/domain/planted.py": "import app.domain.planted_too",
            "app/domain/planted_too.py": "import app.domain.planted",
        },
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of app/ and of the contracts, to plant breaches in."""
    shutil.copytree(ROOT / "app", tmp_path / "app", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def broken_contracts(project: Path) -> set[str]:
    """The names of the contracts that `lint-imports` finds broken in *project*."""
    outcome = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache", "--no-logo"],
        cwd=project,
        env=os.environ | {"TERM": "dumb", "COLUMNS": "120"},  # no colours and no wrapped names to parse
        capture_output=True,
        text=True,
        check=False,
    )
    verdicts = dict(re.findall(r"^(.+) (KEPT|BROKEN)", outcome.stdout, flags=re.MULTILINE))
    assert {contract["name"] for contract in CONTRACTS} == verdicts.keys(), outcome.stdout + outcome.stderr
    return {name for name, verdict in verdicts.items() if verdict == "BROKEN"}


def test_the_code_keeps_every_contract(copy: Path) -> None:
    """
    Without a planted breach nothing is broken, so what the next tests see is what they planted.
    """
    assert set() == broken_contracts(copy)


@pytest.mark.parametrize("breach", BREACHES.values(), ids=BREACHES.keys())
def test_a_breach_is_refused_by_its_contract(copy: Path, breach: Breach) -> None:
    """
    The contract that exists for this breach names it; others may see it too.
    """
    for path, source in breach.modules.items():
        planted = copy / path
        planted.parent.mkdir(exist_ok=True)
        planted.write_text(f'"""Planted."""\n\n{source}\n', encoding="utf-8")

    broken = broken_contracts(copy)

    assert breach.contract in broken


def test_every_contract_has_a_planted_breach() -> None:
    """
    A contract that nobody saw fail may be one that cannot.
    """
    configured = {contract["name"] for contract in CONTRACTS}

    assert configured == {breach.contract for breach in BREACHES.values()}


def test_every_dependency_is_forbidden_to_the_core() -> None:
    """
    Who adds a library adds it to the contract as well.
    """
    project = PYPROJECT["project"]
    declared = chain(project["dependencies"], *project["optional-dependencies"].values())
    libraries = {canonicalize_name(Requirement(line).name) for line in declared}
    importable = {
        module
        for module, distributions in packages_distributions().items()
        if not module.startswith("_") and libraries & {canonicalize_name(name) for name in distributions}
    }
    [core] = [contract for contract in CONTRACTS if contract["id"] == "core"]

    assert set() == importable - set(core["forbidden_modules"])
