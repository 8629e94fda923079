"""What to do with a computation, given the mode the user chose and the status of its result: one table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Literal

__all__ = ["Action", "Mode", "Plan", "Replace", "Status", "decide", "plan"]

Mode = Literal["cached", "retry", "force", "read-only"]
Status = Literal["not submitted", "running", "completed", "failed"]


class Action(Enum):
    """The one next step for a computation."""

    COMPUTE = "compute"  # nothing is there, or a failure may be replaced
    RECOMPUTE = "recompute"  # something is there, and stays until the new result replaces it
    CANCEL_AND_RECOMPUTE = "cancel, then recompute"
    WAIT = "wait"
    LOAD = "load"
    RAISE = "raise the stored error"
    REFUSE = "refuse"


class Replace(Enum):
    """What a computation may put its result in the place of."""

    NOTHING = "the first result stands"
    FAILURE = "a failure, but not a value that somebody else stored in the meantime"
    ANYTHING = "whatever is stored"


@dataclass(frozen=True, slots=True)
class Plan:
    """The next step, and what it may replace."""

    action: Action
    replace: Replace = Replace.NOTHING


_TABLE: dict[tuple[Mode, Status], Action] = {
    ("cached", "not submitted"): Action.COMPUTE,
    ("cached", "running"): Action.WAIT,
    ("cached", "completed"): Action.LOAD,
    ("cached", "failed"): Action.RAISE,
    ("retry", "not submitted"): Action.COMPUTE,
    ("retry", "running"): Action.WAIT,
    ("retry", "completed"): Action.LOAD,
    ("retry", "failed"): Action.RECOMPUTE,
    ("force", "not submitted"): Action.COMPUTE,
    ("force", "running"): Action.CANCEL_AND_RECOMPUTE,
    ("force", "completed"): Action.RECOMPUTE,
    ("force", "failed"): Action.RECOMPUTE,
    ("read-only", "not submitted"): Action.REFUSE,
    ("read-only", "running"): Action.WAIT,
    ("read-only", "completed"): Action.LOAD,
    ("read-only", "failed"): Action.RAISE,
}


def decide(mode: Mode, status: Status) -> Action:
    """Return the next step for a computation of that status under that mode.

    Examples
    --------
    >>> decide("retry", "failed")
    <Action.RECOMPUTE: 'recompute'>
    """
    return _TABLE[mode, status]


def plan(mode: Mode, status: Status) -> Plan:
    """Return the next step together with what it may replace.

    Examples
    --------
    >>> plan("retry", "failed").replace
    <Replace.FAILURE: 'a failure, but not a value that somebody else stored in the meantime'>
    """
    action = decide(mode, status)
    if action in (Action.RECOMPUTE, Action.CANCEL_AND_RECOMPUTE):
        return Plan(action, Replace.FAILURE if mode == "retry" else Replace.ANYTHING)
    return Plan(action)
