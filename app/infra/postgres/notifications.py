"""PostgresNotifications: LISTEN on a connection of its own, in a thread of its own."""

import logging
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, func, select

from app.domain.identifiers import TaskId
from app.infra.postgres.hints import SCHEDULES, WAITING, cancelled_in, channel_of
from app.infra.postgres.tables import SCHEMA

_log = logging.getLogger("app.worker")

PROBE_TIMEOUT = 3.0
"""Seconds a notification may take from one connection to the other before the listener is taken for deaf."""
DEAF_RETRY = 60.0
"""Seconds until a deaf listener tries again: poolers get reconfigured, and failovers pass."""
PULSE = 30.0
"""Seconds of silence after which the listening connection is asked whether it still lives."""
_STEP = 0.25
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
# Names hold no control characters, so no queue can be mistaken for this.
_PROBE = "\x01probe "


class PostgresNotifications:
    """Implements domain.notifications.Notifications.

    On every new connection it sends itself a notification through another one: a transaction pooler accepts LISTEN
    and delivers nothing, and only a try can tell.
    """

    def __init__(
        self,
        engine: Engine,
        schema: str = SCHEMA,
        *,
        channel: str | None = None,
        otherwise: str = "new tasks are found by polling, at every WORKER_POLL_INTERVAL",
        on_waiting: Callable[[], None] = lambda: None,
    ) -> None:
        """On the workers' channel unless another is said; *otherwise* is what happens when nothing is heard there.
        *on_waiting* is called when somebody says that they wait for results."""
        self._engine = engine
        self._channel = channel or channel_of(schema)
        self._otherwise = otherwise
        self._on_waiting = on_waiting
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._on_wake: Callable[[str], None] = lambda queue: None
        self._on_cancel: Callable[[Sequence[TaskId]], None] = lambda task_ids: None
        self._on_schedules: Callable[[], None] = lambda: None
        self._hears: bool | None = None

    @property
    def hears(self) -> bool | None:
        return self._hears

    def start(
        self,
        on_wake: Callable[[str], None],
        on_cancel: Callable[[Sequence[TaskId]], None] = lambda task_ids: None,
        on_schedules: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_wake, self._on_cancel, self._on_schedules = on_wake, on_cancel, on_schedules
        self._thread = threading.Thread(target=self._run, name="app-notifications", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def probe(self) -> bool:
        """Whether notifications arrive at all on connections of this engine; takes up to three seconds."""
        with self._listening() as connection:
            return self._hears_itself(connection)

    def _run(self) -> None:
        pause = _FIRST_PAUSE
        while not self._stopping.is_set():
            try:
                with self._listening() as connection:
                    pause = _FIRST_PAUSE
                    self._listen(connection)
            except Exception as error:
                self._hears = None
                if pause == _FIRST_PAUSE:  # once an outage
                    _log.warning("The connection for notifications broke, polling meanwhile: %s", _line(error))
                self._stopping.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    def _listen(self, connection: Any) -> None:
        # Whatever was announced while nobody listened is found by looking; cancels, by the heartbeat.
        self._on_wake("")
        self._on_schedules()
        hears = self._hears_itself(connection)
        if self._stopping.is_set():  # maybe in the middle of finding out
            return
        self._hears = hears
        if not hears:
            _log.warning(
                "Notifications do not arrive over this connection (a transaction pooler in between?): %s.",
                self._otherwise,
            )
            self._stopping.wait(DEAF_RETRY)
            return
        heard = time.monotonic()
        while not self._stopping.is_set():
            for notification in connection.notifies(timeout=_STEP):
                heard = time.monotonic()
                self._hear(notification.payload)
                if self._stopping.is_set():
                    return
            if time.monotonic() - heard > PULSE:
                connection.execute("SELECT 1")
                heard = time.monotonic()

    def _hears_itself(self, connection: Any) -> bool:
        token = f"{_PROBE}{uuid.uuid4().hex}"
        with self._engine.connect() as other, other.begin():
            other.execute(select(func.pg_notify(self._channel, token)))
        deadline = time.monotonic() + PROBE_TIMEOUT
        while time.monotonic() < deadline and not self._stopping.is_set():
            heard = False
            # Not left in the middle: psycopg forgets what else came in the same packet.
            for notification in connection.notifies(timeout=_STEP, stop_after=1):
                heard = heard or notification.payload == token
                self._hear(notification.payload)
            if heard:
                return True
        return False

    def _hear(self, payload: str) -> None:
        if payload == WAITING:
            self._on_waiting()
        elif payload == SCHEDULES:
            self._on_schedules()
        elif (cancelled := cancelled_in(payload)) is not None:
            self._on_cancel(cancelled)
        elif not payload.startswith(_PROBE):
            self._on_wake(payload)

    @contextmanager
    def _listening(self) -> Iterator[Any]:
        """A psycopg connection taken out of the pool, in autocommit, listening."""
        pooled = self._engine.raw_connection()
        connection: Any = pooled.driver_connection
        pooled.detach()
        try:
            connection.autocommit = True
            connection.execute(f'LISTEN "{self._channel}"')
            yield connection
        finally:
            connection.close()


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
