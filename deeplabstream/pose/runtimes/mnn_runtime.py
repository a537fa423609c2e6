"""Networks run by MNN, whose Winograd kernels are fast on plain 3x3 convolutions."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.atomic_replace import replace
from deeplabstream.core.errors import ModelError
from deeplabstream.pose.model.model_folder import ModelFolder
from deeplabstream.pose.runtimes.compute_packages import package
from deeplabstream.pose.runtimes.user_cache import cache_folder

_CONVERT = """
import sys, _tools
_tools.mnnconvert(["", "-f", "ONNX", "--modelFile", sys.argv[1],
                   "--MNNModel", sys.argv[2], "--bizCode", "pose"])
"""
"""MNN's own command line reports its use to its maker; the library that it calls does not."""


class MnnNetwork:
    """A network in MNN, at full precision. It is converted once and kept."""

    provider = "MNN CPU"

    def __init__(self, model: ModelFolder, threads: int) -> None:
        with _silence():
            MNN, expr, nn = (  # noqa: N806
                package(name, "running the network in MNN")
                for name in ("MNN", "MNN.expr", "MNN.nn")
            )
        file = cache_folder() / f"{model.sha256}-{MNN.version()}.mnn"
        if not file.is_file():
            _convert(model.network, file)
        words = {
            "backend": "CPU",
            "precision": "high",
            "numThread": threads or os.cpu_count() or 1,
        }
        self._expr: Any = expr
        try:
            with _silence():
                self._manager = nn.create_runtime_manager((words,))
                self._module = nn.load_module_from_file(
                    str(file), ["images"], [], runtime_manager=self._manager
                )
        except SystemError as error:  # letters that this Windows' code page lacks
            raise ModelError(
                f"MNN can't load {file}: choose another RUNTIME"
            ) from error
        self._file = file

    def run(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return the maps of `pictures`; see `Network.run`."""
        # NCHW means here: take the axes as they come
        images = self._expr.const(
            pictures, list(pictures.shape), self._expr.NCHW, self._expr.uint8
        )
        (maps,) = self._module.forward([images])
        return np.array(maps.read(), np.float32)


def _convert(network: Path, file: Path) -> None:
    draft = file.with_suffix(f".{os.getpid()}")
    original = file.with_suffix(f".{os.getpid()}.onnx")
    # on Windows the converter finds no file whose path has letters beyond ASCII
    words = [sys.executable, "-c", _CONVERT, original.name, draft.name]
    try:
        shutil.copyfile(network, original)
        done = subprocess.run(
            words,
            cwd=file.parent,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    finally:
        original.unlink(missing_ok=True)
    if done.returncode or not draft.is_file():
        said = (done.stdout + done.stderr).strip().splitlines() or ["nothing"]
        raise ModelError(
            f"{network} can't be converted for MNN, which says: {said[-1]}"
        )
    replace(draft, file)


@contextmanager
def _silence() -> Iterator[None]:
    """Keep what MNN's library prints by itself off the console, if there is one."""
    try:
        kept = os.dup(1)
    except OSError:  # started by pythonw
        yield
        return
    sys.stdout.flush()
    with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
