"""Start of an experiment: the state machine from the request to the running experiment.

It decides and does nothing itself: each event returns the next action of the session.
"""

from enum import Enum


class StartPhase(Enum):
    """State of the start of an experiment."""

    NONE = "none"
    """No experiment was requested, or it runs."""
    OUTPUTS = "outputs"
    """The engine opens outputs."""
    RECORDERS = "recorders"
    """Other recorders answer whether they are ready."""
    ANIMALS = "animals"
    """The identity trackers learn which animals look alike."""
    VIDEO = "video"
    """Each recorded camera gets a frame into its video; other recorders start."""


class StartAction(Enum):
    """Next action of the session to start the experiment."""

    NOTHING = "nothing"
    OPEN_OUTPUTS = "open outputs"
    CHECK_RECORDERS = "check recorders"
    CHECK_ANIMALS = "check animals"
    INSPECT = "inspect"
    """Run the pre-flight check; then start recording, and call `checked`."""
    REFUSE = "refuse"
    RUN = "run"


class ExperimentStart:
    """State machine of the start of an experiment.

    ========== ============================================ ========== ===============
    phase      event                                        next phase action
    ========== ============================================ ========== ===============
    none       `requested`, outputs are closed              outputs    open outputs
    none       `requested`, outputs are open                none       check recorders
    outputs    `outputs_opened`                             none       check recorders
    outputs    `outputs_opened`, not all could be opened    none       refuse
    none       `recorders_checked`, answers are awaited       recorders  nothing
    none       `recorders_checked`, none is awaited           none       check animals
    recorders  `recorders_answered`, none is awaited        none       check animals
    none       `animals_checked`, they are not known yet    animals    nothing
    none       `animals_checked`, known                     none       inspect
    animals    `animals_learned`                            none       inspect
    none       `checked`                                    video      nothing
    video      `progressed`, all that it waits for is done  none       run
    any        `cancelled`                                  none       nothing
    ========== ============================================ ========== ===============

    An event in another phase changes nothing: it is late, since the start was cancelled.
    Outputs come first, because a device that is missing is the most frequent reason for a
    refusal; video comes last, so that no run folder is made for an experiment that is refused.
    """

    def __init__(self) -> None:
        self.phase = StartPhase.NONE
        self._without_video = False

    @property
    def waiting(self) -> bool:
        """Whether a requested experiment waits for something."""
        return self.phase is not StartPhase.NONE

    @property
    def recorders_may_start(self) -> bool:
        """Whether only the video can still delay the experiment."""
        return self.phase in (StartPhase.NONE, StartPhase.VIDEO)

    def requested(self, outputs_open: bool) -> StartAction:
        """Start the experiment: request its outputs."""
        if outputs_open:
            return StartAction.CHECK_RECORDERS
        self.phase = StartPhase.OUTPUTS
        return StartAction.OPEN_OUTPUTS

    def outputs_opened(self, problem: str) -> StartAction:
        """Record that the engine has opened the outputs, or could not: `problem`."""
        if self.phase is not StartPhase.OUTPUTS:
            return StartAction.NOTHING
        self.phase = StartPhase.NONE
        return StartAction.REFUSE if problem else StartAction.CHECK_RECORDERS

    def recorders_checked(self, awaited: bool) -> StartAction:
        """Record that other recorders were requested to answer; `awaited`: there are some."""
        if not awaited:
            return StartAction.CHECK_ANIMALS
        self.phase = StartPhase.RECORDERS
        return StartAction.NOTHING

    def recorders_answered(self, awaited: bool) -> StartAction:
        """Record answers of other recorders; `awaited`: some are still missing."""
        if self.phase is not StartPhase.RECORDERS or awaited:
            return StartAction.NOTHING
        self.phase = StartPhase.NONE
        return StartAction.CHECK_ANIMALS

    def animals_checked(self, awaited: bool) -> StartAction:
        """Record whether it is not known yet which animals look alike."""
        if not awaited:
            return StartAction.INSPECT
        self.phase = StartPhase.ANIMALS
        return StartAction.NOTHING

    def animals_learned(self, awaited: bool) -> StartAction:
        """Record whether that is still not known, and may become known in time."""
        if self.phase is not StartPhase.ANIMALS or awaited:
            return StartAction.NOTHING
        self.phase = StartPhase.NONE
        return StartAction.INSPECT

    def checked(self) -> None:
        """Record that the pre-flight check has passed, and the recording was requested."""
        self.phase, self._without_video = StartPhase.VIDEO, False

    def progressed(
        self, video: bool, recorders_starting: bool, without_video: bool = False
    ) -> StartAction:
        """Record whether all videos have a frame, and whether other recorders still start.

        `without_video`: from now on the experiment does not wait for video.
        """
        self._without_video = self._without_video or without_video
        ready = (video or self._without_video) and not recorders_starting
        if self.phase is not StartPhase.VIDEO or not ready:
            return StartAction.NOTHING
        self.phase = StartPhase.NONE
        return StartAction.RUN

    def cancelled(self) -> None:
        """Discard the request."""
        self.phase = StartPhase.NONE
