"""Items: a batch is remembered in few bytes, and found again as it was."""

import random

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.context import MAX_CHECKPOINT
from app.domain.jobs.items import MAX_ERRORS, MAX_RESULTS, Items
from app.domain.json import JsonText


def remembered(items: Items) -> JsonText:
    return JsonText.of(items.kept, field="checkpoint")


@pytest.mark.parametrize("total", [0, 1, 7, 8, 9, 1_000])
def test_what_is_done_is_found_again(total: int) -> None:
    """
    Any of them, by way of JSON; failures are not, since they are about to be tried again.
    """
    chance = random.Random(total)
    items = Items(total)
    done = {index for index in range(total) if chance.random() < 0.5}
    for index in range(total):
        if index in done:
            items.succeed(index)
            items.keep(index, index or None)
        else:
            items.fail(index, ValueError("bad"))

    again = Items.again(remembered(items).decoded(), total)

    assert set(range(total)) - done == set(again.waiting)
    assert (len(done), 0, {}) == (again.succeeded, again.failed, again.result["errors"])
    assert {str(index): index for index in done if index} == again.result["results"]


def test_a_hundred_thousand_items_are_remembered_in_some_kilobytes() -> None:
    """
    In a few bytes when they are done in order, and never in much more than a bit for each.
    """
    chance = random.Random(1)
    in_order, at_random = Items(100_000), Items(100_000)
    for index in range(60_000):
        in_order.succeed(index)
    for index in range(100_000):
        if chance.random() < 0.5:
            at_random.succeed(index)

    assert (True, True) == (remembered(in_order).size < 300, remembered(at_random).size < 20_000)


def test_the_largest_memory_is_smaller_than_a_checkpoint_may_be() -> None:
    """
    A million items, all results that are kept, all errors at their longest.
    """
    chance = random.Random(2)
    items = Items(1_000_000)
    for index in range(1_000_000):
        if chance.random() < 0.5:
            items.succeed(index)
    for index in range(200):
        items.keep(index, "ü" * 1_000)
        items.fail(index, ValueError("\N{GRINNING FACE}" * 1_000))

    assert MAX_RESULTS < remembered(items).size < MAX_CHECKPOINT
    assert (MAX_ERRORS, 200) == (len(items.result["errors"]), items.failed)
    assert 200 == len(items.result["results"]) + items.left_out


def test_results_are_kept_while_there_is_room_in_a_later_attempt_too() -> None:
    """
    What is there already counts.
    """
    items = Items(3)
    items.keep(0, "x" * (MAX_RESULTS - 100))
    again = Items.again(remembered(items).decoded(), 3)
    again.keep(1, "y" * 200)
    again.keep(2, "z" * 20)

    assert (["0", "2"], 1) == (list(again.result["results"]), again.left_out)


def test_a_result_that_is_no_json_is_refused_by_its_place() -> None:
    """
    The item's place in the list.
    """
    with pytest.raises(InvalidInput, match="result of item 4"):
        Items(9).keep(4, object())


def test_a_checkpoint_of_no_batch_is_none() -> None:
    """
    A job may have become a batch since.
    """
    others = (None, "page 3", {"page": 3}, {"done": [0, 1], "total": 2})

    assert [[0, 1]] * 4 == [list(Items.again(kept, 2).waiting) for kept in others]


def test_another_number_of_items_or_a_damaged_memory_is_refused() -> None:
    """
    Nothing is known of the places then.
    """
    kept = Items(3).kept

    with pytest.raises(ValueError, match="has listed 4 items, and 3 in an earlier attempt"):
        Items.again(kept, 4)
    with pytest.raises(ValueError, match="damaged"):
        Items.again(kept | {"done": "AAAA"}, 3)
