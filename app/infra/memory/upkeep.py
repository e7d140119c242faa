"""MemoryUpkeep: in memory there is nothing to keep up."""

from collections.abc import Sequence
from datetime import date

from app.domain.upkeep import StepDone


class MemoryUpkeep:
    """Implements Upkeep and Vacuum."""

    def make_days(self, ahead: int) -> Sequence[date]:
        return []

    def drop_days(self) -> Sequence[date]:
        return []

    def fold_tallies(self) -> int:
        return 0

    def note(self, done: Sequence[StepDone]) -> None:
        pass

    def vacuum_if_late(self) -> Sequence[str]:
        return []
