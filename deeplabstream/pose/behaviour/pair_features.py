"""Features of two animals: what an actor does to a target.

A pair has a pose of its own, whose animals are `actor` and `target`, so that its body parts are
`actor_snout`, `target_snout` and so on.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import product

from deeplabstream.core.pose import Pose
from deeplabstream.pose.behaviour.pose_features import Feature, Quantity, Statistic

ACTOR, TARGET = "actor", "target"


def pose_of_pair(pose: Pose, actor: int, target: int) -> Pose | None:
    """Return the pose of an actor and its target.

    Parameters
    ----------
    pose : Pose
        All animals of a frame.
    actor, target : int
        Their indices in `pose`.

    Returns
    -------
    Pose or None
        None: either identity is ambiguous, or switched on this frame, so that the frames
        before show another animal.
    """
    if pose.may_be_another(actor) or pose.may_be_another(target):
        return None
    rows = [actor, target]
    return Pose(
        replace(pose.skeleton, animals=(ACTOR, TARGET)),
        pose.points[rows],
        pose.confidence[rows],
    )


def scale_of_pair(chain: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the body lengths of both animals, as `FeatureSet.scale`.

    `chain` has body parts in their order along the body.
    """
    return tuple(
        (f"{role}_{chain[0]}", f"{role}_{chain[-1]}") for role in (ACTOR, TARGET)
    )


def usual_of_pair(
    bodyparts: Sequence[str], chain: Sequence[str]
) -> tuple[Feature, ...]:
    """Return a general set of features of two animals.

    Parameters
    ----------
    bodyparts : sequence of str
        Body parts of each animal.
    chain : sequence of str
        Two or more body parts in their order along the body, the foremost first.

    Returns
    -------
    tuple of Feature
        Mean and standard deviation of: the distances from each part of the actor to each of
        the target; the speeds of all parts; the speed of each part of the actor towards the
        middle of the target's chain, and of each part of the target towards that of the
        actor; the angles of each head to the direction of both ends of the other's chain;
        the angle between both bodies; the angles along both chains.
    """
    first, second, last = chain[0], chain[1], chain[-1]
    middle = chain[len(chain) // 2]
    found: list[tuple[Quantity, tuple[str, ...]]] = []
    for one, other in product(bodyparts, bodyparts):
        found.append(("distance", (f"{ACTOR}_{one}", f"{TARGET}_{other}")))
    for role, opposite in ((ACTOR, TARGET), (TARGET, ACTOR)):
        for part in bodyparts:
            found.append(("speed", (f"{role}_{part}",)))
            found.append(("approach", (f"{role}_{part}", f"{opposite}_{middle}")))
        head = f"{role}_{second}", f"{role}_{first}"
        for end in (first, last):
            found.append(("direction", (*head, head[1], f"{opposite}_{end}")))
        for bend in zip(chain, chain[1:], chain[2:], strict=False):
            found.append(("angle", tuple(f"{role}_{part}" for part in bend)))
    bodies = [f"{role}_{part}" for role in (ACTOR, TARGET) for part in (last, first)]
    found.append(("direction", tuple(bodies)))
    statistics: tuple[Statistic, ...] = ("mean", "std")
    return tuple(
        Feature(statistic, what, of) for statistic in statistics for what, of in found
    )
