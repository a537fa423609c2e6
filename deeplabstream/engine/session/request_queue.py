"""Request queue: requests actions one after the other, each as soon as it is allowed."""

from collections.abc import Sequence
from types import MappingProxyType

from deeplabstream.engine.session.session import Session
from deeplabstream.engine.session.session_state import Action

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


class RequestQueue:
    """Actions that are still to be requested, in their order, each once."""

    def __init__(self, actions: Sequence[Action] = ()) -> None:
        self._left = list(actions)

    @property
    def done(self) -> bool:
        """Whether everything was requested."""
        return not self._left

    def advance(self, session: Session) -> None:
        """Request the next action if it is allowed; call it after each poll."""
        if self._left and self._left[0] in session.state.allowed:
            session.do(self._left.pop(0))

    def drop(self) -> None:
        """Drop all requests: something failed, or a user took over."""
        self._left.clear()
