"""Made predictions of five networks; run as a program in an environment that has
ensemble-kalman-smoother 3.0.0 or 4.6.2, this writes what that package makes of them:

    python tests/offline/ensembles.py tests/offline/reference/eks_3_0_0.npz
    python tests/offline/ensembles.py tests/offline/reference/eks_4_6_2.npz
"""

import sys
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

PUPIL = ("pupil_top_r", "pupil_right_r", "pupil_bottom_r", "pupil_left_r")
ROWS = 120


def pupil_members() -> NDArray[np.float64]:
    """Return (network, row, point, 3) of a pupil that drifts and breathes."""
    rng = np.random.RandomState(7)
    t = np.arange(ROWS)
    size = 20 + 4 * np.sin(t / 25)
    x, y = 50 + 3 * np.sin(t / 40), 51 + 2 * np.cos(t / 31)
    sides = np.array(
        [[x, y - size / 2], [x + size / 2, y], [x, y + size / 2], [x - size / 2, y]]
    )
    truth = np.moveaxis(sides, 2, 0)
    return _members(rng, truth, 0.6)


def paw_members() -> NDArray[np.float64]:
    """Return (network, row, point, 3) of two points that walk at random."""
    rng = np.random.RandomState(8)
    truth = 200 + np.cumsum(rng.normal(0, 2, (ROWS, 2, 2)), axis=0)
    return _members(rng, truth, 3.0)


def view_members() -> NDArray[np.float64]:
    """Return (network, row, view, 3): one point in space, seen from two sides."""
    rng = np.random.RandomState(9)
    world = np.cumsum(rng.normal(0, 2, (ROWS, 3)), axis=0)
    sides = np.stack([world @ rng.normal(0, 1, (3, 2)) for _ in range(2)], axis=1)
    return _members(rng, 100 + sides, 1.0)


def contradicting_members(views: int) -> NDArray[np.float64]:
    """Return (network, row, view, point, 3): two points in space, seen by each view.

    In rows 60 to 63 all networks put the first point in the first view 25 px off.
    """
    rng = np.random.RandomState(11)
    world = np.cumsum(rng.normal(0, 2, (ROWS, 2, 3)), axis=0)
    truth = np.stack([100 + world @ rng.normal(0, 1, (3, 2)) for _ in range(views)], 1)
    members = _members(rng, truth.reshape(ROWS, -1, 2), 1.0)
    members = members.reshape(5, ROWS, views, 2, 3)
    members[:, 60:64, 0, 0, 0] += 25
    return members


PAW_TIMES_S = np.arange(12, 132) / 60, np.arange(300) / 120
"""Of the left and the right camera: each left frame has a right one at its time."""


def two_paws() -> list[NDArray[np.float64]]:
    """Return (network, row, paw_l or paw_r, 3) of the left and of the right camera.

    The right camera's paw_l is the left one's paw_r, in a mirrored picture of 128 px.
    """
    rng = np.random.RandomState(10)
    cast = [rng.normal(0, 1, (3, 2)) for _ in range(2)]
    seen = []
    for side, times in enumerate(PAW_TIMES_S):
        waves = np.stack([np.sin(times * k) for k in (3, 5, 7)], axis=1)
        world = [waves * 8, waves[:, ::-1] * 6 + 4]
        truth = np.stack([60 + paw @ cast[side] for paw in world], axis=1)
        if side:
            truth = truth[:, ::-1].copy()
            truth[..., 0] = 128 - truth[..., 0]
        members = _members(rng, truth, 0.5)
        members[..., 2] = 1.0
        seen.append(members)
    return seen


def _members(
    rng: np.random.RandomState, truth: NDArray[np.float64], noise: float
) -> NDArray[np.float64]:
    points = truth + rng.normal(0, noise, (5, *truth.shape))
    points[2, 40:50, 0] += 30  # one network goes astray
    sure = rng.uniform(0.6, 1, (5, *truth.shape[:2]))
    return np.concatenate([points, sure[..., None]], axis=-1)


