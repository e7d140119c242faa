"""Rounds: the run itself, case by case, the systems taking turns."""

import platform
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
import psycopg

from benchmarks.cases import CASES, QUICK_SECONDS, Case, sized
from benchmarks.environments import CannotInstall, python_of
from benchmarks.measuring import MeasurementFailed, measure
from benchmarks.observer import Observations
from benchmarks.server import Server
from benchmarks.spreads import short


class Run:
    """One run: what was asked of it, and what has been found so far. ``scale`` None is that of a quick run."""

    def __init__(
        self, systems: Sequence[str], cases: Sequence[str], rounds: int, scale: float | None, *, verbose: bool = False
    ) -> None:
        self._verbose = verbose
        self._cases = [CASES[name] for name in cases]
        self._rounds = rounds
        self._scale = scale
        self._began = monotonic()
        self._pythons: dict[str, Path] = {}
        self._broken: dict[tuple[str, str], str] = {}
        self._templates: set[str] = set()
        self.results: dict[str, Any] = {
            "kind": "quick" if scale is None else "bench" if scale == 1 else f"scale {scale:g}",
            "started": datetime.now(UTC).isoformat(timespec="seconds"),
            "rounds": rounds,
            "machine": {
                "cores": psutil.cpu_count(),
                "processor": _processor(),
                "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
                "system": platform.platform(),
                "python": platform.python_version(),
                "load_at_start": psutil.getloadavg()[0],
            },
            "systems": {system: {} for system in systems},
            "cases": {
                case.name: {"title": sized(case, "ours", scale).titled(case), "quick": scale is None}
                for case in self._cases
            },
            "measurements": [],
        }

    def tell(self, text: str) -> None:
        """Progress, with the time since the start."""
        minutes, seconds = divmod(int(monotonic() - self._began), 60)
        print(f"[{minutes:3}:{seconds:02}] {text}", file=sys.stderr, flush=True)

    def prepare(self) -> None:
        """Make the environments; a system that has none here is out, and the results say why."""
        for system, about in self.results["systems"].items():
            try:
                self._pythons[system] = python_of(system, self.tell)
                about.update(measure(self._pythons[system], system, "describe"))
            except (CannotInstall, MeasurementFailed) as error:
                self._gives_up(system, f"has no environment here: {error}")
        self._began = monotonic()

    def install(self, server: Server) -> None:
        """Make each system's empty schema once; every measurement gets a copy."""
        self.results["server"] = server.facts()
        for system in self._pythons:
            self.tell(f"schema of {system}")
            database = server.create(system)
            try:
                measure(self._pythons[system], system, "install", url=server.url_of(database))
            except MeasurementFailed as error:
                self._gives_up(system, f"its schema cannot be made: {error}")

    def measure(self, server: Server) -> None:
        quick = self._scale is None
        systems = list(self.results["systems"])
        for number in range(1, self._rounds + 1):
            # Each round another one goes first.
            turn = systems[(number - 1) % len(systems) :] + systems[: (number - 1) % len(systems)]
            for case in self._cases:
                if case.rounds is None or number <= case.rounds:
                    for system in case.taking_part(turn, quick=quick):
                        self._measure(server, case, system, number)
        self.results["finished"] = datetime.now(UTC).isoformat(timespec="seconds")
        self.results["machine"]["load_at_end"] = psutil.getloadavg()[0]

    def _measure(self, server: Server, case: Case, system: str, number: int) -> None:
        about = {"system": system, "case": case.name, "round": number}
        what = f"round {number}/{self._rounds}  {case.name:12} {system:14}"
        if reason := self.results["systems"][system].get("cannot", {}).get(case.name):
            self._found(about | {"cannot": reason})
            return
        if reason := self._broken.get((system, "")) or self._broken.get((system, case.name)):
            self._found(about | {"failed": reason})
            return
        if self._scale is None and monotonic() - self._began > QUICK_SECONDS:
            self._found(about | {"cannot": "be measured in this run: the machine was too busy for all in five minutes"})
            return
        size, began = sized(case, system, self._scale), monotonic()
        try:
            template = system
            if size.backlog:
                made_by = CASES[case.backlog_of or case.name]
                template = f"{system}.{made_by.name}"
                self._prepare_backlog(server, made_by, system, template)
            values = self._in_a_copy(server, case, case.name, system, into=f"{system}.now", template=template)
            server.drop(f"{system}.now")
        except (MeasurementFailed, psycopg.Error) as error:
            self._broken[system, case.name] = str(error).strip()
            self._found(about | {"failed": str(error).strip()})
            self.tell(f"{what} FAILED: {str(error).strip()}")
            return
        about |= {"size": size.size, "seconds": round(monotonic() - began, 2), "values": values}
        self._found(about)
        told = "  ".join(_told(figure.title, values.get(figure.key), figure.unit) for figure in case.figures)
        self.tell(f"{what} {told}   ({about['seconds']:.1f} s)")

    def _prepare_backlog(self, server: Server, case: Case, system: str, template: str) -> None:
        if template not in self._templates:
            self.tell(f"backlog of {sized(case, system, self._scale).backlog:,}: {template}")
            self._in_a_copy(server, case, f"{case.name}.prepare", system, into=template, template=system)
            self._templates.add(template)

    def _in_a_copy(
        self, server: Server, case: Case, workload: str, system: str, *, into: str, template: str
    ) -> dict[str, Any]:
        database = server.create(into, template)
        with closing(Observations(server, database, self.tell)) as observations:
            return measure(
                self._pythons[system], system, workload, url=server.url_of(database),
                sized=sized(case, system, self._scale), limit=case.limit, observations=observations,
                verbose=self._verbose,
            )  # fmt: skip

    def _gives_up(self, system: str, reason: str) -> None:
        self._broken[system, ""] = reason
        self.results["systems"][system]["problem"] = reason
        self.tell(f"{system} {reason}")

    def _found(self, measurement: dict[str, Any]) -> None:
        self.results["measurements"].append(measurement)


def _told(title: str, value: float | None, unit: str) -> str:
    return f"{title} {'—' if value is None else short(value)} {unit}".strip()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown")
