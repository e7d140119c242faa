"""A wrapper around schedules: an application annotates it by what the package exports, and nothing else."""

from typing import Any

from app import Dst, Job, JobCatalog, Misfire, MisfireRule, Overlap, ScheduleDefinition, ScheduleReport
from app import TaskQueueContainer as Container
from app.infra.settings import Settings


def nightly(
    jobs: JobCatalog,
    job: Job[Any, Any],
    *,
    misfire: MisfireRule = "one",
    overlap: Overlap = "skip",
    dst: Dst = "shift",
) -> ScheduleDefinition:
    return jobs.schedule(job, cron="@daily", misfire=misfire, overlap=overlap, dst=dst)


def ticking(tasks: Container) -> list[ScheduleReport]:
    return [one for one in tasks.list_schedules().execute() if one.state == "ticking"]


def test_an_application_wraps_schedules_in_its_own_functions() -> None:
    """With the types of what they take and what they return."""
    jobs = JobCatalog()
    job = jobs.define("report")(lambda payload, context: None)
    definition = nightly(jobs, job, misfire=Misfire(most=3), overlap="queue", dst="both")
    tasks = Container(settings=Settings(in_memory=True), jobs=jobs)
    tasks.create_schedule().execute(job, key="customer", every=60)

    [report] = ticking(tasks)
    tasks.close()

    plan = definition.plan
    assert (Misfire(most=3), "queue", "both") == (plan.misfire, plan.overlap, plan.dst)
    assert (ScheduleReport, "customer") == (type(report), report.key)
