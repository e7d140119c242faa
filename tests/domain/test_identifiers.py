"""TaskIds: UUIDs of version 7 that rise, whatever clock and threads do."""

import pickle
import threading
from collections.abc import Callable
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest

from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskIds, checked_task_id


def ids_at(*moments: int, random: Callable[[int], bytes] = bytes) -> list[UUID]:
    """Ids made while the clock showed these milliseconds, one after the other."""
    clock = iter(moments)
    new_ids = TaskIds(lambda: next(clock), random)
    return [new_ids(1)[0] for _ in moments]


def test_an_id_is_a_uuid_of_version_7() -> None:
    """
    With the variant that RFC 9562 asks for, whatever the random bits are.
    """
    for noise in (b"\x00", b"\xff", b"\xa5"):
        [made] = ids_at(1_700_000_000_000, random=lambda size, noise=noise: noise * size)  # type: ignore[misc]
        assert (7, RFC_4122) == (made.version, made.variant)


def test_an_id_begins_with_its_millisecond() -> None:
    """
    The first 48 bits are Unix milliseconds, big-endian.
    """
    [made] = ids_at(0x0123456789AB, random=lambda size: b"\xff" * size)

    assert "01234567-89ab-7" == str(made)[:15]


def test_ids_differ_by_chance() -> None:
    """
    Two makers at the same moment do not make the same id.
    """
    one, other = TaskIds(lambda: 7), TaskIds(lambda: 7)

    assert one(1) != other(1)


def test_ids_of_one_millisecond_rise() -> None:
    """
    A thousand ids made while the clock stood still are in order and differ.
    """
    made = ids_at(*[5] * 1000, random=lambda size: b"\xff" * size)

    assert all(one < other for one, other in pairwise(made))


def test_ids_made_at_once_rise_and_those_made_next_rise_above_them() -> None:
    """
    However many are asked for, in one millisecond.
    """
    new_ids = TaskIds(lambda: 5, random=lambda size: b"\xff" * size)
    made = [*new_ids(3), *new_ids(0), *new_ids(500), *new_ids(1)]

    assert 504 == len(made)
    assert all(one < other for one, other in pairwise(made))


def test_an_id_is_what_uuid_itself_makes_of_its_number() -> None:
    """
    In every way one can look at it, also once pickled.
    """
    [made] = TaskIds()(1)
    same = UUID(int=made.int)

    assert (same, hash(same), repr(same), same.is_safe) == (made, hash(made), repr(made), made.is_safe)
    assert same == pickle.loads(pickle.dumps(made))


def test_the_counter_crosses_from_its_low_bits_into_its_high_ones() -> None:
    """
    The counter is split around the variant's bits and rises across the gap.
    """
    noise = ((1 << 30) - 2) << 32
    made = ids_at(*[5] * 5, random=lambda size: noise.to_bytes(size, "big"))

    assert all(one < other for one, other in pairwise(made))
    assert {(7, RFC_4122)} == {(one.version, one.variant) for one in made}


def test_ids_rise_when_the_clock_is_set_back() -> None:
    """
    The last millisecond goes on counting until the clock has caught up.
    """
    made = ids_at(1000, 400, 999, 1000, 1001, 1)

    assert made == sorted(made)
    assert [1000, 1000, 1000, 1000, 1001, 1001] == [one.int >> 80 for one in made]


def test_ids_made_by_many_threads_rise_in_each_and_differ_in_all() -> None:
    """
    Eight threads make a thousand times three ids each at once.
    """
    new_ids = TaskIds(lambda: 5)
    gate = threading.Barrier(8)
    made: list[list[UUID]] = [[] for _ in range(8)]

    def make(mine: list[UUID]) -> None:
        gate.wait(timeout=10)
        for _ in range(1000):
            mine += new_ids(3)

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert all(mine == sorted(mine) for mine in made)
    assert 24_000 == len({one for mine in made for one in mine})


def test_an_id_may_be_given_as_text() -> None:
    """
    In the forms that UUID reads.
    """
    [made] = TaskIds()(1)

    assert [made, made, made] == [checked_task_id(made), checked_task_id(str(made)), checked_task_id(made.hex)]


@pytest.mark.parametrize("value", ["", "nonsense", None, 7, 1.5, b"x" * 16, ["a"], object(), "0" * 31])
def test_what_is_no_id_is_refused(value: object) -> None:
    """
    With the field and the value in the error.
    """
    with pytest.raises(InvalidInput) as refused:
        checked_task_id(value)

    assert ("task_id", value) == (refused.value.field, refused.value.value)
