"""Engines of our own, and engines derived from those an application brings."""

from typing import Any

from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.domain.errors import InvalidInput

_DRIVER = "postgresql+psycopg"
_CONNECT: dict[str, Any] = {
    # A transaction pooler gives each transaction another server connection, on which a statement that was prepared
    # earlier does not exist.
    "prepare_threshold": None,
    # A database that vanished without a word is noticed within seconds, not after TCP's quarter of an hour.
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def database_url(text: str) -> URL:
    """*text* as an URL for psycopg 3, whichever PostgreSQL driver it names. Raises InvalidInput, without a password."""
    try:
        # The old name, which SQLAlchemy has dropped and hosting providers still hand out.
        url = make_url("postgresql" + text.removeprefix("postgres") if text.startswith("postgres:") else text)
        named = url.get_backend_name()
    except (ArgumentError, ValueError) as error:
        raise InvalidInput("DATABASE_URL", "…", "must look like postgresql://user:password@host:5432/name") from error
    if named != "postgresql":
        raise InvalidInput("DATABASE_URL", f"{named}://…", "must begin with postgresql://")
    return url.set(drivername=_DRIVER)


def own_engine(url: URL, **options: Any) -> Engine:
    return create_engine(url, connect_args=_CONNECT, pool_size=10, max_overflow=20, pool_timeout=15, **options)


def own_async_engine(url: URL, **options: Any) -> AsyncEngine:
    return create_async_engine(url, connect_args=_CONNECT, pool_size=10, max_overflow=20, pool_timeout=15, **options)


def derived_engine(engine: AsyncEngine) -> Engine:
    """A sync engine to where *engine* leads, by its URL; what else it was built with (a creator, connect_args) is lost,
    so an application that needs those hands in both engines."""
    return own_engine(engine.url.set(drivername=_DRIVER))


def apart(engine: Engine) -> Engine:
    """*engine* with a pool of its own, so that heartbeats get through while the application's pool is exhausted."""
    return create_engine(engine.url, pool=engine.pool.recreate())
