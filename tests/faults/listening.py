"""A worker as an application would start it, which writes down every event that it is told."""

import logging
import os

from app import TaskEvent, TaskQueueContainer
from app.domain.tasks.events import EVENTS
from app.infra.settings import Settings
from app.worker.process import run_process
from tests.faults.jobs import jobs
from tests.faults.ledger import Ledger


def main() -> None:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s  %(message)s")
    ledger = Ledger(os.environ["FAULTS_LEDGER"])

    def write_down(sender: str, event: TaskEvent) -> None:
        ledger.write(event.task.id, f"told {event.signal}", os.getpid())

    tasks = TaskQueueContainer(settings=Settings(), jobs=jobs)
    for kind in EVENTS:
        getattr(tasks.signals(), kind.signal).connect(write_down)
    run_process(tasks.worker(), drain=False, aclose=tasks.aclose)
    tasks.close()


if __name__ == "__main__":
    main()
