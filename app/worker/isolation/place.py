"""Place: where another process finds a job, which cannot be sent there itself."""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Self

from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.errors import InvalidJob
from app.domain.jobs.job import Job


@dataclass(frozen=True, slots=True)
class Place:
    """The module that defines the job called *type*, and the path in it of the handler, whose name the job has taken.

    A job that has no name of its own there, as in the class form, is found in a catalog of that module.
    """

    type: str
    module: str
    path: str

    @classmethod
    def of(cls, job: Job[Any, Any]) -> Self:
        """Raises InvalidJob when the job would not be found there."""
        place = cls(job.type, getattr(job.handler, "__module__", ""), getattr(job.handler, "__qualname__", ""))
        if place.module == "__main__":
            raise InvalidJob(
                job.type,
                "is defined in the program that was started, which no other process can import: isolation"
                " needs a job in a module of its own",
            )
        try:
            found = place.find()
        except (ImportError, LookupError) as error:
            raise InvalidJob(job.type, f"another process cannot find it: {error}") from error
        if found is not job:
            raise InvalidJob(job.type, f"another process that imports {place.module!r} would find another job")
        return place

    def find(self) -> Job[Any, Any]:
        """The job, once its module is imported. Raises LookupError, and whatever the import raises."""
        module = import_module(self.module)
        found: Any = module
        for name in self.path.split("."):
            found = getattr(found, name, None)
        for candidate in (found, *vars(module).values()):
            if isinstance(candidate, JobCatalog):
                candidate = candidate.get(self.type)  # noqa: PLW2901
            if isinstance(candidate, Job) and candidate.type == self.type:
                return candidate
        raise LookupError(
            f"module {self.module!r} has neither a job {self.type!r} nor a catalog that holds it; isolation needs a job"
            " that is defined when its module is imported"
        )
