"""The test kit: a queue in memory whose clock is moved by hand, and jobs run in isolation."""

from app.testing.clock import TrialClock
from app.testing.failure import JobFailed
from app.testing.queue import TrialQueue
from app.testing.run import JobRun, arun_job, run_job

__all__ = ["JobFailed", "JobRun", "TrialClock", "TrialQueue", "arun_job", "run_job"]
