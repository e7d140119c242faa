"""The schedules that worker processes of these tests have."""

from datetime import timedelta

from tests.faults.jobs import jobs, quick

__all__ = ["jobs"]

jobs.schedule(quick, key="seconds", every=timedelta(seconds=1), misfire="all", payload={})
