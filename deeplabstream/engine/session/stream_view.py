"""What windows and command lines may look at of a stream."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Acknowledged, Edge, Step
from deeplabstream.core.pose import Skeleton, Thresholds
from deeplabstream.engine.animal_identity import IdentityState
from deeplabstream.engine.session.messages import WatchdogChecked
from deeplabstream.engine.session.states import Counts
from deeplabstream.engine.session.stream import Stream
from deeplabstream.ipc.ring import Stamp
from deeplabstream.plugins.camera_controls import CameraControl


class StreamView:
    """Gives what is known of the present stream, or of the last one."""

    def __init__(self) -> None:
        self._stream = Stream()

    @property
    def formats(self) -> Mapping[str, ImageFormat]:
        """What each open camera delivers."""
        return MappingProxyType(self._stream.formats)

    @property
    def dials(self) -> Mapping[str, tuple[CameraControl, ...]]:
        """By camera: what can be changed while it films, as the device says it is."""
        return MappingProxyType(self._stream.dials)

    @property
    def skeleton(self) -> Skeleton | None:
        """The network's body parts; None until it is loaded."""
        return self._stream.skeleton

    @property
    def thresholds(self) -> Thresholds:
        """The confidences below which a point counts as not seen, camera by camera."""
        return self._stream.thresholds

    @property
    def provider(self) -> str:
        """What computes the poses; empty until the network is loaded."""
        return self._stream.provider

    @property
    def counts(self) -> Mapping[str, Counts]:
        """Where the frames of each camera went so far."""
        return MappingProxyType(self._stream.counts())

    @property
    def levels(self) -> Mapping[str, float]:
        """The present level of each output."""
        return MappingProxyType(self._stream.levels)

    @property
    def edges(self) -> Mapping[str, Edge]:
        """What was written last to each output that is open."""
        return MappingProxyType(self._stream.edges)

    @property
    def acknowledged(self) -> Mapping[str, Acknowledged]:
        """What the device of each output said last, if it says something."""
        return MappingProxyType(self._stream.acknowledged)

    @property
    def proofs(self) -> tuple[WatchdogChecked, ...]:
        """Whether the watchdogs of the rig's boards work."""
        return tuple(self._stream.proofs)

    @property
    def stamps(self) -> Mapping[str, Stamp]:
        """When the newest frame of each camera was exposed, and arrived."""
        return self._stream.stamps()

    @property
    def identity(self) -> Mapping[str, IdentityState]:
        """By camera what was said of several animals so far; empty: there is one."""
        return self._stream.identity()

    @property
    def run_folder(self) -> Path | None:
        """Where the run is written; None until something is."""
        return self._stream.run_folder

    @property
    def stream_start_ns(self) -> int:
        """Zero of the run's time."""
        return self._stream.start_ns

    def newest(self, camera: str) -> Frame | None:
        """Return the newest picture not yet shown; good until the next call."""
        return self._stream.newest(camera)

    def image_of(self, step: Step) -> Frame | None:
        """Return the picture that a step tells of; None when it is gone already."""
        return self._stream.image_of(step)
