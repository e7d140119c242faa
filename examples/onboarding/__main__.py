"""The example as a program.

python -m examples.onboarding sign-up NAME ADDRESS [TIMEZONE]
python -m examples.onboarding unsubscribe ID
python -m examples.onboarding worker [--drain]
"""

import asyncio
import sys
from uuid import uuid4

from sqlalchemy.orm import Session

from app import TaskQueueContainer
from app.infra.settings import Settings
from examples.onboarding.jobs import jobs, sign_up
from examples.onboarding.mailer import Mailer
from examples.onboarding.people import Base, People, User

USAGE = 2
settings = Settings()
tasks: TaskQueueContainer = TaskQueueContainer(
    settings=settings,
    jobs=jobs,
    services={
        Mailer: lambda: Mailer(settings.data_dir / "onboarding"),
        People: lambda: People(tasks.sync_engine()),
    },
)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["sign-up", name, address, *timezone]:
            _sign_up(User(id=uuid4().hex, name=name, email=address, timezone="".join(timezone) or "UTC"))
        case ["unsubscribe", user_id]:
            People(tasks.sync_engine()).unsubscribe(user_id)
        case ["worker"]:
            _prepare()
            asyncio.run(tasks.worker().run())
        case ["worker", "--drain"]:
            _prepare()
            print(asyncio.run(tasks.worker().drain()), "attempt(s) run")
        case _:
            print(__doc__, file=sys.stderr)
            return USAGE
    return 0


def _sign_up(user: User) -> None:
    _prepare()
    with Session(tasks.sync_engine(), expire_on_commit=False) as session, session.begin():
        sign_up(session, user)
    print(f"{user.name} has signed up as {user.id}. On the queue:")
    for task in tasks.list_tasks().execute(type="onboarding:*", status="pending"):
        if task.payload["user_id"] == user.id:
            print(f"  {task.type:<24} {user.local(task.scheduled_at):%a %d %B %Y, %H:%M} {user.timezone}")


def _prepare() -> None:
    tasks.migrations().upgrade()
    Base.metadata.create_all(tasks.sync_engine())


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    finally:
        tasks.close()
