"""The process of one measurement: its command line, and the workload it names."""

import argparse
import os
import sys
import traceback
from importlib.metadata import version

from benchmarks.shared.observer import Observer
from benchmarks.shared.system import Context, System
from benchmarks.shared.workers import be_a_worker
from benchmarks.shared.workloads import WORKLOADS


def main(system: System) -> None:
    """Measure *system* as the command line says, or be one of its worker processes."""
    if sys.argv[1:2] == ["worker"]:
        be_a_worker(system, sys.argv[2])
        return
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.systems.{system.name}")
    parser.add_argument("workload", choices=["describe", "install", *WORKLOADS])
    parser.add_argument("--url", default="")
    parser.add_argument("--size", type=int, default=0, help="tasks")
    parser.add_argument("--rate", type=float, default=0, help="tasks a second")
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--limit", type=float, default=600, help="seconds after which a wait is given up")
    given = parser.parse_args()
    observer = Observer()
    if given.workload == "describe":
        observer.result(
            settings=system.settings,
            cannot=system.cannot,
            versions={name: version(name) for name in system.distributions},
        )
        return
    context = Context(
        system=system,
        observer=observer,
        url=given.url,
        size=given.size,
        rate=given.rate,
        seconds=given.seconds,
        limit=given.limit,
    )
    try:
        if given.workload == "install":
            system.run(system.install(given.url))
            observer.result()
        else:
            observer.result(**system.run(WORKLOADS[given.workload](context)))
    except Exception as error:
        traceback.print_exc()
        while isinstance(error, ExceptionGroup):
            error = error.exceptions[0]
        observer.result(error=f"{type(error).__name__}: {error}")
    sys.stdout.flush()
    # Some systems leave threads behind that never end.
    os._exit(0)
