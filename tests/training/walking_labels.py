"""Labels of a walking animal."""

import numpy as np

PARTS = ("snout", "leftear", "rightear", "neck", "tailbase")


BODY = np.array([(40, 0), (22, -10), (22, 10), (10, 0), (-35, 0)], np.float64)


def walked(count: int = 60, seed: int = 0) -> np.ndarray:
    """Return an animal that turns and bends, labelled with 1 px of noise."""
    rng = np.random.default_rng(seed)
    points = np.empty((count, len(PARTS), 2))
    for pose in points:
        angle, bend = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.3)
        turn = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        head = np.array([[np.cos(bend), -np.sin(bend)], [np.sin(bend), np.cos(bend)]])
        body = BODY.copy()
        body[:3] = (body[:3] - body[3]) @ head.T + body[3]
        pose[:] = body @ turn.T + rng.uniform(100, 400, 2)
    return points + rng.normal(0, 1, points.shape)
