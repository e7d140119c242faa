"""Engines of our own, and engines derived from those an application brings."""

from typing import Any

from psycopg import pq
from sqlalchemy import URL, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.domain.errors import InvalidInput

_DRIVER = "postgresql+psycopg"
_CONNECT: dict[str, Any] = {
    # A transaction pooler gives each transaction another server connection, on which a statement that was prepared
    # earlier does not exist.
    "prepare_threshold": None,
    # Whatever the database or PGCLIENTENCODING says: payloads are Unicode.
    "client_encoding": "utf8",
    # A database that vanished without a word is noticed within seconds, not after TCP's quarter of an hour.
    "connect_timeout": 10,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}


def database_url(text: str) -> URL:
    """*text* as an URL for psycopg 3, whichever PostgreSQL driver it names. Raises InvalidInput, without a password."""
    text = text.strip()
    try:
        # The old name, which SQLAlchemy has dropped and hosting providers still hand out.
        url = make_url("postgresql" + text.removeprefix("postgres") if text.startswith("postgres:") else text)
        named = url.get_backend_name()
    except (ArgumentError, ValueError):
        # Not chained: for a port it quotes what follows a colon, and that may be half a password.
        raise InvalidInput("DATABASE_URL", "…", "must look like postgresql://user:password@host:5432/name") from None
    if named != "postgresql":
        raise InvalidInput("DATABASE_URL", f"{named}://…", "must begin with postgresql://")
    if "@" in (url.host or ""):
        raise InvalidInput("DATABASE_URL", "…", "must have every @ in its user or password written as %40")
    for_psycopg = _for_psycopg(url)
    unknown = set(url.query) - set(for_psycopg.query) - {"password"}
    if unknown and not url.drivername.endswith("+asyncpg"):
        raise InvalidInput("DATABASE_URL", ", ".join(sorted(unknown)), "must have parameters that libpq knows")
    return for_psycopg


def _for_psycopg(url: URL) -> URL:
    """*url* as psycopg 3 reads it: without what only asyncpg knows, and with the password where nobody prints it."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    query = dict(url.query)
    if "ssl" in query:
        query.setdefault("sslmode", query["ssl"])
    password = query.pop("password", None)
    url = url.set(drivername=_DRIVER, query={name: value for name, value in query.items() if name in known})
    return url.set(password=password) if isinstance(password, str) else url


def own_engine(url: URL, **options: Any) -> Engine:
    return create_engine(url, connect_args=_defaults(url), pool_size=10, max_overflow=20, pool_timeout=15, **options)


def own_async_engine(url: URL, **options: Any) -> AsyncEngine:
    return create_async_engine(
        url, connect_args=_defaults(url), pool_size=10, max_overflow=20, pool_timeout=15, **options
    )


def _defaults(url: URL) -> dict[str, Any]:
    # SQLAlchemy lets these go before what the URL says.
    return {name: value for name, value in _CONNECT.items() if name not in url.query}


def derived_engine(engine: AsyncEngine) -> Engine:
    """A sync engine to where *engine* leads, by its URL; what else it was built with (a creator, connect_args) is lost,
    so an application that needs those hands in both engines."""
    return own_engine(_for_psycopg(engine.url))


def derived_async_engine(engine: Engine) -> AsyncEngine:
    """The same the other way round."""
    return own_async_engine(_for_psycopg(engine.url))


def apart(engine: Engine) -> Engine:
    """*engine* with a pool of its own, so that heartbeats get through while the application's pool is exhausted."""
    return create_engine(engine.url, pool=engine.pool.recreate())


def listening(engine: Engine) -> Engine:
    """An engine to where *engine* leads, on psycopg 3: no other driver's notifications can be waited for in a thread.

    What an engine on another one was built with beside its URL is lost. If that is needed, workers poll.
    """
    if engine.dialect.driver == "psycopg":
        return apart(engine)
    return own_engine(_for_psycopg(engine.url))
