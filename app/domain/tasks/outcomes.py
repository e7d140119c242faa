"""How an attempt ended: the values a settlement stores."""

from dataclasses import dataclass

from app.domain.json import JsonText
from app.domain.tasks.deaths import EXHAUSTED, Death
from app.domain.tasks.failures import Failure
from app.domain.tasks.status import Transition


@dataclass(frozen=True, slots=True)
class Completed:
    """The handler returned *result*."""

    result: JsonText


@dataclass(frozen=True, slots=True)
class Failed:
    """No further attempt: out of attempts, or the handler said so."""

    failure: Failure
    death: Death = EXHAUSTED


@dataclass(frozen=True, slots=True)
class RetryIn:
    """The attempt failed and another follows after *delay* seconds."""

    failure: Failure
    delay: float


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The handler cancelled its own task."""

    reason: str


@dataclass(frozen=True, slots=True)
class Snoozed:
    """Not yet: the task comes back after *delay* seconds and no attempt is spent."""

    delay: float


@dataclass(frozen=True, slots=True)
class Released:
    """The worker gives the task back untouched: nothing failed, no attempt is spent."""


Outcome = Completed | Failed | RetryIn | GivenUp | Snoozed | Released

TRANSITION_OF: dict[type[Outcome], Transition] = {
    Completed: Transition.COMPLETE,
    Failed: Transition.FAIL,
    RetryIn: Transition.PUT_BACK,
    GivenUp: Transition.GIVE_UP,
    Snoozed: Transition.PUT_BACK,
    Released: Transition.PUT_BACK,
}
