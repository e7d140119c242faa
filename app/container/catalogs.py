"""Which jobs a queue knows when its application hands none in: those of WORKER_JOBS, or the shipped examples."""

from collections.abc import Callable

from app.container.places import WrongPlace, found_at, split
from app.domain.jobs.catalog import JobCatalog


def load_jobs(places: str | None, examples: Callable[[], JobCatalog]) -> JobCatalog:
    """The catalogs found at *places*, as one; importing their modules is what registers the jobs.

    Raises WrongPlace, DuplicateJob.
    """
    if places is None:
        return examples()
    found = JobCatalog()
    for place in split(places):
        found = found.merged(_load(place))
    return found


def _load(place: str) -> JobCatalog:
    catalog = found_at("WORKER_JOBS", place)
    if not isinstance(catalog, JobCatalog):
        raise WrongPlace("WORKER_JOBS", place, "is no JobCatalog")
    return catalog
