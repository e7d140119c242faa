"""Settings: read once from code, command line, environment and ``.env``, handed on as values."""

import json
import os
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AliasChoices,
    BeforeValidator,
    ByteSize,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationError,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from app.domain.errors import InvalidInput, QueueError, shown
from app.domain.moments import checked_seconds, duration
from app.domain.names import checked_names
from app.domain.retention_rules import KEEP_ALL, RetentionRules


def _seconds(value: object) -> float:
    try:
        return duration(value) if isinstance(value, str) else checked_seconds("duration", value)
    except InvalidInput as error:
        raise ValueError(error.rule) from error


def _names(value: object, *, wildcard: bool = False) -> object:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return checked_names("it", value, wildcard=wildcard)  # type: ignore[arg-type]  # checked there
    except InvalidInput as error:
        raise ValueError(error.rule) from error


def _retention(value: object) -> RetentionRules:
    try:
        if isinstance(value, str) and value.lstrip().startswith("{"):
            value = json.loads(value)
        return RetentionRules.of(value)
    except InvalidInput as error:
        raise ValueError(f"rule {shown(error.value)} {error.rule}") from error
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is no JSON object of selectors and ages: {error}") from error


def _written(rules: RetentionRules) -> dict[str, float | str]:
    """As it may be given."""
    return {rule.selector: "forever" if rule.age is None else checked_seconds("age", rule.age) for rule in rules.rules}


def _json(value: object) -> object:
    try:
        return json.loads(value or "{}") if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"must be JSON: {error}") from error


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]
Patterns = Annotated[tuple[str, ...], NoDecode, BeforeValidator(partial(_names, wildcard=True))]
Retention = Annotated[RetentionRules, NoDecode, PlainValidator(_retention), PlainSerializer(_written)]


_MILLISECONDS = "job_timeout"
_ALSO = {"worker_concurrency": "job_concurrency", "worker_task_timeout": _MILLISECONDS}
"""Fields with a second name."""


def _here() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


class InvalidSettings(QueueError):
    """A setting has a value that is not allowed; the message names the variable and what is."""


