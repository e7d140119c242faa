"""``python -m benchmarks``: set up the environments, run, list, or print a result again."""

import argparse
import fcntl
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import tables
from benchmarks.cases import CASES, sized
from benchmarks.environments import FOLDER, HERE, SYSTEMS, CannotInstall, python_of
from benchmarks.report import write
from benchmarks.rounds import Run
from benchmarks.server import server


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    setup = verbs.add_parser("setup", help="make the environments of the peers")
    setup.add_argument("--systems", default=",".join(SYSTEMS))
    run = verbs.add_parser("run", help="measure")
    run.add_argument("--only", default=",".join(CASES), help="cases, by name or beginning: W3,W5")
    run.add_argument("--systems", default=",".join(SYSTEMS))
    run.add_argument("--rounds", type=int, help="3 unless said, 1 for a quick run")
    run.add_argument("--scale", type=float, default=1.0, help="of sizes and durations; 1 is the full thing")
    run.add_argument("--quick", action="store_true", help="sizes for a run of five minutes")
    run.add_argument("--results", type=Path, default=HERE / "results", help="where the files go")
    run.add_argument("--verbose", action="store_true", help="also what the systems' processes complain about")
    verbs.add_parser("list", help="what there is to measure")
    show = verbs.add_parser("show", help="print a result again")
    show.add_argument("file", type=Path)
    given = parser.parse_args()
    if given.verb == "list":
        _list()
    elif given.verb == "show":
        print(tables.text(json.loads(given.file.read_text())))
    elif given.verb == "setup":
        return _setup(_chosen(parser, "system", given.systems, SYSTEMS))
    else:
        if given.scale <= 0 or (given.rounds is not None and given.rounds < 1):
            parser.error("--scale and --rounds must be more than nothing")
        rounds = given.rounds or (1 if given.quick else 3)
        systems = _chosen(parser, "system", given.systems, SYSTEMS)
        cases = _chosen(parser, "case", given.only, list(CASES))
        scale = None if given.quick else given.scale
        return _run(Run(systems, cases, rounds, scale, verbose=given.verbose), given.results)
    return 0


def _run(run: Run, folder: Path) -> int:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("A benchmark is running already", file=sys.stderr)
            return 1
        interrupted = False
        # As Ctrl-C: what was started is stopped, and what there is gets written.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            run.prepare()
            with server(FOLDER / "postgres") as postgres:
                run.install(postgres)
                run.measure(postgres)
        except KeyboardInterrupt:
            interrupted = True
    if not any("values" in one for one in run.results["measurements"]):
        print("Nothing was measured", file=sys.stderr)
        return 130 if interrupted else 1
    print(tables.text(run.results))
    for file in write(run.results, folder):
        run.tell(f"written: {file}")
    return 130 if interrupted else 0


def _setup(systems: Sequence[str]) -> int:
    code = 0
    for system in systems:
        try:
            python_of(system, lambda text: print(text, file=sys.stderr))
        except CannotInstall as error:
            print(f"{system} cannot be installed: {error}", file=sys.stderr)
            code = 1
    return code


def _list() -> None:
    print("systems:", ", ".join(SYSTEMS))
    for case in CASES.values():
        figures = ", ".join(f"{figure.title} {figure.unit}".strip() for figure in case.figures)
        only = f"  ({', '.join(case.systems)})" if case.systems else ""
        print(f"{case.name:13} {sized(case, 'ours', 1).titled(case):55} {figures}{only}")


def _chosen(parser: argparse.ArgumentParser, kind: str, text: str, allowed: Sequence[str]) -> list[str]:
    """The ones named, a beginning standing for all of them (W5), in the order they have anyway."""
    wanted = [name.strip() for name in text.split(",") if name.strip()]
    for name in wanted:
        if name not in allowed and not any(one.startswith(f"{name}.") for one in allowed):
            parser.error(f"there is no {kind} {name!r}: {', '.join(allowed)}")
    return [one for one in allowed if any(one == name or one.startswith(f"{name}.") for name in wanted)]


if __name__ == "__main__":
    sys.exit(main())
