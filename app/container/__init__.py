"""TaskQueueContainer: the composition root, which an application's own container embeds."""

from collections.abc import Iterable
from operator import call
from typing import Any

from dependency_injector import containers, providers

from app.container.binding import bound
from app.container.catalogs import load_jobs
from app.container.closing import aclose_queue, close_queue
from app.container.engines import Engines
from app.container.examples import examples_of
from app.container.injection import ContainerServices
from app.container.jobs import Binding, CatalogDependency, ContainerQueue
from app.container.listeners import connect_listeners
from app.container.options import options_of
from app.domain.clock import Clock
from app.domain.connections import Connections
from app.domain.identifiers import TaskIds
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.sessions import Sessions
from app.domain.jobs.system import KnownJobs
from app.domain.notifications import Notifications
from app.domain.results import ResultNotifications
from app.domain.schedules.schedule import Schedule
from app.domain.tasks.new import NewTask
from app.domain.tasks.task import WorkerTask
from app.domain.upkeep import Vacuum
from app.infra.clock import SystemClock
from app.infra.crons import CronSimCrons
from app.infra.events.signals import TaskSignals
from app.infra.memory.connections import MemoryConnections
from app.infra.memory.migrations import MemoryMigrations
from app.infra.memory.notifications import MemoryNotifications
from app.infra.memory.results import MemoryResultNotifications
from app.infra.memory.sessions import MemorySessions
from app.infra.memory.store import MemoryStore
from app.infra.memory.unit_of_work import MemoryUnitOfWork
from app.infra.memory.upkeep import MemoryUpkeep
from app.infra.postgres.connections import PostgresConnections
from app.infra.postgres.herald import Herald
from app.infra.postgres.migrations import Migrations
from app.infra.postgres.notifications import PostgresNotifications
from app.infra.postgres.results import PostgresResultNotifications
from app.infra.postgres.sessions import PostgresSessions
from app.infra.postgres.unit_of_work import PostgresUnitOfWork
from app.infra.postgres.vacuum import PostgresVacuum
from app.infra.schemas import PydanticSchemas
from app.infra.settings import Settings
from app.usecases.bound import Bound
from app.usecases.check import CheckQueue
from app.usecases.clearing import PreviewRetention
from app.usecases.dead_letters.bulk import ActOnLetters
from app.usecases.dead_letters.discard import DiscardDeadLetter, DiscardDeadLetters, PurgeDeadLetters
from app.usecases.dead_letters.export import ExportDeadLetters
from app.usecases.dead_letters.list import (
    CountDeadLetters,
    FindDeadLetterAction,
    ListDeadLetterActions,
    ListDeadLetters,
)
from app.usecases.dead_letters.requeue import RequeueDeadLetter, RequeueDeadLetters
from app.usecases.results import LookAtTasks, ResultWaiter
from app.usecases.schedules.backfill import BackfillSchedule
from app.usecases.schedules.create import CreateSchedule, DeleteSchedule
from app.usecases.schedules.list import GetScheduleHistory, ListSchedules
from app.usecases.schedules.once import ScheduleOnce
from app.usecases.schedules.operate import PauseSchedule, ResumeSchedule, RunScheduleNow
from app.usecases.schedules.reconcile import Definitions
from app.usecases.schedules.scheduling import Scheduling
from app.usecases.tasks.cancel import CancelTask
from app.usecases.tasks.cleanup import CleanupTasks
from app.usecases.tasks.enqueue import EnqueueTask, EnqueueTasks
from app.usecases.tasks.find import FindTask, ListTasks
from app.usecases.tasks.retry import RetryTask
from app.usecases.tasks.stats import GetTaskBreakdown, GetTaskStats
from app.usecases.transaction import UnitOfWork
from app.worker.calls import Calls
from app.worker.dead_letters import system_jobs
from app.worker.here import Here
from app.worker.runner import TaskRunner
from app.worker.schedules import ScheduleLoop
from app.worker.stint import Stint
from app.worker.worker import Worker


