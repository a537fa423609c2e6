"""Live changes of camera settings: requests that the cameras have not answered yet."""

from dataclasses import dataclass, field

from deeplabstream.core.errors import DeviceError
from deeplabstream.engine.session import messages
from deeplabstream.engine.session.remote_control import BEGINNINGS
from deeplabstream.engine.session.session_state import Action
from deeplabstream.plugins.camera import SIZING, Camera
from deeplabstream.settings.fields import keys_of, with_changed_key


@dataclass
class CameraControlRequests:
    """Live changes of camera settings that were requested and not answered yet."""

    run_open: bool = False
    """Whether frames are recorded, so that the image size must not change."""
    _resizing: set[str] = field(default_factory=set)
    """Cameras whose image size may change soon."""

    def request(
        self, camera: Camera, name: str, key: str, value: str
    ) -> messages.ChangeControl:
        """Return the message; DeviceError or SettingsError: the request is not valid."""
        changed = with_changed_key(camera, f"Camera {name}", key, value)
        field_name = keys_of(type(camera))[key][0]

        # A camera that is opened again with another size has no frames for a while, so nothing
        # of a run may begin until it answers.
        may_resize = field_name in SIZING and not self.run_open
        if may_resize:
            if self._resizing:
                raise DeviceError("wait until the camera is open again")
            self._resizing.add(name)
        return messages.ChangeControl(
            field_name, getattr(changed, field_name), may_resize
        )

    def answered(self, answer: messages.ControlChanged) -> None:
        """Note the answer to a request."""
        if answer.key in SIZING:
            self._resizing.discard(answer.camera)

    def why_not(self, action: Action) -> str:
        """Return why an action must wait; empty: it may start."""
        if action in BEGINNINGS and self._resizing:
            return f"{action.value}: wait until the camera is open again"
        return ""
