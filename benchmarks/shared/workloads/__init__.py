"""The workloads W1 to W11, each written once for all systems."""

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from benchmarks.shared.system import Context
from benchmarks.shared.workloads.backlog import drain_beside_a_backlog, prepare_a_backlog
from benchmarks.shared.workloads.cost import cost
from benchmarks.shared.workloads.drain import drain
from benchmarks.shared.workloads.enqueue import bulk, one_at_a_time
from benchmarks.shared.workloads.horizon import held_horizon
from benchmarks.shared.workloads.latency import pick_up, steady
from benchmarks.shared.workloads.memory import memory
from benchmarks.shared.workloads.statistics import statistics

SHAPES = ("scheduled", "priority", "queue", "history")

WORKLOADS: dict[str, Callable[[Context], Coroutine[Any, Any, dict[str, Any]]]] = {
    "W1": partial(one_at_a_time, producers=1),
    "W1x10": partial(one_at_a_time, producers=10),
    "W2": bulk,
    "W3": drain,
    "W3b": partial(drain, processes=2),
    "W4": pick_up,
    "W5.empty": partial(drain_beside_a_backlog, shape=""),
    **{f"W5.{shape}": partial(drain_beside_a_backlog, shape=shape) for shape in SHAPES},
    **{f"W5.{shape}.prepare": partial(prepare_a_backlog, shape=shape) for shape in SHAPES},
    "W6": steady,
    "W7": partial(drain, sync=True),
    "W8": held_horizon,
    "W9": cost,
    "W10": memory,
    "W11": statistics,
}
"""By name; each returns its figures, and details that nobody ranks."""
