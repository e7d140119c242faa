"""Outcome: how one attempt went that was made here and now, or in somebody's sight."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from app.domain.tasks.task import WorkerTask

R_co = TypeVar("R_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Generic[R_co]):
    """What came of an attempt: its ``result``, or the ``error`` that it raised.

    ``task`` is the task afterwards; one that was not stored is marked as it would have been. ``duration`` is seconds.
    """

    result: R_co | None
    error: BaseException | None
    task: WorkerTask
    duration: float

    @property
    def succeeded(self) -> bool:
        return self.error is None

    def unwrap(self) -> R_co:
        """The result; raises the error where there is one."""
        if self.error is not None:
            raise self.error
        return self.result  # type: ignore[return-value]  # without an error it is what the handler returned
