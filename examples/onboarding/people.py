"""People: the users of the application, in a table of its own."""

from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import Engine, update
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    """The application's tables."""


class User(Base):
    """Somebody who signed up; ``timezone`` is a name such as Europe/Berlin."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(primary_key=True)
    email: Mapped[str]
    name: Mapped[str]
    timezone: Mapped[str] = mapped_column(default="UTC")
    is_subscribed: Mapped[bool] = mapped_column(default=True)

    def local(self, moment: datetime) -> datetime:
        """*moment* on this user's own clock."""
        return moment.astimezone(ZoneInfo(self.timezone))


class People:
    """Who is there, and who wants no mail any more."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def get(self, user_id: str) -> User | None:
        with Session(self._engine) as session:
            return session.get(User, user_id)

    def unsubscribe(self, user_id: str) -> None:
        with Session(self._engine) as session, session.begin():
            session.execute(update(User).where(User.id == user_id).values(is_subscribed=False))
