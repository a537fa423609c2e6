"""The same scene in another light, through another camera."""

import numpy as np
from numpy.typing import NDArray


def relight(
    picture: NDArray[np.uint8], strength: float, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Return the picture (height, width, 3) with other light, shadows, blur and noise.

    `strength` 0 leaves it alone, 1 changes it strongly.
    """
    import cv2

    if strength <= 0:
        return picture
    height, width = picture.shape[:2]
    out: NDArray[np.float32] = picture.astype(np.float32)
    if rng.random() < 0.3 * strength:
        blur = cv2.GaussianBlur(out, (0, 0), rng.uniform(0.3, 1.2))
        out = np.asarray(blur, np.float32)
    light = np.ones((height, width), np.float32)
    if rng.random() < 0.5 * strength:
        light *= _gradient(height, width, rng)
    for _ in range(rng.poisson(0.5 * strength)):
        light *= _shadow(height, width, rng)
    out *= light[..., None]
    gamma = np.exp(rng.normal(0, 0.25) * strength)
    contrast = np.exp(rng.normal(0, 0.2) * strength)
    brightness = rng.normal(0, 20) * strength
    out = 255 * (out.clip(0, 255) / 255) ** gamma
    out = (out - 127) * contrast + 127 + brightness
    if rng.random() < 0.3 * strength:  # a grey camera's
        out[:] = out @ np.array([0.114, 0.587, 0.299], np.float32)[:, None]
    elif rng.random() < 0.3 * strength:  # a tint
        out *= rng.uniform(0.8, 1.2, 3).astype(np.float32)
    if rng.random() < 0.5 * strength:
        noise = rng.standard_normal((height, width, 1), np.float32)
        out += rng.uniform(1, 8) * noise
    return np.asarray(out.clip(0, 255), np.uint8)


def _gradient(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return light that falls off from one side, 0.6 to 1.2."""
    angle = rng.uniform(0, 2 * np.pi)
    steepness = rng.uniform(0, 0.3)
    x = np.linspace(-1, 1, width, dtype=np.float32) * steepness * np.cos(angle)
    y = np.linspace(-1, 1, height, dtype=np.float32) * steepness * np.sin(angle)
    return np.asarray(np.float32(0.95) + x + y[:, None], np.float32)


def _shadow(height: int, width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return an ellipse of less, sometimes of more light, with a hard or soft edge."""
    cx, cy = rng.uniform(0, 1, 2) * [width, height]
    rx, ry = rng.uniform(0.04, 0.35, 2) * width
    x = ((np.arange(width) - cx) / rx).astype(np.float32)
    y = ((np.arange(height) - cy) / ry).astype(np.float32)
    inside = 1 - np.sqrt(x**2 + (y**2)[:, None])
    edge = rng.uniform(0.05, 1.0)
    level = rng.uniform(0.35, 1.25)
    depth = (inside * np.float32(1 / edge)).clip(0, 1)
    return np.asarray(1 + np.float32(level - 1) * depth, np.float32)
