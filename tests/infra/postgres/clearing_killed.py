"""A process that clears days and kills itself, as kill -9 would, when it is about to send its n-th statement."""

import itertools
import os
import signal
import sys
from datetime import datetime
from typing import Any

from sqlalchemy import create_engine, event

from app.domain.retention_rules import RetentionRules
from app.infra.postgres import clearing
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from app.worker.clearing import ClearingRounds
from tests.examples import ManualClock, Recorder


def main(url: str, moment: str, rules: str, number: int) -> None:
    clearing.MOST, clearing.PIECE = 1, 1
    engine = create_engine(url)
    sent = itertools.count(1)

    def kill(*what: Any) -> None:
        if next(sent) == number:
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(engine, "before_cursor_execute", kill)
    event.listen(engine, "commit", kill)
    clock = ManualClock(datetime.fromisoformat(moment))
    rounds = ClearingRounds(PostgresUnitOfWork(engine, None, Recorder(), clock=clock), RetentionRules.of(rules))
    rounds.round()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
