"""Calls that a plugin takes part in: what it raises rejects the record, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from singer_http.errors import StopRun, one_line
from singer_http.operations import Rejection, RejectionKind

T = TypeVar("T")


def item_guard(call: Callable[[], T]) -> T | Rejection:
    """What a call returns; a `Rejection` if it fails on a record.

    Raises:
        StopRun: the run cannot go on.
    """
    try:
        return call()
    except Rejection as rejection:
        return rejection
    except StopRun:
        raise
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one record rejects it
        reason = f"{type(error).__name__}: {one_line(str(error))}"
        return Rejection(RejectionKind.INVALID, reason)
