"""The PostgreSQL that everything is measured on, and its databases."""

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from sqlalchemy import make_url

from app.infra.embedded import Cluster

_PREFIX = "bench_"
_LOOPBACK = {"", "localhost", "127.0.0.1", "::1"}

SETTINGS = {
    "shared_buffers": "1GB",
    "effective_cache_size": "8GB",
    "work_mem": "32MB",
    "maintenance_work_mem": "256MB",
    # Seldom enough that no measurement has a checkpoint of its own; the run makes one before each.
    "max_wal_size": "16GB",
    "checkpoint_timeout": "60min",
    "random_page_cost": "1.1",
    "jit": "off",
    "max_connections": "300",
    # Said, although it is the default: this is what the figures stand for.
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "autovacuum": "on",
    # For W9, which counts the lines of its database.
    "log_line_prefix": "%m [%p] db=%d ",
    "log_parameter_max_length": "0",
    "log_checkpoints": "off",
    "log_autovacuum_min_duration": "-1",
}


class Server:
    """A running server. ``log`` is its log file where that can be read."""

    def __init__(self, url: str, log: Path | None) -> None:
        self.log = log
        self._maintenance = psycopg.connect(url, autocommit=True, application_name="bench-run")
        self.url = url

    def url_of(self, database: str) -> str:
        """For SQLAlchemy, libpq, asyncpg and Rust's sqlx alike."""
        return make_url(self.url).set(database=database).render_as_string(hide_password=False)

    def connect(self, database: str) -> "psycopg.Connection[Any]":
        conninfo = make_conninfo(self.url, dbname=database)
        return psycopg.connect(conninfo, autocommit=True, application_name="bench-run")

    def query(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._maintenance.execute(query.encode(), parameters or None).fetchall()

    def create(self, name: str, template: str = "") -> str:
        """Make an empty database or a copy of another, and a checkpoint; returns its name."""
        database = _PREFIX + name
        self.drop(name)
        source = sql.Identifier(_PREFIX + template if template else "template0")
        # Copying files beats writing a gigabyte of backlog to the log; for an empty schema it is the other way round.
        strategy = sql.SQL("FILE_COPY" if template.count(".") else "WAL_LOG")
        self._maintenance.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY {}").format(sql.Identifier(database), source, strategy)
        )
        self._maintenance.execute("CHECKPOINT")
        return database

    def drop(self, name: str) -> None:
        self._maintenance.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(_PREFIX + name))
        )

    def drop_all(self) -> None:
        for (name,) in self.query("SELECT datname FROM pg_database WHERE datname LIKE %s", f"{_PREFIX}%"):
            self.drop(name.removeprefix(_PREFIX))

    def postmaster(self) -> psutil.Process:
        [(backend,)] = self.query("SELECT pg_backend_pid()")
        parent = psutil.Process(backend).parent()
        assert parent is not None
        return parent

    def facts(self) -> dict[str, Any]:
        """The version, and every setting that is not the default."""
        [(version,)] = self.query("SELECT version()")
        changed = self.query(
            "SELECT name, current_setting(name) FROM pg_settings WHERE source NOT IN ('default', 'override', 'client')"
            " AND name !~ '^(lc_|log_|unix_|listen|port|data_directory|hba|ident|timezone|default_text|dynamic)'"
            " ORDER BY name"
        )
        kept = self.query(
            "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)",
            ["fsync", "synchronous_commit", "full_page_writes", "autovacuum", "shared_buffers"],
        )
        return {"version": version, "settings": dict(changed) | dict(kept)}

    def close(self) -> None:
        with suppress(psycopg.Error):
            self.drop_all()
        self._maintenance.close()


@contextmanager
def server(folder: Path) -> Iterator[Server]:
    """BENCH_DATABASE_URL's server, or one from the wheel in *folder*, which is stopped at the end.

    Load is put on this machine only: any other address is refused.
    """
    if url := os.environ.get("BENCH_DATABASE_URL"):
        host = str(conninfo_to_dict(url).get("host") or "")
        if host not in _LOOPBACK and not host.startswith("/"):
            raise SystemExit(f"BENCH_DATABASE_URL leads to {host}, and this puts load on its own machine only")
        with closing(Server(url, None)) as found:
            found.drop_all()
            yield found
        return
    folder.mkdir(parents=True, exist_ok=True)
    cluster = Cluster(folder, SETTINGS)
    cluster.prepare()
    # Of a run that was killed: it may have had other settings.
    cluster.stop("immediate")
    cluster.log.unlink(missing_ok=True)
    try:
        cluster.initialise()
        cluster.start()
    except BaseException:
        cluster.stop("immediate")
        raise
    try:
        with closing(Server(cluster.url_of("postgres"), cluster.log)) as own:
            own.drop_all()
            yield own
    finally:
        cluster.stop("fast")
