"""The cases: which workloads a run measures, how large, and what their figures mean."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One number of a case. ``key`` is its name in the results; ``better`` is ``more``, ``less``, or nothing where
    there is no better, and so no ratio; only those that are ``drawn`` are in the chart.
    """

    key: str
    title: str
    unit: str
    better: str = "more"
    drawn: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One workload. ``size``, ``seconds`` and ``backlog`` are those of a full run; ``limit`` is the longest that one
    measurement may take, in seconds.

    ``quick`` is the scale of a quick run, and no scale goes below ``least_size`` and ``least_seconds``. ``rounds``
    bounds the run's rounds; ``systems`` and ``quick_systems`` are those that take part, all unless said. ``backlog_of``
    names the case whose backlog this one shares.
    """

    name: str
    title: str
    figures: Sequence[Figure]
    size: int = 0
    rate: float = 0
    seconds: float = 0
    backlog: int = 0
    backlog_of: str = ""
    quick: float = 0.2
    least_size: int = 0
    least_seconds: float = 0
    limit: float = 600
    rounds: int | None = None
    systems: Sequence[str] | None = None
    quick_systems: Sequence[str] | None = None

    def taking_part(self, systems: Sequence[str], *, quick: bool) -> list[str]:
        allowed = self.quick_systems if quick and self.quick_systems else self.systems
        return [system for system in systems if allowed is None or system in allowed]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """How large a case is in this run, for one system."""

    size: int
    rate: float
    seconds: float
    backlog: int

    def titled(self, case: Case) -> str:
        return case.title.format(size=self.size, rate=self.rate, seconds=self.seconds, backlog=self.backlog)


SLOW = {"procrastinate": 0.1, "dbos": 0.1}
"""The share of a quick run's tasks that these systems get: their rates do not depend on it, the run's length does."""

_QUICK_BACKLOG = 0.02
QUICK_SECONDS = 270.0
"""After that nothing more is begun in a quick run: on an idle machine of two cores it is through by then."""


def sized(case: Case, system: str, scale: float | None) -> Sized:
    """*case* at *scale*; None is the scale of a quick run."""
    factor = case.quick if scale is None else scale
    share = SLOW.get(system, 1.0) if scale is None else 1.0
    return Sized(
        size=max(case.least_size, round(case.size * factor * share)),
        rate=case.rate,
        seconds=max(case.least_seconds, case.seconds * factor),
        backlog=max(1_000, round(case.backlog * (_QUICK_BACKLOG if scale is None else scale))) if case.backlog else 0,
    )


_OURS = ("floor", "ours")


_RATE = Figure(key="rate", title="", unit="tasks/s")


def _drain(*, drawn: bool = False, cores: bool = False) -> tuple[Figure, ...]:
    """The rate, and what a task costs the processors; with *cores*, who had how many of them meanwhile."""
    costs = tuple(
        Figure(key=f"{who}_cpu", title=f"CPU of {whose} per task", unit="µs", better="less", drawn=drawn)
        for who, whose in (("worker", "the workers"), ("database", "the database"))
    )
    shares = tuple(
        Figure(key=f"cores_{who}", title=f"cores used by {whose}", unit="", better="", drawn=False)
        for who, whose in (("workers", "the workers"), ("database", "the database"), ("watchers", "the benchmark"))
    )
    return (_RATE, *costs, *(shares if cores else ()))


CASES: dict[str, Case] = {
    case.name: case
    for case in (
        Case(name="W1", title="enqueue, 1 producer", figures=(_RATE,), seconds=10, quick=0.1, least_seconds=1),
        Case(name="W1x10", title="enqueue, 10 producers", figures=(_RATE,), seconds=10, quick=0.1, least_seconds=1),
        Case(name="W2", title="bulk enqueue of {size:,}", figures=(_RATE,), size=100_000, least_size=1_000),
        Case(name="W3", title="drain {size:,} async no-ops", figures=_drain(drawn=True), size=50_000, least_size=500),
        Case(
            name="W3b", title="drain {size:,}, two processes", figures=_drain(cores=True), size=50_000, least_size=500
        ),
        Case(
            name="W4",
            title="pick-up, {size:,} tasks at {rate:g}/s",
            figures=(
                Figure(key="p50", title="p50", unit="ms", better="less"),
                Figure(key="p99", title="p99", unit="ms", better="less"),
            ),
            size=500,
            rate=20,
            quick=0.1,
            least_size=40,
        ),
        Case(
            name="W5.empty",
            title="drain {size:,}, no backlog",
            figures=(_RATE,),
            size=20_000,
            least_size=500,
            systems=_OURS,
        ),
        *(
            Case(
                name=f"W5.{shape}",
                title=f"drain {{size:,}} beside {words}",
                figures=(_RATE,),
                size=20_000,
                least_size=500,
                backlog=1_000_000,
                systems=_OURS,
                limit=1200,
            )
            for shape, words in (
                ("scheduled", "{backlog:,} far ahead"),
                ("priority", "{backlog:,} less urgent"),
                ("queue", "{backlog:,} on another queue"),
                ("history", "{backlog:,} in history"),
            )
        ),
        Case(
            name="W6",
            title="{rate:g}/s for {seconds:g} s",
            figures=(
                Figure(key="p50", title="end to end, p50", unit="ms", better="less"),
                Figure(key="p99", title="end to end, p99", unit="ms", better="less"),
                Figure(key="worker_cpu", title="CPU of the worker per 1,000", unit="s", better="less"),
                Figure(key="database_cpu", title="CPU of the database per 1,000", unit="s", better="less"),
            ),
            rate=500,
            seconds=60,
            quick=0.06,
            least_seconds=3,
        ),
        Case(name="W7", title="drain {size:,} sync no-ops", figures=_drain(), size=50_000, quick=0.1, least_size=500),
        Case(
            name="W8",
            title="transaction held for {seconds:g} s at {rate:g}/s",
            figures=(
                Figure(key="kept", title="rate at the end ÷ before", unit="×"),
                Figure(key="dead", title="dead tuples at the end", unit="", better="less"),
            ),
            size=20_000,
            rate=1_000,
            seconds=300,
            quick=0.02,
            least_size=1_000,
            least_seconds=3,
            limit=1200,
            rounds=1,
            quick_systems=_OURS,
        ),
        Case(
            name="W9",
            title="what a task costs, drain of {size:,}",
            figures=(
                Figure(key="statements", title="statements per task", unit="", better="less"),
                Figure(key="commits", title="commits per task", unit="", better="less"),
                Figure(key="round_trips", title="round trips per task", unit="", better="less"),
                Figure(key="wal", title="WAL per task", unit="bytes", better="less"),
                Figure(key="idle", title="queries of an idle worker", unit="1/s", better="less"),
            ),
            size=50_000,
            seconds=20,
            least_size=500,
            least_seconds=4,
            quick_systems=_OURS,
        ),
        Case(
            name="W10",
            title="memory of a worker over {size:,}",
            figures=(
                Figure(key="growth", title="at the end ÷ after a tenth", unit="×", better="less"),
                Figure(key="memory", title="at the end", unit="MiB", better="less"),
            ),
            size=1_000_000,
            quick=0.02,
            least_size=2_000,
            limit=1200,
            rounds=1,
            systems=("ours", "awa", "pgqueuer"),
            quick_systems=("ours",),
        ),
        Case(
            name="W11",
            title="statistics with {backlog:,} in history",
            figures=(
                Figure(key="p50", title="p50", unit="ms", better="less"),
                Figure(key="p99", title="p99", unit="ms", better="less"),
            ),
            backlog=1_000_000,
            backlog_of="W5.history",
            limit=1200,
            systems=("ours",),
        ),
    )
}
