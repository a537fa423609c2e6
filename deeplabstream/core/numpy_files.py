"""NumPy's `.npy` files from outside: no larger than they are, and nothing unpickled."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray


def read_array(file: Path) -> NDArray[Any]:
    """Return the array; OSError when it can't be read, ValueError when it is damaged.

    A file of some bytes may declare any size: memory is asked for only when all of it is
    there.
    """
    try:
        with file.open("rb") as content:
            version = np.lib.format.read_magic(content)
            header = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, _, dtype = header(content)
            there = file.stat().st_size - content.tell()
            if prod(shape) * dtype.itemsize > there:
                raise ValueError(
                    f"it declares {'×'.join(map(str, shape))} numbers, and ends before"
                )
            content.seek(0)
            return np.asarray(np.load(content, allow_pickle=False))
    except (OSError, ValueError):
        raise
    except Exception as error:  # a damaged header raises nearly anything
        raise ValueError(f"it is damaged ({type(error).__name__})") from error
