"""KnownJobs: the jobs of an application together with the queue's own, as those who run tasks see them."""

from collections import ChainMap

from app.domain.jobs.catalog import JobCatalog


class KnownJobs(JobCatalog):
    """A view: what is added to either catalog later is in here as well, and neither knows of the other.

    A job of the application's that has the type of one of the queue's own is not seen.
    """

    def __init__(self, application: JobCatalog, system: JobCatalog) -> None:
        super().__init__()
        self._application = application
        self._jobs = ChainMap(system.by_type, application.by_type)

    @property
    def application(self) -> JobCatalog:
        return self._application
