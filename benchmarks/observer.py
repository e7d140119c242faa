"""The run's end of the observer: answers what a system's process asks about its database and the machine."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from time import process_time
from typing import Any

import psutil
import psycopg

from benchmarks.server import Server

_CONTROL = re.compile(r"(?:BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|START TRANSACTION|ABORT)\b", re.IGNORECASE)


class Observations:
    """What can be asked about *database*, for as long as one measurement takes."""

    def __init__(self, server: Server, database: str, tell: Callable[[str], None]) -> None:
        self._server = server
        self._database = database
        self._tell = tell
        self._connection = server.connect(database)
        self._postmaster = server.postmaster()
        self._holder: psycopg.Connection[Any] | None = None
        self._asked = 0
        self._counts_statements = False

    def answer(self, question: dict[str, Any]) -> Any:
        """Answer one question, a name of this class without the underscore, and its parameters."""
        name = question.pop("ask")
        answers: dict[str, Callable[..., Any]] = {
            "count": self._count,
            "analyze": self._analyze,
            "cpu": self._cpu,
            "memory": self._memory,
            "counters": self._counters,
            "count_statements": self._count_statements,
            "hold": self._hold,
            "release": self._release,
            "dead_tuples": self._dead_tuples,
            "tell": self._tell,
        }
        return answers[name](**question)

    def close(self) -> None:
        self._release()
        self._connection.close()

    def _query(self, query: str) -> list[tuple[Any, ...]]:
        self._asked += 1
        return self._connection.execute(query.encode()).fetchall()

    def _count(self, query: str) -> int:
        return int(self._query(query)[0][0])

    def _analyze(self, vacuum: bool) -> None:
        self._asked += 1
        self._connection.execute("VACUUM ANALYZE" if vacuum else "ANALYZE")

    def _cpu(self, pids: list[int]) -> dict[str, float]:
        # A backend that has ended is in its parent's account of children.
        ended = self._postmaster.cpu_times()
        database = ended.children_user + ended.children_system
        database += sum(map(_used, _family(self._postmaster)))
        return {
            "workers": sum(_used(process) for pid in pids for process in _family(psutil.Process(pid))),
            "database": database,
            "run": process_time(),
        }

    def _memory(self, pids: list[int]) -> int:
        return sum(_private(process) for pid in pids for process in _family(psutil.Process(pid)))

    def _counters(self) -> dict[str, float | None]:
        # Our own share is taken off, so it must be on record.
        self._query("SELECT pg_stat_force_next_flush()")
        [(commits, wal)] = self._server.query(
            "SELECT xact_commit, pg_current_wal_lsn() - '0/0'::pg_lsn FROM pg_stat_database WHERE datname = %s",
            self._database,
        )
        statements, controls = self._statements() if self._counts_statements else (None, None)
        return {
            "commits": float(commits - self._asked),
            "wal": float(wal),
            "statements": statements,
            "controls": controls,
        }

    def _count_statements(self) -> None:
        if self._server.log is None:
            return  # somebody else's server: its log is not ours to read
        for setting in ("log_statement = 'all'", "log_duration = off"):
            self._asked += 1
            self._connection.execute(f'ALTER DATABASE "{self._database}" SET {setting}'.encode())
        self._counts_statements = True

    def _statements(self) -> tuple[float, float]:
        """Statements, and controls of transactions, that the log has of this database."""
        assert self._server.log is not None
        statements = controls = 0
        line = re.compile(rf"^\S+ \S+ \S+ \[\d+\] db={re.escape(self._database)} LOG:  (?:statement|execute \S+): (.*)")
        with self._server.log.open(errors="replace") as log:
            for match in filter(None, map(line.match, log)):
                if _CONTROL.match(match[1]):
                    controls += 1
                else:
                    statements += 1
        return float(statements), float(controls)

    def _hold(self) -> None:
        self._holder = self._server.connect(self._database)
        self._holder.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self._holder.execute("SELECT pg_current_xact_id(), count(*) FROM pg_class")

    def _release(self) -> None:
        if self._holder is not None:
            self._holder.close()
            self._holder = None

    def _dead_tuples(self) -> int:
        # ANALYZE counts them now; what the statistics hold otherwise is as old as the last autovacuum's visit.
        self._analyze(vacuum=False)
        return self._count("SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables")


def _family(process: psutil.Process) -> Iterator[psutil.Process]:
    """A process and all below it. Linux tells at once; psutil searches all processes, while something is measured."""
    yield process
    if not Path(f"/proc/{process.pid}/task/{process.pid}/children").exists():
        yield from process.children(recursive=True)
        return
    for thread in Path(f"/proc/{process.pid}/task").glob("*/children"):
        for pid in thread.read_text().split():
            try:
                yield from _family(psutil.Process(int(pid)))
            except psutil.NoSuchProcess:
                continue


def _private(process: psutil.Process) -> int:
    """Bytes of its memory that no file and no other process holds."""
    memory = process.memory_info()
    return int(memory.rss - getattr(memory, "shared", 0))


def _used(process: psutil.Process) -> float:
    try:
        used = process.cpu_times()
    except psutil.NoSuchProcess:
        return 0.0
    return float(used.user + used.system)
