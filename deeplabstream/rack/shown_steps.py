"""Shown steps: poses and triggers of a box's newest analysed frames, for programs that show them.

They lie in shared memory like frames: one ring for each camera, whose images are texts of
JSON. The number of such an image is that of the analysed frame.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.frame import ImageFormat
from deeplabstream.core.journal_entries import Step
from deeplabstream.core.pose import Pose, Skeleton
from deeplabstream.ipc.ring import FrameRing, RingSpec, RingWriter, create_ring

LONGEST = 32768
"""Longest text of a step in bytes; one that is longer is not shown."""
_SLOTS = 8


@dataclass(frozen=True, eq=False)
class ShownStep:
    """A step as far as it is shown, and what else its overlay needs."""

    step: Step
    """Without times and commands."""
    threshold: float
    """Confidence threshold of the network."""
    levels: Mapping[str, float]
    """Levels of the outputs, by output."""

    def reduced(self, scale: float) -> "ShownStep":
        """Return the step for an image of another size, without the animals' names."""
        seen = None if self.step.seen is None else _reduced(self.step.seen, scale)
        pose = _reduced(self.step.pose, scale)
        return replace(self, step=replace(self.step, pose=pose, seen=seen))


def _reduced(pose: Pose, scale: float) -> Pose:
    skeleton = replace(pose.skeleton, animals=())
    return Pose(skeleton, pose.points * scale, pose.confidence)


class ShownSteps:
    """Writes the newest step of each camera; never waits for a reader."""

    def __init__(self) -> None:
        self._rings: dict[str, tuple[FrameRing, RingWriter]] = {}
        self._failed = False

    @property
    def rings(self) -> dict[str, RingSpec]:
        """By which parameters another program reads the steps of each camera."""
        return {camera: ring.spec for camera, (ring, _) in self._rings.items()}

    def write(self, step: Step, threshold: float, levels: Mapping[str, float]) -> None:
        """Write a step; without shared memory for it, nothing is shown."""
        text = encode(step, threshold, levels)
        if len(text) > LONGEST or self._failed:
            return
        if step.camera not in self._rings:
            try:
                ring = create_ring(step.camera, ImageFormat((1, LONGEST), 0.0), _SLOTS)
            except OSError:
                self._failed = True
                return
            self._rings[step.camera] = ring, RingWriter(ring)
        _, writer = self._rings[step.camera]
        slot = writer.slot()
        slot[0, : len(text)] = np.frombuffer(text, np.uint8)
        slot[0, len(text) :] = 0
        writer.publish(step.index, step.exposed_ns, step.arrived_ns)

    def close(self) -> None:
        """Remove the shared memory."""
        for ring, _ in self._rings.values():
            ring.close()
            ring.unlink()
        self._rings.clear()


def encode(step: Step, threshold: float, levels: Mapping[str, float]) -> bytes:
    """Return what is shown of a step as text."""
    pose, seen = step.pose, step.as_seen(threshold)
    skeleton = pose.skeleton
    facts = {
        "camera": step.camera,
        "index": step.index,
        "skeleton": [skeleton.bodyparts, skeleton.edges, skeleton.animals],
        "points": _listed(pose.points),
        "seen": None if seen is pose else _listed(seen.points),
        "triggers": dict(step.answers),
        "flags": dict(step.flags),
        "identity": pose.identity,
        "lost": step.lost,
        "threshold": threshold,
        "levels": dict(levels),
    }
    return json.dumps(facts, separators=(",", ":")).encode()


def decode(image: NDArray[Any]) -> ShownStep | None:
    """Return the step of an image of such a ring; None: it can't be read."""
    try:
        facts = json.loads(image.tobytes().rstrip(b"\0"))
        bodyparts, edges, animals = facts["skeleton"]
        skeleton = Skeleton(
            tuple(bodyparts),
            tuple((one, other) for one, other in edges),
            tuple(animals),
        )
        points = _pose(skeleton, facts["points"], facts["identity"])
        seen = facts["seen"]
        step = Step(
            camera=facts["camera"],
            index=facts["index"],
            exposed_ns=0,
            arrived_ns=0,
            posed_ns=0,
            decided_ns=0,
            written_ns=0,
            pose=points,
            triggers=facts["triggers"],
            commands=(),
            lost=facts["lost"],
            flags=facts["flags"],
            seen=points if seen is None else _pose(skeleton, seen, facts["identity"]),
        )
        return ShownStep(step, facts["threshold"], facts["levels"])
    except (ValueError, KeyError, TypeError):
        return None


def _listed(points: NDArray[np.float32]) -> list[list[list[float | None]]]:
    """Return points (animal, body part, 2) in tenths of px; None: NaN."""
    return [
        [[round(x, 1) if isfinite(x) else None for x in point] for point in animal]
        for animal in points.tolist()
    ]


def _pose(skeleton: Skeleton, points: Any, identity: list[str]) -> Pose:
    found = np.array(points, np.float32).reshape(-1, len(skeleton.bodyparts), 2)
    return Pose(skeleton, found, np.ones(found.shape[:2], np.float32), tuple(identity))
