"""What PostgreSQL does for our statements: the plans it makes of them and the pages it reads."""

from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, event

Node = dict[str, Any]


class Plan:
    """How one statement was carried out."""

    def __init__(self, root: Node) -> None:
        self._root = root

    @property
    def nodes(self) -> list[Node]:
        return list(_below(self._root))

    @property
    def read_through(self) -> list[str]:
        """The tables of tasks that were read from end to end, but for empty ones, such as the days to come."""
        scans = [node["Relation Name"] for node in self.nodes if node["Node Type"] == "Seq Scan" and _pages(node)]
        return [name for name in scans if name != "workers"]

    @property
    def indexes(self) -> set[str]:
        return {node["Index Name"] for node in self.nodes if "Index Name" in node}

    @property
    def whole_indexes(self) -> set[str]:
        """Indexes that were read from their start, and not where a condition says."""
        return {node["Index Name"] for node in self.nodes if "Index Name" in node and "Index Cond" not in node}

    @property
    def sorted(self) -> int:
        """How many rows went into sorts."""
        sorts = [node for node in self.nodes if "Sort" in node["Node Type"]]
        return sum(int(node["Plans"][0]["Actual Rows"] * node["Plans"][0]["Actual Loops"]) for node in sorts)

    @property
    def buffers(self) -> int:
        """How many times a page was looked at."""
        return int(self._root["Shared Hit Blocks"] + self._root["Shared Read Blocks"])


def plans_of(connection: Connection, work: Callable[[], object]) -> list[Plan]:
    """The plans of all statements that *work* runs on *connection*, which is as it was afterwards."""
    run: list[tuple[str, Any]] = []

    def note(*what: Any) -> None:
        _, _, statement, parameters, *_ = what
        run.append((statement, parameters))

    trying = connection.begin_nested()
    event.listen(connection, "before_cursor_execute", note)
    try:
        work()
    finally:
        event.remove(connection, "before_cursor_execute", note)
    trying.rollback()
    return [_explained(connection, *each) for each in run]


def _explained(connection: Connection, statement: str, parameters: Any) -> Plan:
    trying = connection.begin_nested()
    [found] = connection.exec_driver_sql(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}", parameters
    ).scalar_one()
    trying.rollback()
    return Plan(found["Plan"])


def _below(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _below(child)


def _pages(node: dict[str, Any]) -> int:
    pages: int = node["Shared Hit Blocks"] + node["Shared Read Blocks"]
    return pages
