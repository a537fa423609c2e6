"""Request queue: requests actions one after the other, each as soon as it is allowed."""

from collections.abc import Callable, Iterator, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from deeplabstream.core.clock import Clock, SystemClock
from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.session.session_state import (
    Action,
    News,
    Phase,
    SessionState,
)
from deeplabstream.settings.sections import Settings

if TYPE_CHECKING:
    from deeplabstream.engine.session.session import RigSession

AGENDAS = MappingProxyType(
    {
        "stream": (Action.START_STREAM,),
        "analysis": (Action.START_STREAM, Action.START_ANALYSIS),
        "experiment": (
            Action.START_STREAM,
            Action.START_ANALYSIS,
            Action.START_EXPERIMENT,
        ),
    }
)
"""Actions by the value of the programs' option `--start`."""
_REST_S = 0.03
"""Longest interval between two polls."""


def armed_instead(actions: Sequence[Action], settings: Settings) -> list[Action]:
    """Return the actions; those that a remote starts are replaced by one `ARM`."""
    starts: dict[Action, Literal["experiment", "recording"]] = {
        Action.START_EXPERIMENT: "experiment",
        Action.START_RECORDING: "recording",
    }
    left = [
        action
        for action in actions
        if action not in starts or not settings.controls(starts[action])
    ]
    return [*left, Action.ARM] if len(left) < len(actions) else left


class RequestQueue:
    """Actions that are requested in order, each once.

    Each waits until the one before has taken effect: a recording takes effect when every
    recorded camera has a frame in its video.
    """

    def __init__(self, actions: Sequence[Action] = ()) -> None:
        self._left = list(actions)
        self._last: Action | None = None
        self.experiments = Action.START_EXPERIMENT in self._left
        """Whether an experiment is among the requests."""
        self.done = not self._left
        """Whether everything was requested and has taken effect."""

    def advance(self, session: "RigSession") -> None:
        """Request the next action if it is its turn; call it after each poll."""
        if self.done or not _in_effect(self._last, session.state):
            return
        if not self._left:
            self.done = True
        elif self._left[0] in session.state.allowed:
            self._last = self._left.pop(0)
            session.do(self._last)

    def awaited(self, state: SessionState) -> str:
        """Return the action that has not taken effect, as the end of a sentence."""
        pending = self._last if not _in_effect(self._last, state) else None
        action = pending or (self._left[0] if self._left else None)
        text = f"; {action.value} has not taken effect" if action else ""
        if state.unrecorded:
            names = ", ".join(f"[Camera {name}]" for name in state.unrecorded)
            text += f": {names} without a frame in the video"
        return text

    def drop(self) -> None:
        """Drop all requests: after a failure, or an action of the user."""
        self._left.clear()
        self.done = True


def carried_out(
    queue: RequestQueue,
    session: "RigSession",
    timeout_s: float,
    *,
    clock: Clock | None = None,
    rest: Callable[[float], object] | None = None,
) -> Iterator[Sequence[News]]:
    """Poll a session and request the actions of a queue, until all have taken effect.

    The caller leaves the loop after a failure. While the rig is armed, the time does not
    count.

    Yields
    ------
    sequence of News
        The result of each poll.

    Raises
    ------
    DeviceError
        An action has not taken effect within `timeout_s`.
    """
    clock, rest = clock or SystemClock(), rest or session.rest
    start_ns = clock.now_ns()
    while True:
        yield session.poll()
        queue.advance(session)
        if queue.done:
            return
        if session.state.armed:
            start_ns = clock.now_ns()
        if clock.now_ns() - start_ns >= 1e9 * timeout_s:
            missing = queue.awaited(session.state)
            raise DeviceError(f"the rig was not ready within {timeout_s:g} s{missing}")
        rest(_REST_S)


def _in_effect(action: Action | None, state: SessionState) -> bool:
    """Return whether a requested action is carried out; an experiment may be over again."""
    match action:
        case Action.START_STREAM:
            return state.phase is Phase.STREAMING
        case Action.START_ANALYSIS:
            return state.analysing
        case Action.START_RECORDING:
            return not state.recording_starting
        case Action.START_EXPERIMENT:
            return not state.experiment_starting
        case Action.ARM:
            return not state.armed and not state.experiment_starting
    return True