class Settings(BaseSettings):
    """Everything that can be configured, under the names of the environment.

    In code the names are the same in lower case: ``Settings(database_url=…, worker_concurrency=10)``.
    """

    model_config = SettingsConfigDict(
        env_file=".env", extra="ignore", populate_by_name=True, frozen=True, hide_input_in_errors=True
    )

    database_url: SecretStr | None = Field(None, description="unset: embedded PostgreSQL, its data in DATA_DIR")
    data_dir: Path = Field(Path(".data"), description="what the embedded PostgreSQL and the examples keep")
    in_memory: bool = Field(False, description="keep tasks in this process only, for tests")

    worker_schema: str = Field("worker", pattern=r"^[a-z_][a-z0-9_]{0,49}$")
    worker_jobs: str | None = Field(None, description="package.module:catalog, comma-separated")
    worker_listeners: str | None = Field(
        None, description="package.module:function, comma-separated; each is called with the signals of the worker"
    )
    worker_application: str = Field(
        "default",
        min_length=1,
        max_length=200,
        description="whose schedules these are, where several share a queue",
    )
    worker_schedules: Annotated[dict[str, dict[str, Any]], NoDecode, BeforeValidator(_json)] = Field(
        {}, description='a JSON object: key of a schedule, and what replaces parts of its plan, {"enabled": false}'
    )
    worker_concurrency: int = Field(
        5, ge=1, le=10_000, validation_alias=AliasChoices("worker_concurrency", _ALSO["worker_concurrency"])
    )
    worker_task_timeout: Seconds = Field(
        300.0,
        validation_alias=AliasChoices("worker_task_timeout", _MILLISECONDS),
        description="JOB_TIMEOUT is in milliseconds",
    )
    worker_max_attempts: int = Field(3, ge=1, le=2**31 - 1)
    worker_max_payload: int = Field(1024 * 1024, ge=1, le=256 * 1024 * 1024, description="bytes")
    worker_poll_interval: Seconds = 1.0
    worker_lease: Seconds = Field(60.0, ge=0.5)
    worker_stale_check_interval: Seconds = 15.0
    worker_shutdown_grace: Annotated[float, BeforeValidator(_seconds), Field(ge=0)] = 25.0
    worker_cancel_grace: Annotated[float, BeforeValidator(_seconds), Field(ge=0)] = 10.0
    worker_poison_after: int = Field(3, ge=1, description="workers that may die of one task before it is given up")
    worker_retention: Retention = Field(
        KEEP_ALL, description="as in completed=7d, failed=30d; unset: what has ended stays"
    )
    worker_dead_letter_ttl: Seconds | None = Field(
        None, description="seconds or 90d, after which dead letters are removed; unset: they are kept"
    )
    worker_id: str = Field(default_factory=_here, max_length=200)
    worker_queues: Names = ()
    worker_task_types: Patterns = ()
    worker_processes: int | None = Field(
        None, ge=1, le=1000, description="worker processes that `worker` keeps running; unset: it works itself"
    )
    worker_cpu_processes: int | None = Field(
        None, ge=1, le=1000, description="processes for jobs with isolation='process'; unset: as many as cores"
    )
    worker_process_memory: ByteSize | None = Field(
        None, ge=256_000_000, description="address space of each of them, in bytes or as 2GB; unset: no limit"
    )
    worker_process_tasks: int = Field(1000, ge=1, description="tasks after which one of them is replaced")

    smtp_host: str | None = Field(None, description="of the example email:send; unset: it writes .eml files")
    smtp_port: int = Field(587, ge=1, le=65_535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: Literal["auto", "always", "never"] = "auto"
    smtp_from: str = "Task queue <tasks@localhost>"

    def __init__(self, **values: Any) -> None:
        """Raises InvalidSettings."""
        unknown = sorted(set(values) - set(type(self).model_fields) - {"_env_file", *_ALSO.values()})
        if unknown:
            raise InvalidSettings(f"There is no setting {', '.join(unknown)}; see Settings.model_fields")
        try:
            super().__init__(**_in_seconds(values))
        except ValidationError as error:
            raise InvalidSettings(_explained(error)) from None  # its chain would show what was given, passwords too

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        for source in (env_settings, dotenv_settings):
            if isinstance(source, EnvSettingsSource):
                source.env_vars = _in_seconds(source.env_vars)
        return init_settings, env_settings, dotenv_settings, file_secret_settings

    @field_validator(
        "database_url",
        "worker_jobs",
        "worker_processes",
        "worker_cpu_processes",
        "worker_process_memory",
        "worker_dead_letter_ttl",
        mode="before",
    )
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    @field_validator("worker_id")
    @classmethod
    def _empty_is_here(cls, value: str) -> str:
        return value or _here()

    @field_validator("worker_schema")
    @classmethod
    def _no_schema_of_the_systems(cls, value: str) -> str:
        if value.startswith("pg_"):
            raise ValueError("must not begin with pg_, which PostgreSQL keeps for itself")
        return value

    def replaced(self, **values: Any) -> Self:
        """A copy with those of *values* that are not None. Raises InvalidSettings."""
        given = {name: value for name, value in values.items() if value is not None}
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | given)


def _in_seconds(values: Mapping[str, Any]) -> dict[str, Any]:
    """*values* with the one that is in milliseconds in seconds. Raises InvalidSettings."""
    given = dict(values)
    if given.get(_MILLISECONDS) is not None:
        try:
            given[_MILLISECONDS] = checked_seconds(_MILLISECONDS, float(given[_MILLISECONDS]) / 1000, positive=True)
        except (TypeError, ValueError):
            rule = "must be a number of milliseconds, more than 0 and at most a hundred years"
            raise InvalidSettings(f"{_MILLISECONDS.upper()}: {rule}") from None
    return given


def _explained(error: ValidationError) -> str:
    lines = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(detail["loc"][0]) if detail["loc"] else "settings"
        variables = " or ".join(variable.upper() for variable in (name, _ALSO.get(name)) if variable)
        field = Settings.model_fields.get(name)
        reason = detail["msg"].removeprefix("Value error, ")
        if name == "worker_schedules" and len(detail["loc"]) > 1:
            reason = f"schedule {detail['loc'][1]!r}: {reason}"
        lines.append(f"{variables}: {reason}" + (f" ({field.description})" if field and field.description else ""))
    return "; ".join(lines)
