"""What the processes of a rig say to each other, over pipes."""

from dataclasses import dataclass

from core.frame import ImageFormat
from core.pose import Skeleton

# from a camera process


@dataclass(frozen=True, slots=True)
class CameraOpened:
    """The camera delivers; its process waits for the spec of its ring."""

    camera: str
    format: ImageFormat
    knows_losses: bool


@dataclass(frozen=True, slots=True)
class CameraEnded:
    """The camera has no more pictures: the video is over."""

    camera: str


# from any process


@dataclass(frozen=True, slots=True)
class ProcessFailed:
    """A process could not go on; a sentence for the user."""

    text: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that was asked for could not be done; the stream goes on."""

    text: str


# to the engine


@dataclass(frozen=True, slots=True)
class Analyse:
    """Start or stop posing frames."""

    active: bool


@dataclass(frozen=True, slots=True)
class Conduct:
    """Start or stop the experiment."""

    active: bool


# from the engine


@dataclass(frozen=True, slots=True)
class NetworkReady:
    """The network is loaded and warm."""

    skeleton: Skeleton
    threshold: float
    provider: str
    model: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Analysing:
    """Frames are posed from now on, or no longer."""

    active: bool


@dataclass(frozen=True, slots=True)
class Conducting:
    """The experiment runs from now on, or has ended."""

    active: bool
    text: str = ""
    """How it ended."""
