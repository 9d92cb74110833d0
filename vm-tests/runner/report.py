"""What a run shows: each subtest with its time, and the machines' logs if one fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Report:
    """Lines on standard output. Only one scenario writes at a time."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._depth = 1
        self.subtests = 0

    def log(self, text: str) -> None:
        """A detail, for `--verbose`."""
        if self._verbose:
            self.line(text)

    def line(self, text: str) -> None:
        """Something that is always shown."""
        print("  " * self._depth + text, flush=True)

    @contextmanager
    def subtest(self, name: str) -> Iterator[None]:
        """A part of the script with a name of its own."""
        self.log(f"---- {name}")
        started = time.monotonic()
        outcome = "FAILED"
        self._depth += 1
        try:
            yield
            outcome = "ok"
        finally:
            self._depth -= 1
            self.subtests += 1
            self.line(f"{outcome:<6} {time.monotonic() - started:6.2f} s  {name}")

    def document(self, title: str, text: str) -> None:
        """A log, after a failure."""
        print(f"\n---- {title}\n{text.rstrip()}", flush=True)

    def error(self, text: str) -> None:
        """Why a scenario failed."""
        sys.stdout.flush()
        print(text, file=sys.stderr, flush=True)
