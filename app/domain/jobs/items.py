"""Items: what is remembered of a batch between its attempts, in a few bytes whatever their number."""

import base64
import binascii
import zlib
from collections.abc import Iterator
from typing import Any

from app.domain.json import JsonText
from app.domain.tasks.failures import Failure, storable

MAX_RESULTS = 262_144
"""Bytes of JSON that the results of all items may have together."""
MAX_ERRORS = 100
"""Failed items whose error is kept."""
MAX_ERROR = 300
"""Characters of each."""


class Items:
    """Which of *total* items are done, and how the others failed; a bit of each, deflated.

    ``kept`` is that as JSON; with the results and errors at their largest and a million items, it stays below the limit
    of a checkpoint.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self.succeeded = 0
        self.failed = 0
        self.left_out = 0
        self._done = bytearray((total + 7) // 8)
        self._results: dict[str, Any] = {}
        self._size = 0
        self._errors: dict[str, str] = {}

    @classmethod
    def again(cls, kept: Any, total: int) -> "Items":
        """What an earlier attempt has left, without its failures; nothing when *kept* is of no batch.

        Raises ValueError when that had another number of items.
        """
        items = cls(total)
        if not isinstance(kept, dict) or not kept.keys() >= items.kept.keys():
            return items
        if kept["total"] != total:
            raise ValueError(
                f"items() has listed {total} items, and {kept['total']} in an earlier attempt: what is done is known by"
                " its place in that list"
            )
        try:
            items._done = bytearray(zlib.decompress(base64.b64decode(kept["done"])))
        except (binascii.Error, zlib.error) as error:
            raise ValueError(f"the checkpoint is damaged: {error}") from error
        items.succeeded = kept["succeeded"]
        items.left_out = kept["left_out"]
        items._results = dict(kept["results"])
        items._size = sum(_size(index, JsonText.of(one, field="result")) for index, one in items._results.items())
        return items

    @property
    def waiting(self) -> Iterator[int]:
        """The places of those that are not done, in order."""
        return (index for index in range(self.total) if not self._done[index >> 3] >> (index & 7) & 1)

    def succeed(self, index: int) -> None:
        self._done[index >> 3] |= 1 << (index & 7)
        self.succeeded += 1

    def keep(self, index: int, result: Any) -> None:
        """Keep what an item returned, as far as there is room. Raises InvalidInput for what is no JSON."""
        if result is None:
            return
        size = _size(str(index), JsonText.of(result, field=f"result of item {index}"))
        if self._size + size > MAX_RESULTS:
            self.left_out += 1
        else:
            self._size += size
            self._results[str(index)] = result

    def fail(self, index: int, error: BaseException) -> None:
        self.failed += 1
        if len(self._errors) < MAX_ERRORS:
            self._errors[str(index)] = storable(str(Failure.of(error)), MAX_ERROR)

    @property
    def result(self) -> dict[str, Any]:
        """A BatchResult, as JSON."""
        return {
            **self._counts,
            "results": {str(index): self._results[str(index)] for index in sorted(map(int, self._results))},
            "errors": {str(index): self._errors[str(index)] for index in sorted(map(int, self._errors))},
        }

    @property
    def kept(self) -> dict[str, Any]:
        done = base64.b64encode(zlib.compress(self._done)).decode()
        return {**self._counts, "results": self._results, "errors": self._errors, "done": done}

    @property
    def _counts(self) -> dict[str, int]:
        return {"total": self.total, "succeeded": self.succeeded, "failed": self.failed, "left_out": self.left_out}


def _size(index: str, result: JsonText) -> int:
    return result.size + len(index) + 4  # the quotes, the colon and the comma
