"""Which jobs a queue knows when its application hands none in: those of WORKER_JOBS, or the shipped examples."""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from app.domain.errors import QueueError
from app.domain.jobs.catalog import JobCatalog


class WrongJobs(QueueError):
    """WORKER_JOBS does not lead to catalogs of jobs."""

    def __init__(self, place: str, reason: str) -> None:
        self.place = place
        super().__init__(f"WORKER_JOBS: {place!r} {reason}; it must be package.module:catalog, comma-separated")


def load_jobs(places: str | None, examples: Callable[[], JobCatalog]) -> JobCatalog:
    """The catalogs found at *places*, as one; importing their modules is what registers the jobs.

    Raises WrongJobs, DuplicateJob.
    """
    if places is None:
        return examples()
    found = JobCatalog()
    for place in filter(None, (place.strip() for place in places.split(","))):
        found = found.merged(_load(place))
    return found


def _load(place: str) -> JobCatalog:
    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise WrongJobs(place, "names no catalog")
    # An installed script does not look in the working directory, `python -m` does; both shall find the same.
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = import_module(module_name)
    except ImportError as error:
        raise WrongJobs(place, f"cannot be imported ({error})") from error
    catalog = getattr(module, attribute, None)
    if not isinstance(catalog, JobCatalog):
        raise WrongJobs(place, f"is {'missing' if catalog is None else 'no JobCatalog'}")
    return catalog
