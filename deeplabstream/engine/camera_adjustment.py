"""Settings of cameras that a person changes while they film: what may be asked, and when."""

from dataclasses import dataclass, field

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.session.messages import ChangeControl, ControlChanged
from deeplabstream.engine.session.states import Action
from deeplabstream.plugins.camera import Camera
from deeplabstream.plugins.camera_controls import SIZING
from deeplabstream.settings.fields import changed, keys_of

_BEGINNINGS = (Action.START_ANALYSIS, Action.START_EXPERIMENT, Action.START_RECORDING)


@dataclass
class CameraAdjustment:
    """What was asked of the cameras of one stream and is not answered yet."""

    _awaited: set[str] = field(default_factory=set)
    """Cameras whose pictures may come in another size soon."""
    _run: bool = False

    def ask(self, camera: Camera, name: str, key: str, word: str) -> ChangeControl:
        """Return what to tell the camera; DeviceError, SettingsError: it makes no sense."""
        wanted = changed(camera, f"Camera {name}", key, word)
        field_name = keys_of(type(camera))[key][0]
        may_resize = field_name in SIZING and not self._run
        if may_resize:
            if self._awaited:
                raise DeviceError("wait until the camera is open again")
            self._awaited.add(name)
        return ChangeControl(field_name, getattr(wanted, field_name), may_resize)

    def answered(self, told: ControlChanged) -> None:
        """Take note of an answer."""
        if told.key in SIZING:
            self._awaited.discard(told.camera)

    def run_begins(self) -> None:
        """Let no pictures change their size from now on: they are kept."""
        self._run = True

    def forbids(self, action: Action) -> str:
        """Return why something can't begin now; empty: it can."""
        if action in _BEGINNINGS and self._awaited:
            return f"{action.value}: wait until the camera is open again"
        return ""
