"""Asking a rig for several things in a row, each as soon as it may be asked."""

from collections.abc import Sequence
from types import MappingProxyType

from deeplabstream.engine.session.rig import Rig
from deeplabstream.engine.session.states import Action

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
"""What the programs' `--start` stands for."""


class RequestQueue:
    """Actions that are still to be asked for, in their order, each once."""

    def __init__(self, actions: Sequence[Action] = ()) -> None:
        self._left = list(actions)

    @property
    def done(self) -> bool:
        """Whether everything was asked for."""
        return not self._left

    def advance(self, rig: Rig) -> None:
        """Ask for what is next if the rig allows it by now; call it after each poll."""
        if self._left and self._left[0] in rig.allowed:
            rig.do(self._left.pop(0))

    def drop(self) -> None:
        """Ask for nothing more: something failed, or a person took over."""
        self._left.clear()
