"""The facts that check has found, as lines for people."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.domain.health import ClockDifference, HolderKind, Snapshot, Snapshots, UpkeepStep, WaitingQueue
from app.domain.workers import LiveWorker

_MAX_SHOWN = 10
_HEARS = {True: "arrive", False: "do not arrive", None: "unknown"}


def facts_table(facts: Mapping[str, Any]) -> str:
    """A line for each fact that there is."""
    lines = [
        ("schema", facts["schema"]),
        ("connection", facts["connection"] or "unknown"),
        ("notifications", _HEARS[facts["notifications"]]),
    ]
    if "workers" in facts:
        lines += [
            ("workers", _workers(facts["workers"])),
            ("oldest ready", _waiting(facts["waiting_queues"])),
            ("snapshot", _snapshot(facts["snapshots"])),
            ("dead rows", _dead(facts["dead_rows"])),
            ("upkeep", _upkeep(facts["upkeep"])),
            ("clock", _clock(facts["clock"])),
        ]
        lines += [("not visible", what) for what in facts["snapshots"].unseen]
        lines += [("note", note) for note in facts["notes"]]
    return "\n".join(f"  {name:<14}{value}" for name, value in lines)


def _workers(workers: Sequence[LiveWorker]) -> str:
    alive = [worker.node.id for worker in workers if not worker.is_late]
    late = [worker.node.id for worker in workers if worker.is_late]
    told = f"{len(alive)} alive" + (f": {_some(alive)}" if alive else "")
    return told + (f"; late: {_some(late)}" if late else "")


def _waiting(queues: Sequence[WaitingQueue]) -> str:
    return _some([f"{waiting.queue} {waiting.oldest_seconds:.0f} s" for waiting in queues]) or "none"


def _snapshot(snapshots: Snapshots) -> str:
    oldest = snapshots.oldest
    if oldest is None:
        return "none open elsewhere"
    known = [
        f"{oldest.kind} {oldest.name if oldest.kind in (HolderKind.SLOT, HolderKind.PREPARED) else oldest.pid}",
        _age(oldest),
        f"application {oldest.name!r}" if oldest.kind in (HolderKind.SESSION, HolderKind.REPLICA) else "",
        f"user {oldest.user}" if oldest.user else "",
        oldest.state or "",
        f"{oldest.query_seconds:.0f} s ago: {oldest.query}"
        if oldest.query and oldest.query_seconds is not None
        else "",
    ]
    return ", ".join(fact for fact in known if fact)


def _age(snapshot: Snapshot) -> str:
    if snapshot.seconds is None:
        return f"for {snapshot.transactions:,} transactions"
    return f"for {snapshot.seconds:.0f} s"


def _dead(rows: Mapping[str, Any] | None) -> str:
    if rows is None:
        return "none"
    vacuum = "no vacuum yet" if rows["vacuum_seconds"] is None else f"last vacuum {rows['vacuum_seconds']:.0f} s ago"
    return f"{rows['dead']:,} ({rows['share']:.0%}) of tasks, {vacuum}; autovacuum comes from {rows['threshold']:,} on"


def _upkeep(steps: Sequence[UpkeepStep] | None) -> str:
    if not steps:
        return "nothing noted yet" if steps is not None else "none"
    seconds = [step.seconds for step in steps if step.seconds is not None]
    failing = [step.name for step in steps if step.error]
    if len(seconds) < len(steps):
        told = "some steps have never gone through"
    else:
        told = f"every step went through within the last {max(seconds):.0f} s"
    return told + (f"; trouble with: {_some(failing)}" if failing else "")


def _clock(clock: ClockDifference) -> str:
    way = "behind" if clock.seconds > 0 else "ahead of"
    return f"this machine is {abs(clock.seconds):.3f} s {way} the database, give or take {clock.error:.3f} s"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _MAX_SHOWN
    return ", ".join(names[:_MAX_SHOWN]) + (f" and {more} more" if more > 0 else "")
