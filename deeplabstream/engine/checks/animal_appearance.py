"""Appearance of several animals before an experiment: which look alike, as far as it is known.

An experiment waits for it, for `[Animals] APPEARANCE_WAIT_S` at most: see `ExperimentStart`.
"""

from collections.abc import Mapping

from deeplabstream.engine.session.session_state import SessionState
from deeplabstream.pose.tracking.distinctness import (
    Distinctness,
    nothing_learned,
)
from deeplabstream.settings.sections import Settings


def identified_animals(settings: Settings, state: SessionState) -> tuple[str, ...]:
    """Return the names of the animals that the identity trackers keep; empty: there are none.

    Animals that each live in an arena of their own need no tracker.
    """
    names = state.skeleton.animals if state.skeleton else ()
    return () if len(names) < 2 or settings.arenas else names


def distinctness_by_camera(
    settings: Settings, state: SessionState
) -> Mapping[str, Distinctness]:
    """Return which animals look alike, of each analysed camera; empty: one animal."""
    names = identified_animals(settings, state)
    return {
        camera: state.distinctness.get(camera) or nothing_learned(len(names))
        for camera in settings.triggers_by_camera()
        if names
    }


def unknown_appearance(settings: Settings, state: SessionState) -> str:
    """Return a sentence if it is not known which animals look alike; or empty.

    Where all coats of an earlier run are known, they state it.
    """
    names = identified_animals(settings, state)
    animals = (state.used_settings or settings).animals
    unknown: dict[str, None] = {}  # two cameras may say the same
    for camera, known in distinctness_by_camera(settings, state).items():
        if any(name not in animals.coats_on(camera) for name in names):
            _, *sentences = known.sentences(names)
            unknown |= dict.fromkeys(filter(None, sentences))
    if not unknown:
        return ""
    return f"it is not known yet which animals look alike: {'; '.join(unknown)}"
