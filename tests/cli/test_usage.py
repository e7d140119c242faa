"""The arguments themselves: nothing is guessed."""

import pytest

from tests.cli.running import Cli


@pytest.mark.parametrize(
    "arguments",
    [["worker", "--rel"], ["worker", "--drai"], ["enqueue", "a:b", "--prio", "3"], ["list", "--js"], ["stat"]],
    ids=" ".join,
)
def test_an_abbreviation_is_wrong_usage(call: Cli, arguments: list[str]) -> None:
    """Today's abbreviation is tomorrow's other option; and one of --reload would start itself again for ever."""
    ended = call(*arguments)

    assert (2, "") == (ended.code, ended.out)