def version_4() -> dict[str, NDArray[np.float32]]:
    """Return what 4.6.2 makes of them, with the defaults of its command line."""
    from eks.ibl_pupil_smoother import ensemble_kalman_smoother_ibl_pupil
    from eks.marker_array import MarkerArray
    from eks.multicam_smoother import ensemble_kalman_smoother_multicam
    from eks.singlecam_smoother import ensemble_kalman_smoother_singlecam

    def array(members: NDArray[np.float64]) -> MarkerArray:
        """Members are (network, view, row, point, 3)."""
        return MarkerArray(members, data_fields=["x", "y", "likelihood"])

    paws, s = ensemble_kalman_smoother_singlecam(
        array(paw_members()[:, None]), ["paw_l", "paw_r"]
    )
    made = {"paws": paws.to_numpy().reshape(ROWS, 2, 9), "paws_s": s}
    sides = [0, 2, 1, 3]  # top, bottom, right, left
    pupil, s = ensemble_kalman_smoother_ibl_pupil(
        array(pupil_members()[:, None, :, sides]), [PUPIL[side] for side in sides]
    )
    made |= {"pupil": pupil.to_numpy().reshape(ROWS, 4, 9), "pupil_s": s}
    for count in (2, 3):
        for inflate in (False, True):
            found, s, _ = ensemble_kalman_smoother_multicam(
                array(np.moveaxis(contradicting_members(count), 2, 1)),
                ["one", "other"],
                [f"camera{n}" for n in range(count)],
                quantile_keep_pca=95,
                inflate_vars=inflate,
                inflate_vars_kwargs={},
            )
            name = f"views_{count}_{inflate}"
            made[name] = np.stack([each.to_numpy() for each in found])
            made[name] = made[name].reshape(count, ROWS, 2, 9)
            made[f"{name}_s"] = s
    return {name: np.asarray(values, np.float32) for name, values in made.items()}


def version_3() -> dict[str, object]:
    """Return what 3.0.0 makes of them."""
    import pandas as pd
    from eks.ibl_paw_multiview_smoother import ensemble_kalman_smoother_ibl_paw
    from eks.ibl_pupil_smoother import ensemble_kalman_smoother_ibl_pupil
    from eks.multicam_smoother import ensemble_kalman_smoother_multicam
    from eks.singlecam_smoother import ensemble_kalman_smoother_singlecam

    def frames(members: NDArray[np.float64], names: tuple[str, ...]) -> list[object]:
        columns = [f"{n}_{c}" for n in names for c in ("x", "y", "likelihood")]
        return [pd.DataFrame(m.reshape(len(m), -1), columns=columns) for m in members]

    pupil, _, _ = ensemble_kalman_smoother_ibl_pupil(
        frames(pupil_members(), PUPIL), smooth_params=[0.9999, 0.999]
    )
    paws, _ = ensemble_kalman_smoother_singlecam(
        frames(paw_members(), ("paw_l", "paw_r")), ["paw_l", "paw_r"], smooth_param=10
    )
    views = view_members()
    cameras = [frames(views[:, :, [v]], ("point",)) for v in range(2)]
    both, _, _ = ensemble_kalman_smoother_multicam(
        cameras, "point", 1.5, 95, ["one", "two"], [(None, None)]
    )
    left, right = two_paws()
    crossed, *_ = ensemble_kalman_smoother_ibl_paw(
        frames(left, ("paw_l", "paw_r")),
        frames(right[:, :, ::-1], ("paw_l", "paw_r")),
        *PAW_TIMES_S,
        ["paw_l", "paw_r"],
        2.0,
        100,
    )
    return {
        "pupil": pupil.to_numpy(),
        "pupil_columns": ["|".join(c[1:]) for c in pupil.columns],
        "paws": paws.to_numpy(),
        "paws_columns": ["|".join(c[1:]) for c in paws.columns],
        "crossed": np.stack(
            [crossed[f"{n}_df"].to_numpy().reshape(-1, 2, 6) for n in ("left", "right")]
        ),
        "views": np.stack([both[f"{n}_df"].to_numpy()[:, :5] for n in ("one", "two")]),
    }


if __name__ == "__main__":
    is_3 = version("ensemble-kalman-smoother").startswith("3.")
    np.savez_compressed(sys.argv[1], **(version_3() if is_3 else version_4()))
