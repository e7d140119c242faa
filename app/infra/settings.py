"""Settings: read once from code, command line, environment and ``.env``, handed on as values."""

import os
import re
import socket
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from app.domain.errors import InvalidInput, QueueError
from app.domain.moments import checked_seconds, duration
from app.domain.names import checked_names


def _seconds(value: object) -> float:
    try:
        return duration(value) if isinstance(value, str) else checked_seconds("duration", value)
    except InvalidInput as error:
        raise ValueError(error.rule) from error


def _names(value: object) -> object:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    try:
        return checked_names("it", value, wildcard=True)  # type: ignore[arg-type]  # checked there, that is its purpose
    except InvalidInput as error:
        raise ValueError(error.rule) from error


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_names)]


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
    worker_concurrency: int = Field(
        5, ge=1, le=10_000, validation_alias=AliasChoices("worker_concurrency", "job_concurrency")
    )
    worker_task_timeout: Seconds = 300.0
    job_timeout: float | None = Field(None, gt=0, description="milliseconds; WORKER_TASK_TIMEOUT goes before it")
    worker_max_attempts: int = Field(3, ge=1, le=2**31 - 1)
    worker_max_payload: int = Field(1024 * 1024, ge=1, le=256 * 1024 * 1024, description="bytes")
    worker_poll_interval: Seconds = 1.0
    worker_lease: Seconds = Field(60.0, ge=0.5)
    worker_stale_check_interval: Seconds = 15.0
    worker_shutdown_grace: Annotated[float, BeforeValidator(_seconds), Field(ge=0)] = 25.0
    worker_id: str = Field(default_factory=lambda: f"{socket.gethostname()}-{os.getpid()}", max_length=200)
    worker_queues: Names = ()
    worker_task_types: Names = ()

    smtp_host: str | None = Field(None, description="of the example email:send; unset: it writes .eml files")
    smtp_port: int = Field(587, ge=1, le=65_535)
    smtp_username: str | None = None
    smtp_password: SecretStr | None = None
    smtp_starttls: Literal["auto", "always", "never"] = "auto"
    smtp_from: str = "Task queue <tasks@localhost>"

    def __init__(self, **values: Any) -> None:
        """Raises InvalidSettings."""
        unknown = sorted(set(values) - set(type(self).model_fields) - {"_env_file"})
        if unknown:
            raise InvalidSettings(f"There is no setting {', '.join(unknown)}; see Settings.model_fields")
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InvalidSettings(_explained(error)) from None  # its chain would show what was given, passwords too

    @model_validator(mode="before")
    @classmethod
    def _milliseconds(cls, values: Any) -> Any:
        if isinstance(values, dict) and "worker_task_timeout" not in values:
            milliseconds = values.get("job_timeout")
            if isinstance(milliseconds, str | int | float) and re.fullmatch(r"\s*[\d.]+\s*", str(milliseconds)):
                return values | {"worker_task_timeout": float(milliseconds) / 1000}
        return values

    @field_validator("database_url", mode="before")
    @classmethod
    def _empty_is_unset(cls, value: object) -> object:
        return None if value == "" else value

    def replaced(self, **values: Any) -> Self:
        """A copy with those of *values* that are not None. Raises InvalidSettings."""
        given = {name: value for name, value in values.items() if value is not None}
        return type(self)(**{name: getattr(self, name) for name in self.model_fields_set} | given)


def _explained(error: ValidationError) -> str:
    lines = []
    for detail in error.errors(include_url=False, include_input=False, include_context=False):
        name = str(detail["loc"][0]).upper() if detail["loc"] else "settings"
        reason = detail["msg"].removeprefix("Value error, ")
        description = Settings.model_fields[name.lower()].description if name.lower() in Settings.model_fields else None
        lines.append(f"{name}: {reason}" + (f" ({description})" if description else ""))
    return "; ".join(lines)
