"""Waiting for a condition, with a deadline and words for what did not happen."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(what: str, condition: Callable[[], T | None], timeout: float = 60, interval: float = 0.2) -> T:
    """Calls `condition` until it returns something true, and returns that.

    An AssertionError inside the condition counts as "not yet"; its text is part of the final message, and so
    is the last value.
    """
    deadline = time.monotonic() + timeout
    last: object = None
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except AssertionError as error:
            last = f"AssertionError: {error}"
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {timeout:g} s: {what}; last seen: {last!r}")
        time.sleep(interval)


def stays(what: str, condition: Callable[[], bool], seconds: float, interval: float = 0.3) -> None:
    """The condition holds for the whole time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert condition(), f"did not stay for {seconds:g} s: {what}"
        time.sleep(interval)
