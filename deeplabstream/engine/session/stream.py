"""What is known of one stream: its cameras, its network, its counts, its run folder."""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

from deeplabstream.core.frame import Frame, ImageFormat
from deeplabstream.core.journal_entries import Acknowledged, Edge, Entry, Step
from deeplabstream.core.pose import Pose, Skeleton, Thresholds
from deeplabstream.engine.animal_identity import IdentityState
from deeplabstream.engine.session.messages import (
    Analysing,
    CameraOpened,
    ControlChanged,
    Filmed,
    NetworkReady,
    RunOpened,
    WatchdogChecked,
)
from deeplabstream.engine.session.states import Counts
from deeplabstream.ipc.ring import Ring, RingReader, Stamp
from deeplabstream.plugins.camera_controls import CameraControl
from deeplabstream.recording.identity_totals import IdentityTotals
from deeplabstream.settings.sections import Settings, effective


@dataclass
class Stream:
    """Knowledge of a stream; kept after its end, but for the pictures."""

    start_ns: int = 0
    """Zero of the run's time."""
    text: str = ""
    """The settings as used."""
    effective: Mapping[str, object] = field(default_factory=dict)
    """What counts of them, for the record."""
    formats: dict[str, ImageFormat] = field(default_factory=dict)
    knows_losses: dict[str, bool] = field(default_factory=dict)
    devices: dict[str, dict[str, str]] = field(default_factory=dict)
    """By camera: which device it is, and whose clock stamps its frames."""
    dials: dict[str, tuple[CameraControl, ...]] = field(default_factory=dict)
    """By camera: what can be changed while it films, as the device says it is."""
    network: NetworkReady | None = None
    run_folder: Path | None = None
    levels: dict[str, float] = field(default_factory=dict)
    """The present level of each output."""
    edges: dict[str, Edge] = field(default_factory=dict)
    """By output: what was written last; none of one that is not open."""
    acknowledged: dict[str, Acknowledged] = field(default_factory=dict)
    """By output: what its device said last."""
    proofs: list[WatchdogChecked] = field(default_factory=list)
    """Of boards' watchdogs."""
    recorded: Mapping[str, int] = field(default_factory=dict)
    recording_losses: Mapping[str, int] = field(default_factory=dict)
    waiting: Mapping[str, int] = field(default_factory=dict)
    """Frames in the rings that are to be filmed."""
    _rings: dict[str, Ring] = field(default_factory=dict)
    _shown: dict[str, RingReader] = field(default_factory=dict)
    _found: dict[str, RingReader] = field(default_factory=dict)
    _analysed: dict[str, int] = field(default_factory=dict)
    _identity: IdentityTotals = field(default_factory=IdentityTotals)
    _last_poses: dict[str, Pose] = field(default_factory=dict)
    _analysed_from: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, start_ns: int) -> Self:
        """Return a stream that begins: all outputs are off."""
        levels = dict.fromkeys(settings.outputs, 0.0)
        return cls(start_ns, settings.text, effective(settings), levels=levels)

    @property
    def skeleton(self) -> Skeleton | None:
        """The network's body parts; None until it is loaded."""
        return self.network.skeleton if self.network else None

    @property
    def thresholds(self) -> Thresholds:
        """The confidences below which a point counts as not seen; 0 without a network."""
        if self.network is None:
            return Thresholds(0.0)
        facts = self.network.facts
        own = {camera: each.threshold for camera, each in facts.cameras.items()}
        return Thresholds(facts.threshold, own)

    @property
    def provider(self) -> str:
        """What computes the poses; empty until the network is loaded."""
        return self.network.facts.provider if self.network else ""

    def add_camera(self, ring: Ring, opened: CameraOpened) -> None:
        """Look at a camera that has opened."""
        camera = ring.spec.camera
        self.formats[camera] = ring.spec.format
        self.knows_losses[camera] = opened.knows_losses
        self.devices[camera] = {"device": opened.device, "clock": opened.clock}
        self.dials[camera] = opened.dials
        self._rings[camera] = ring
        self._shown[camera] = RingReader(ring)
        self._found[camera] = RingReader(ring)

    def hear(self, message: object) -> None:
        """Take note of what a process said."""
        match message:
            case NetworkReady():
                self.network = message
            case Analysing(active):
                self._analyse(active)
            case RunOpened(path):
                self.run_folder = path
            case Filmed(recorded, losses, waiting):
                self.recorded, self.recording_losses = recorded, losses
                self.waiting = waiting
            case WatchdogChecked():
                self.proofs.append(message)
            case ControlChanged():
                self._turned(message)

    def _analyse(self, active: bool) -> None:
        """Count analysed frames from now on, or no longer."""
        self._analysed_from = {}
        if active:
            self._analysed = {}
            rings = self._rings.items()
            self._analysed_from = {name: ring.published for name, ring in rings}

    def _turned(self, told: ControlChanged) -> None:
        self.dials[told.camera] = told.dials or self.dials[told.camera]
        for dial in told.dials:
            if dial.key == "rate" and isinstance(dial.now, float | int):
                form = self.formats[told.camera]
                self.formats[told.camera] = replace(form, rate=float(dial.now))

    def newest(self, camera: str) -> Frame | None:
        """Return the newest picture not yet shown; good until the next call."""
        reader = self._shown.get(camera)
        return reader.newest() if reader else None

    def image_of(self, step: Step) -> Frame | None:
        """Return the picture that a step tells of; None when it is gone already."""
        reader = self._found.get(step.camera)
        return reader.of(step.index) if reader else None

    def take(self, entry: Entry) -> None:
        """Count what an entry of the journal tells."""
        if isinstance(entry, Step):
            self._analysed[entry.camera] = self._analysed.get(entry.camera, 0) + 1
            self._identity.add(entry)
            if entry.pose.identity:
                self._last_poses[entry.camera] = entry.pose
        elif isinstance(entry, Edge):
            self.levels[entry.output] = entry.level
            self.edges[entry.output] = entry
            if entry.cause == "close":
                del self.edges[entry.output]
        elif isinstance(entry, Acknowledged):
            self.acknowledged[entry.output] = entry

    def identity(self) -> dict[str, IdentityState]:
        """Return what was said of several animals so far, by camera."""
        totals = self._identity.facts()
        return {
            camera: IdentityState(pose, totals[camera])
            for camera, pose in self._last_poses.items()
        }

    def stamps(self) -> dict[str, Stamp]:
        """Return when the newest frame of each camera was exposed, and arrived."""
        stamps = {name: ring.last_stamp for name, ring in self._rings.items()}
        return {name: stamp for name, stamp in stamps.items() if stamp is not None}

    def counts(self) -> dict[str, Counts]:
        """Return where the frames of each camera went so far."""
        return {
            camera: self._counted(camera, ring) for camera, ring in self._rings.items()
        }

    def facts(self) -> dict[str, object]:
        """Return what the record has to say of settings, devices and the loaded network."""
        network = self.network
        dials = {
            name: {dial.key: dial.now for dial in each}
            for name, each in self.dials.items()
        }
        known = {**self.effective, "devices": dict(self.devices), "dials": dials}
        if network is None:
            return known
        return {
            **known,
            "model": asdict(network.facts),
            "skeleton": asdict(network.skeleton),
            **({"remarks": list(network.remarks)} if network.remarks else {}),
        }

    def end(self, left_on: Collection[str] = ()) -> None:
        """Let go of the pictures: their memory is given back; all but `left_on` is off."""
        self._rings, self._shown, self._found = {}, {}, {}
        self.levels = {
            name: level if name in left_on else 0.0
            for name, level in self.levels.items()
        }

    def _counted(self, camera: str, ring: Ring) -> Counts:
        delivered, analysed = ring.published, self._analysed.get(camera, 0)
        lost = None
        if self.knows_losses[camera]:
            lost = max(0, ring.last_index + 1 - delivered)
        skipped = 0
        if camera in self._analysed_from:
            being_posed = 1
            since = delivered - self._analysed_from[camera]
            skipped = max(0, since - analysed - being_posed)
        return Counts(
            delivered,
            lost,
            analysed,
            skipped,
            self.recorded.get(camera, 0),
            self.recording_losses.get(camera, 0),
            self.waiting.get(camera, 0),
        )