class TaskQueueContainer(containers.DeclarativeContainer):
    """One task queue. Every attribute is called to get what it names: ``tasks.enqueue_task().execute(…)``.

    Alone: ``TaskQueueContainer(settings=Settings(…), jobs=jobs)``. Inside an existing container:
    ``providers.Container(TaskQueueContainer, engine=engine, jobs=jobs)``, where ``engine`` may be a sync or an async
    engine, or both as ``engine=`` and ``async_engine=``. To replace a part, ``.override()`` it: an attribute that a
    subclass redefines does not reach the parts that already refer to the old one.
    """

    settings = providers.Dependency(instance_of=Settings, default=providers.ThreadSafeSingleton(Settings))
    engine: providers.Dependency[Any] = providers.Dependency(default=providers.Object(None))
    async_engine: providers.Dependency[Any] = providers.Dependency(default=providers.Object(None))

    signals = providers.ThreadSafeSingleton(TaskSignals)
    engines = providers.ThreadSafeSingleton(Engines, settings, engine, async_engine)
    sync_engine = engines.provided.sync
    schema = settings.provided.worker_schema
    herald = providers.ThreadSafeSingleton(Herald, sync_engine.provider, engines.provided.asynchronous.provider, schema)
    store = providers.ThreadSafeSingleton(MemoryStore)
    clock: providers.Provider[Clock] = providers.Factory(SystemClock)
    new_ids = providers.ThreadSafeSingleton(TaskIds)
    # For what is made once, and is to follow when the ids are overridden later.
    ids = providers.Callable(call, new_ids).provider
    where = providers.Callable(lambda settings: "memory" if settings.in_memory else "postgres", settings)

    unit_of_work: providers.Provider[UnitOfWork] = providers.Selector(
        where,
        postgres=providers.ThreadSafeSingleton(
            PostgresUnitOfWork, sync_engine, engines.provided.asynchronous, signals, schema, herald=herald, new_ids=ids
        ),
        memory=providers.ThreadSafeSingleton(MemoryUnitOfWork, store, signals, clock, new_ids=ids),
    )
    heart: providers.Provider[UnitOfWork] = providers.Selector(
        where,
        postgres=providers.ThreadSafeSingleton(
            PostgresUnitOfWork, engines.provided.apart, None, signals, schema, herald=herald, new_ids=ids
        ),
        memory=unit_of_work,
    )
    notifications: providers.Provider[Notifications] = providers.Selector(
        where,
        postgres=providers.Factory(
            PostgresNotifications,
            engines.provided.listening,
            schema,
            on_waiting=herald.provided.somebody_waits,
        ),
        memory=providers.Factory(MemoryNotifications, store),
    )
    result_notifications: providers.Provider[ResultNotifications] = providers.Selector(
        where,
        postgres=providers.Factory(PostgresResultNotifications, engines.provided.listening, herald, schema),
        memory=providers.Factory(MemoryResultNotifications, store),
    )
    connections: providers.Provider[Connections] = providers.Selector(
        where,
        postgres=providers.Factory(PostgresConnections, engines.provided.sync),
        memory=providers.Factory(MemoryConnections),
    )
    migrations: providers.Provider[Migrations | MemoryMigrations] = providers.Selector(
        where,
        postgres=providers.Factory(Migrations, engines.provided.sync, schema),
        memory=providers.Factory(MemoryMigrations),
    )
    vacuum: providers.Provider[Vacuum] = providers.Selector(
        where,
        postgres=providers.Factory(PostgresVacuum, engines.provided.apart, schema),
        memory=providers.Factory(MemoryUpkeep),
    )

    cancel_task = bound(unit_of_work, CancelTask)
    retry_task = bound(unit_of_work, RetryTask)
    find_task = bound(unit_of_work, FindTask)
    list_tasks = bound(unit_of_work, ListTasks)
    get_task_stats = bound(unit_of_work, GetTaskStats)
    get_task_breakdown = bound(unit_of_work, GetTaskBreakdown)
    cleanup_tasks = bound(unit_of_work, CleanupTasks)
    preview_retention = bound(unit_of_work, PreviewRetention, settings.provided.worker_retention)

    # By their providers: a queue of which no result is waited for makes neither.
    result_waiter = providers.ThreadSafeSingleton(
        ResultWaiter, bound(unit_of_work, LookAtTasks).provider, result_notifications.provider
    )

    examples = providers.Callable(examples_of, settings, get_task_stats, list_tasks)
    jobs = CatalogDependency(
        instance_of=JobCatalog,
        default=providers.ThreadSafeSingleton(load_jobs, settings.provided.worker_jobs, examples.provider),
    )
    job_queue = providers.ThreadSafeSingleton(ContainerQueue)
    binding = providers.ThreadSafeSingleton(Binding, job_queue.provider)
    catalog: providers.Provider[JobCatalog] = providers.Callable(Binding.bound, binding, jobs)
    # What those who run tasks know: the application's jobs, and the queue's own.
    system = providers.ThreadSafeSingleton(system_jobs, unit_of_work.provider)
    known_jobs: providers.Provider[JobCatalog] = providers.Callable(KnownJobs, catalog, system)
    services: providers.Dependency[Any] = providers.Dependency(default=providers.Object(None))
    schemas: providers.Provider[PydanticSchemas] = providers.ThreadSafeSingleton(PydanticSchemas)
    sessions: providers.Provider[Sessions] = providers.Selector(
        where,
        postgres=providers.ThreadSafeSingleton(
            PostgresSessions, sync_engine.provider, engines.provided.for_async_sessions.provider
        ),
        memory=providers.Factory(MemorySessions),
    )
    calls = providers.Factory(
        Calls,
        catalog,
        schemas,
        providers.Factory(ContainerServices, services),
        sessions=sessions,
        unit_of_work=unit_of_work,
    )
    enqueue: providers.Provider[EnqueueTasks] = providers.Factory(
        EnqueueTasks,
        catalog,
        new_ids,
        settings.provided.worker_max_attempts,
        settings.provided.worker_max_payload,
        schemas,
    )
    enqueue_tasks: providers.Provider[Bound[[Iterable[NewTask]], list[WorkerTask]]] = providers.Factory(
        Bound, unit_of_work, enqueue
    )
    enqueue_task = bound(unit_of_work, EnqueueTask, enqueue)
    check_queue = bound(unit_of_work, CheckQueue, known_jobs, clock)

    act_on_letters = providers.Factory(ActOnLetters, enqueue, new_ids)
    list_dead_letters = bound(unit_of_work, ListDeadLetters)
    count_dead_letters = bound(unit_of_work, CountDeadLetters)
    requeue_dead_letter = bound(unit_of_work, RequeueDeadLetter, new_ids)
    requeue_dead_letters = bound(unit_of_work, RequeueDeadLetters, act_on_letters)
    discard_dead_letter = bound(unit_of_work, DiscardDeadLetter, new_ids)
    discard_dead_letters = bound(unit_of_work, DiscardDeadLetters, act_on_letters)
    purge_dead_letters = bound(unit_of_work, PurgeDeadLetters, act_on_letters)
    list_dead_letter_actions = bound(unit_of_work, ListDeadLetterActions)
    find_dead_letter_action = bound(unit_of_work, FindDeadLetterAction)
    export_dead_letters = providers.Factory(ExportDeadLetters, unit_of_work, new_ids)

    scheduling = providers.Factory(
        Scheduling, settings.provided.worker_application, providers.ThreadSafeSingleton(CronSimCrons), enqueue
    )
    # Both take options beside those that they name, which no ParamSpec can carry along.
    create_schedule: providers.Provider[Bound[..., Schedule]] = providers.Factory(
        Bound, unit_of_work, providers.Factory(CreateSchedule, scheduling)
    )
    schedule_once: providers.Provider[Bound[..., WorkerTask]] = providers.Factory(
        Bound, unit_of_work, providers.Factory(ScheduleOnce, scheduling)
    )
    pause_schedule = bound(unit_of_work, PauseSchedule, scheduling)
    resume_schedule = bound(unit_of_work, ResumeSchedule, scheduling)
    delete_schedule = bound(unit_of_work, DeleteSchedule, scheduling)
    run_schedule_now = bound(unit_of_work, RunScheduleNow, scheduling)
    list_schedules = bound(unit_of_work, ListSchedules, scheduling)
    backfill_schedule = bound(unit_of_work, BackfillSchedule, scheduling)
    get_schedule_history = bound(unit_of_work, GetScheduleHistory, scheduling)
    schedule_definitions = providers.Factory(Definitions, scheduling, settings.provided.worker_schedules)

    worker_options = providers.Callable(options_of, settings)
    stint = providers.Factory(
        Stint,
        unit_of_work,
        heart,
        known_jobs,
        calls.provider,
        worker_options,
        max_result=settings.provided.worker_max_payload,
    )
    run_task = providers.Factory(
        TaskRunner, stint.provider, known_jobs, schemas, providers.Factory(EnqueueTask, enqueue), signals
    )

    job_queue.add_args(jobs, schemas)
    job_queue.add_kwargs(
        enqueue_task=enqueue_task,
        enqueue_tasks=enqueue_tasks,
        find_task=find_task,
        waiter=result_waiter,
        here=providers.Factory(
            Here,
            calls.provider,
            schemas,
            new_ids,
            max_attempts=settings.provided.worker_max_attempts,
            max_result=settings.provided.worker_max_payload,
        ),
        runner=run_task,
    )

    worker = providers.Factory(
        Worker,
        unit_of_work,
        heart,
        known_jobs,
        calls.provider,
        worker_options,
        notifications=notifications,
        vacuum=vacuum,
        receivers=signals,
        verify=migrations.provided.verify,
        max_result=settings.provided.worker_max_payload,
        stint=stint.provider,
        schedules=providers.Factory(ScheduleLoop, heart, schedule_definitions),
    )

    listeners = providers.Callable(connect_listeners, settings.provided.worker_listeners, signals)

    close = providers.Callable(close_queue, signals, result_waiter, herald, engines)
    aclose = providers.Callable(aclose_queue, signals, result_waiter, herald, engines)
