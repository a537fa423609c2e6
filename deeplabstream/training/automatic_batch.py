"""How many pictures per step, and how fast to learn, on this machine."""

import math
from dataclasses import replace

import numpy as np
import torch

from deeplabstream.training.data.dataset import Dataset
from deeplabstream.training.fit import fit, open_device
from deeplabstream.training.train_config import FitSettings

PROCESSOR = 8
"""Pictures per step on a processor: more would not make it faster, only fewer steps."""
MOST = 64
"""Beyond, steps are so few that the network learns less."""


def batch_and_rate(settings: FitSettings, data: Dataset) -> FitSettings:
    """Return the settings with a batch that fits, and a learning rate that fits it.

    On a graphics card the batch is doubled until its memory is full or `MOST` is reached,
    and half of the first that failed is taken. The rate given is for 8 pictures; it grows
    with the square root of the batch.
    """
    batch = PROCESSOR
    if open_device(settings.device).type == "cuda":
        while batch < min(MOST, len(data)) and _fits(settings, data, 2 * batch):
            batch *= 2
    batch = max(1, min(batch, len(data)))
    rate = settings.learning_rate * math.sqrt(batch / PROCESSOR)
    return replace(settings, batch=batch, learning_rate=rate)


def _fits(settings: FitSettings, data: Dataset, batch: int) -> bool:
    """Return whether two steps with so many pictures fit into memory."""
    trial = replace(settings, steps=2, batch=batch, devices=1, imagenet=False)
    twice = data.pick(np.resize(np.arange(len(data)), max(batch, len(data))).tolist())
    try:
        fit(twice, trial, lambda epoch: None)
    except torch.OutOfMemoryError:
        return False
    finally:
        torch.cuda.empty_cache()
    return True
