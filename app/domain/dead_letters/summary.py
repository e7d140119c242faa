"""LetterSummary: how many dead letters there are of which kind."""

from dataclasses import dataclass
from datetime import datetime

from app.domain.tasks.deaths import DeathReason


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterGroup:
    """The dead letters of one type that died for the same reason.

    ``looping`` of them were requeued so often that they are left where they are, unless somebody insists.
    """

    type: str
    reason: DeathReason
    number: int
    oldest: datetime
    newest: datetime
    looping: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class LetterSummary:
    """How many dead letters there are of those that are meant, in groups by type and reason."""

    groups: tuple[LetterGroup, ...] = ()

    @property
    def total(self) -> int:
        return sum(group.number for group in self.groups)

    @property
    def looping(self) -> int:
        return sum(group.looping for group in self.groups)

    @property
    def oldest(self) -> datetime | None:
        return min((group.oldest for group in self.groups), default=None)

    @property
    def newest(self) -> datetime | None:
        return max((group.newest for group in self.groups), default=None)
