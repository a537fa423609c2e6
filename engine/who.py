"""Who is who, told in sentences when it changes; and the memories that tell it."""

from collections.abc import Iterator

from core.frame import Frame
from core.pose import Pose, Skeleton
from engine.sections import Settings
from pose.identity import Identity, Rules


class Identities:
    """Tells the animals apart, camera by camera. `forget` before a new run."""

    def __init__(self, skeleton: Skeleton, threshold: float, rules: Rules) -> None:
        self._how = skeleton, threshold, rules
        self._of: dict[str, Identity] = {}

    def forget(self) -> None:
        """Forget all that was seen."""
        self._of.clear()

    def tell(self, frame: Frame, pose: Pose) -> Pose:
        """Return the pose of a frame with the animals in the order of their names."""
        if frame.camera not in self._of:
            self._of[frame.camera] = Identity(*self._how)
        return self._of[frame.camera].tell(frame.image, pose, frame.time_ns / 1e9)


def identities_of(
    settings: Settings, skeleton: Skeleton, threshold: float
) -> Identities | None:
    """Return what tells the animals of a network apart; None: it finds one."""
    if len(skeleton.animals) < 2:
        return None
    animals = settings.animals
    rules = Rules(animals.first, animals.believe_after_s)
    return Identities(skeleton, threshold, rules)


class Whereabouts:
    """Follows the words of `Pose.identity`, camera by camera, and says what is new."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[str, ...]] = {}

    def forget(self) -> None:
        """Forget all that was said."""
        self._before.clear()

    def news(self, camera: str, pose: Pose, time_s: float) -> Iterator[str]:
        """Yield a sentence for all who came into doubt, and who are known again."""
        before = self._before.get(camera, ("",) * len(pose.identity))
        pairs = zip(pose.identity, before, strict=True)
        now = tuple([old if word == "stray" else word for word, old in pairs])
        if now == before:
            return
        self._before[camera] = now
        begins, ends = list[str](), dict[str, list[str]]()
        names = pose.skeleton.named(len(now))
        for name, old, new in zip(names, before, now, strict=True):
            doubted = old.startswith("doubt")
            if new.startswith("doubt"):
                begins += [] if doubted else [name]
            elif new or doubted:
                ends.setdefault(new, []).append(name)
        where = f"[Camera {camera}] {time_s:.3f} s: "
        if begins:
            yield f"{where}{_listed(begins)}: in doubt who is who"
        for word, known in ends.items():
            yield f"{where}{_listed(known)}: {_ENDS[word]}"


_ENDS = {
    "": "it is known again who is who",
    "exchanged": "had been exchanged, which is mended",
    "believed": "nothing told who is who; motion is believed (BELIEVE_AFTER_S)",
}


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if names[1:] else names)
