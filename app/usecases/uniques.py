"""The verbs of uniqueness: place tasks of which one at a time is enough, and forget keys that nobody needs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from app.domain.errors import InvalidInput, QueueError
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.job import Job
from app.domain.jobs.schemas import Schemas
from app.domain.jobs.unique import Unique
from app.domain.json import decoded
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.new import NewTask
from app.domain.tasks.repository import Addition
from app.domain.tasks.status import NOT_BEGUN
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import (
    Cleared,
    Holding,
    Replacement,
    Taking,
    TaskNotUnique,
    unique_key,
)
from app.usecases.transaction import Transaction

BATCH = 1_000
"""Keys looked at by one transaction of the upkeep, so that nobody waits long for one that it is about to forget."""

MOST_LOOKS = 20
"""How often a task may begin or end, each time that it is about to be replaced, before it is left as it is."""

_REPLACING = ("replace", "debounce")


class Placed(NamedTuple):
    """The *tasks* in the order asked for; which of them are new, and which existing ones were changed.

    *keys* are those of *tasks*, None where one has none; it is empty when none has.
    """

    tasks: list[WorkerTask]
    created: list[WorkerTask]
    changed: list[WorkerTask]
    keys: list[str | None]


@dataclass(frozen=True, slots=True)
class PlaceTasks:
    """Add tasks, some of which are of jobs that say they are unique. Needs a transaction."""

    jobs: JobCatalog
    schemas: Schemas

    def __call__(self, tx: Transaction, additions: Sequence[Addition]) -> Placed:
        """Raises TaskNotUnique, and InvalidInput for a key that cannot be had or is asked for twice."""
        keys: list[str | None] = []
        wishes: dict[str, _Wish] = {}
        for addition in additions:
            job = self.jobs.get(addition.new.type)
            unique = None if job is None else job.unique
            key = None
            if job is not None and unique is not None:
                key = self._key_of(job, unique, addition.new)
                wishes.setdefault(key, _Wish(key)).asked.append((addition, unique))
            keys.append(key)
        existing, changed = _contested(tx, wishes)

        new = [
            addition if key is None else wishes[key].addition
            for key, addition in zip(keys, additions, strict=True)
            if key is None or (key not in existing and addition.id == wishes[key].taking.task_id)
        ]
        created = tx.tasks.add(new) if new else []
        stored = {task.id: task for task in created}
        tasks = []
        for key, addition in zip(keys, additions, strict=True):
            task = stored.get(addition.id)
            if task is None:  # lost, and then it has a key
                lost = wishes[key or ""]
                task = ExistingTask.of(existing.get(lost.key) or stored[lost.taking.task_id])
            tasks.append(task)
        return Placed(tasks, created, changed, keys)

    def _key_of(self, job: Job[Any, Any], unique: Unique, new: NewTask) -> str:
        return unique_key(job.type, unique, None if unique.key is None else self._payload(job, new))

    def _payload(self, job: Job[Any, Any], new: NewTask) -> Any:
        """The payload as the handler would get it, and a copy: what the function does with it stays there."""
        version = new.version or job.version
        if version > job.version:
            rule = f"job {job.type!r}: is newer than what is known here ({job.version}), so its key is not known either"
            raise InvalidInput("version", version, rule)
        try:
            payload = job.upcasts.upcast(decoded(new.text), version)
        except QueueError:
            raise
        except Exception as error:  # a user's function may raise anything, and a chain may have a hole
            rule = f"job {job.type!r}: cannot be brought from version {version} to {job.version} for its key: {error}"
            raise InvalidInput("payload", new.payload, rule) from error
        return payload if job.payload is None else self.schemas.of(job.payload).from_json(payload, field="payload")


@dataclass(slots=True)
class _Wish:
    """What one call asks for under one key: usually one task, and in bulk maybe several."""

    key: str
    asked: list[tuple[Addition, Unique]] = field(default_factory=list)

    @property
    def taking(self) -> Taking:
        """The first one takes the key, on its own terms."""
        addition, unique = self.asked[0]
        # Unique has checked them; only its parameters take more.
        return Taking(self.key, addition.id, unique.ttl, frozenset(unique.while_status))  # type: ignore[arg-type]

    @property
    def addition(self) -> Addition:
        """The task to store when the key is free: what would be there if all were asked for one after the other.

        Raises InvalidInput when one of them would have to be refused then.
        """
        first, _ = self.asked[0]
        for addition, unique in self.asked[1:]:
            if unique.on_conflict == "raise":
                rule = f"job {addition.new.type!r}: must be unique, and is asked for twice in this call"
                raise InvalidInput("unique.key", self.key, rule)
        latest = self._latest(self.asked[1:], first.new.type)
        return first if latest is None else latest[0]._replace(id=first.id)

    def replacement_of(self, holder: WorkerTask) -> Replacement | None:
        """What *holder*, who has the key, is to do instead; None when it is left as it is. Raises TaskNotUnique."""
        for addition, unique in self.asked:
            if unique.on_conflict == "raise":
                raise TaskNotUnique(addition.new.type, self.key, holder)
        latest = self._latest(self.asked, holder.type) if holder.status in NOT_BEGUN else None
        if latest is None:
            return None
        addition, unique = latest
        return Replacement(addition._replace(id=holder.id), unique.on_conflict == "debounce")

    def _latest(self, asked: Sequence[tuple[Addition, Unique]], type: str) -> tuple[Addition, Unique] | None:
        # Jobs may share a namespace; a payload of one is none of another.
        fitting = (one for one in reversed(asked) if one[1].on_conflict in _REPLACING and one[0].new.type == type)
        return next(fitting, None)


def _contested(tx: Transaction, wishes: dict[str, _Wish]) -> tuple[dict[str, WorkerTask], list[WorkerTask]]:
    """Take all keys; the tasks of those who keep theirs, by key, and which of these were changed."""
    existing: dict[str, WorkerTask] = {}
    changed: list[WorkerTask] = []
    held = tx.uniques.take([wishes[key].taking for key in sorted(wishes)])
    looks = 0
    while held:
        looks += 1
        holders = tx.uniques.look(held)
        free: list[Taking] = []
        replacing: list[tuple[Holding, Replacement]] = []
        for holding in held:
            holder = holders.tasks.get(holding.task_id)
            wish = wishes[holding.key]
            if holder is None or not holding.holds(holder, holders.at):
                free.append(wish.taking)
            elif (replacement := wish.replacement_of(holder)) is not None and looks <= MOST_LOOKS:
                replacing.append((holding, replacement))
            else:
                existing[holding.key] = holder
        if free:
            tx.uniques.take_over(free)
        replaced = {task.id: task for task in tx.uniques.replace([one for _, one in replacing])} if replacing else {}
        changed += replaced.values()
        existing |= {holding.key: replaced[holding.task_id] for holding, _ in replacing if holding.task_id in replaced}
        # The others have begun since, or even ended: they are looked at again.
        held = [holding for holding, _ in replacing if holding.task_id not in replaced]
    return existing, changed


@dataclass(frozen=True, slots=True)
class ClearUniques:
    """Forget keys that nobody needs any more, a batch at a time."""

    batch: int = BATCH

    def __call__(self, tx: Transaction, after: str = "") -> Cleared:
        """Go on behind the key *after*, which the last batch named."""
        return tx.uniques.clear(after, self.batch)
