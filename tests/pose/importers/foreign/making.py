"""What every make_*.py beside this file does: weights that repeat, and small archives."""

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
PERIOD = 251
"""Numbers after which weights repeat."""
SCRIPTS = HERE.parents[3] / "deeplabstream/pose/importers/scripts"


_WITH_STANDINS = """
import runpy, sys
from pathlib import Path
sys.argv = sys.argv[1:]
sys.path.insert(0, str(Path(sys.argv[0]).parent))
from tests.pose.importers.foreign import standins
standins.transformers() if "lightning" in sys.argv[0] else standins.suppression()
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def exported(script, source, name, *words):
    """Run one of our scripts on `source`, and put what it writes into the archive."""
    made = Path(source).with_name(name)
    given = [str(SCRIPTS / script), str(source), *words, "--output", str(made)]
    subprocess.run([sys.executable, "-c", _WITH_STANDINS, *given], check=True)
    archived(made)


def archived(folder):
    """Put a folder's content into an archive of its name beside this file."""
    with tarfile.open(HERE / f"{folder.name}.tar.xz", "w:xz") as archive:
        for file in sorted(folder.iterdir()):
            archive.add(file, file.name)  # folders too, such as detector/


def repeating(state, head):
    """Return weights of the same shapes: `PERIOD` numbers, over and over.

    So archives are small. `head` is a part of the names of the heads' weights, and what
    they are multiplied by.
    """
    import torch

    numbers = np.random.default_rng(0).standard_normal(PERIOD).astype(np.float32)
    part, times = head
    filled = {}
    for name, old in state.items():
        if not old.is_floating_point():
            filled[name] = old
        elif name.endswith("running_var"):
            filled[name] = torch.ones_like(old)
        elif old.ndim < 2:
            filled[name] = old * 0 + (0 if name.endswith(("bias", "mean")) else 1)
        else:
            scale = (2 / old[0].numel()) ** 0.5 * (times if part in name else 1)
            values = np.resize(numbers, old.numel()) * np.float32(scale)
            filled[name] = torch.from_numpy(values.reshape(old.shape))
    return filled


def rounded(state, bits=8):
    """Return the weights with so many bits of mantissa, which are packed better."""
    import torch

    keep = -1 << (23 - bits)
    short = {}
    for name, old in state.items():
        short[name] = old
        if old.dtype == torch.float32:
            whole = old.detach().numpy().copy().view(np.int32)
            whole = (whole + (1 << (22 - bits))) & keep
            short[name] = torch.from_numpy(whole.view(np.float32))
    return short
