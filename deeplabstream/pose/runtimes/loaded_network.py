"""A network that is loaded in some runtime."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Network(Protocol):
    """Pictures in, maps out; what they mean is the model folder's affair."""

    @property
    def provider(self) -> str:
        """What really computes, as its runtime calls it: `CPUExecutionProvider`."""
        ...

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return maps (n, channel, h, w) of `pictures` (n, height, width, 3), BGR.

        The result is good until the next call. The first call with a new shape may take
        seconds: whoever needs speed calls once beforehand. A network that is made of
        convolutions alone takes any size that is a multiple of its coarsest cell;
        ModelError when it does not.
        """
        ...
