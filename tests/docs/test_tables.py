"""The README's tables that repeat what stands in the code."""

import argparse
import re
from pathlib import Path
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo

from app.cli.parser import parser
from app.domain.retention_rules import RetentionRules
from app.infra.settings import Settings
from tests.docs.markdown import README, table


def test_the_table_of_settings_is_the_settings() -> None:
    """Every field, in its order, with every name of the environment and its default."""
    expected = [(_names(name, field), _default(field)) for name, field in Settings.model_fields.items()]

    written = [(tuple(re.findall("`([A-Z_]+)`", names)), default.strip("`")) for names, default, *_ in _settings()]

    assert dict(expected) == dict(written)


def test_the_table_of_verbs_is_the_command_line() -> None:
    """Every verb with exactly its options."""
    [verbs] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    expected = {name: _options(verb) for name, verb in verbs.choices.items()}

    rows = [row[0] for row in table(README, "Command line")]
    written = {row.strip("`").split()[0]: set(re.findall(r"--[a-z-]+", row)) for row in rows}

    assert expected == written


def _settings() -> list[list[str]]:
    return table(README, "Settings")


def _names(name: str, field: FieldInfo) -> tuple[str, ...]:
    alias = field.validation_alias
    return tuple(str(one).upper() for one in alias.choices) if isinstance(alias, AliasChoices) else (name.upper(),)


def _default(field: FieldInfo) -> str:
    if field.default_factory is not None:
        return "host and process"
    match field.default:
        case None | RetentionRules(rules=()):
            return "unset"
        case bool(value):
            return str(value).lower()
        case float(seconds):
            return f"{seconds:g} s"
        case () | {}:
            return "all" if field.default == () else "none"
        case Path() | int() | str() as value:
            return str(value)
    raise AssertionError(f"how is {field.default!r} written?")


def _options(verb: Any) -> set[str]:
    """Those of its own, and of the actions below it."""
    below = [action for action in verb._actions if isinstance(action, argparse._SubParsersAction)]
    actions = [one for action in below for one in action.choices.values()]
    ours = {option for action in verb._actions for option in action.option_strings if option.startswith("--")}
    return ours.union(*map(_options, actions)) - {"--help", "--json"}
