"""Errors with a message for the user, parts of messages, and the context of a section.

DeepLabStreamError
├── SettingsError      the settings are wrong; all problems at once
├── DeviceError        a camera, an output, a file or a run can't be used
├── ModelError         a network can't be used
└── ExperimentError    an experiment broke a rule of plans, or ends with an alarm
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec


class DeepLabStreamError(Exception):
    """An error that the user can correct; its text is one sentence for the user."""


_LONG_WORD = re.compile(r"\S{300,}")
_MOST_SHOWN = 100
"""Most problems that the text of an error lists."""
_MOST_LETTERS = 2000
"""Longest text of a problem; a longer one quotes a damaged file."""


def _shorten_long_tokens(problem: str) -> str:
    """Return a problem with long tokens abbreviated, cut to `_MOST_LETTERS`."""
    text = _LONG_WORD.sub(lambda word: f"{word[0][:40]}…{word[0][-3:]}", problem)
    return text if len(text) <= _MOST_LETTERS else f"{text[:_MOST_LETTERS]}…"


class SettingsError(DeepLabStreamError):
    """The settings are wrong; `problems` names each section and key, without long words."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(map(_shorten_long_tokens, problems))
        shown = self.problems[:_MOST_SHOWN]
        if (more := len(self.problems) - len(shown)) > 0:
            shown = (*shown, f"and {more} more problems")
        super().__init__("\n".join(shown))

    def __reduce__(self) -> tuple[type["SettingsError"], tuple[tuple[str, ...]]]:
        """Return the arguments for pickling."""
        return SettingsError, (self.problems,)


class DeviceError(DeepLabStreamError):
    """A camera or an output can't be opened, or stopped working."""


class ModelError(DeepLabStreamError):
    """A network can't be loaded, or does not fit its use."""


class ExperimentError(DeepLabStreamError):
    """An experiment violated a rule of plans, or its plan ends it with an alarm."""


_PACKAGES = {
    "PIL": "pillow",
    "cv2": "opencv-python",
    "cv2_enumerate_cameras": "cv2-enumerate-cameras",
    "efficientnet_lite_pytorch": "efficientnet-lite-pytorch",
    "google": "protobuf",
    "grpc": "grpcio",
    "ndx_pose": "ndx-pose",
    "one": "ONE-api",
    "pynvml": "nvidia-ml-py",
    "pythonosc": "python-osc",
    "serial": "pyserial",
    "sklearn": "scikit-learn",
    "yaml": "PyYAML",
    "zmq": "pyzmq",
}
"""Packages to install, by the names of their modules, where these differ."""


def package_missing(*names: str) -> str:
    """Return the message about modules that can't be imported.

    >>> package_missing("zmq.utils")
    "needs the package 'zmq': pip install pyzmq"
    >>> package_missing("sklearn", "skl2onnx")
    "needs the packages 'sklearn', 'skl2onnx': pip install scikit-learn skl2onnx"
    """
    modules = [name.partition(".")[0] for name in names]
    noun = "package" if len(modules) == 1 else "packages"
    packages = " ".join(_PACKAGES.get(module, module) for module in modules)
    return f"needs the {noun} {', '.join(map(repr, modules))}: pip install {packages}"


def check_packages(purpose: str, names: Iterable[str]) -> None:
    """Raise `DeepLabStreamError` if `purpose` needs modules that are not installed.

    Programs call it before their work: packages are imported where they are used.
    """
    missing = [name for name in dict.fromkeys(names) if find_spec(name) is None]
    if missing:
        raise DeepLabStreamError(f"{purpose} {package_missing(*missing)}")


def counted(count: int, noun: str) -> str:
    """Return a number and its noun.

    >>> counted(1, "frame"), counted(2, "body part")
    ('1 frame', '2 body parts')
    """
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


@contextmanager
def error_context(section: str) -> Iterator[None]:
    """Turn a driver's error into a `DeviceError` that names its settings section.

    Any exception of a driver becomes `[Output laser] could not open port COM3: …`. Other
    errors of DeepLabStream, such as `ModelError`, pass unchanged.
    """
    try:
        yield
    except DeviceError as error:
        text = str(error)
        if text.startswith("["):
            raise
        raise DeviceError(f"[{section}] {text}") from error
    except DeepLabStreamError:
        raise
    except ImportError as error:
        text = f"[{section}] {package_missing(error.name or str(error))}"
        raise DeviceError(text) from error
    except Exception as error:
        text = str(error) or type(error).__name__
        raise DeviceError(f"[{section}] {text}") from error
