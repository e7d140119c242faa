"""The progress bar: how far something has come, on a terminal, and nothing at all where nobody looks."""

import sys
from types import TracebackType
from typing import TextIO

WIDTH = 30


class ProgressBar:
    """Use it in a ``with``; it is drawn over itself on *to*, unless *quiet* or where that is no terminal."""

    def __init__(self, label: str, *, quiet: bool, to: TextIO | None = None) -> None:
        self._to = sys.stderr if to is None else to
        self._label = label
        self._shows = not quiet and self._to.isatty()
        self._drawn = ""

    def draw(self, done: int, total: int) -> None:
        share = min(1.0, done / total) if total else 1.0
        full = int(share * WIDTH)
        line = f"{self._label} [{'#' * full}{'.' * (WIDTH - full)}] {share:4.0%}  {done:,} of {total:,}"
        if self._shows and line != self._drawn:
            self._to.write("\r" + line.ljust(len(self._drawn)))
            self._to.flush()
            self._drawn = line

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._drawn:
            self._to.write("\n")
            self._to.flush()
