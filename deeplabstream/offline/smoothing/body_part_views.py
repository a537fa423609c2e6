"""Which body parts are one point seen from several sides, as their names' endings say."""

from collections.abc import Sequence

from deeplabstream.core.errors import DeepLabStreamError


def views_by_ending(
    bodyparts: Sequence[str], endings: Sequence[str]
) -> list[list[str]]:
    """Return the body parts of each view, the same points in the same order.

    `endings` are the views', as `_top`, `_bot`. DeepLabStreamError: there are fewer than
    two of them, or no body part has a name for each.

    >>> views_by_ending(["paw_top", "nose_top", "tail", "paw_bot"], ["_top", "_bot"])
    [['paw_top'], ['paw_bot']]
    """
    if len(set(endings)) < 2 or len(set(endings)) < len(endings):
        raise DeepLabStreamError(
            f"--mirrored {' '.join(endings)}: two views or more need an ending each"
        )
    shared = [
        name.removesuffix(endings[0])
        for name in bodyparts
        if name.endswith(endings[0])
        and all(name.removesuffix(endings[0]) + end in bodyparts for end in endings)
    ]
    if not shared:
        raise DeepLabStreamError(
            f"--mirrored {' '.join(endings)}: no body part has a name for each of them "
            f"({', '.join(bodyparts)})"
        )
    return [[name + end for name in shared] for end in endings]
