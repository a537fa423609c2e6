"""Any convolutional network of the package timm, where a lab has installed it."""

from importlib import import_module

from torch import Tensor

from deeplabstream.core.errors import ModelError
from deeplabstream.training.networks.backbone import Backbone


class TimmBackbone(Backbone):
    """A network of timm's by its name there, such as `resnet34`."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.features = _open(name, pretrained=False)
        info = self.features.feature_info
        pairs = list(zip(info.reduction(), info.channels(), strict=True))
        kept = [place for place, (stride, _) in enumerate(pairs) if stride >= 4]
        self.kept = kept
        self.strides = tuple(int(pairs[place][0]) for place in kept)
        self.channels = tuple(int(pairs[place][1]) for place in kept)
        self.multiple = max(self.strides)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return features at 4 and more pixels per cell."""
        features = self.features(x.flip(1))  # BGR to RGB
        return [features[place] for place in self.kept]

    def load_imagenet(self) -> None:
        """Take over the weights that timm fetches, or has in its cache."""
        taught = _open(self.name, pretrained=True)
        self.features.load_state_dict(taught.state_dict())


def _open(name: str, pretrained: bool):  # type: ignore[no-untyped-def]
    try:
        timm = import_module("timm")
    except ImportError as error:
        raise ModelError(
            f"the backbone timm:{name} needs the package timm (and torchvision), which "
            f"can't be imported: {error}"
        ) from error
    try:
        return timm.create_model(name, pretrained=pretrained, features_only=True)
    except (
        Exception
    ) as error:  # timm's errors, and the network's, have no common ancestor
        reason = str(error).splitlines()[0]
        raise ModelError(f"timm gives no network {name!r}: {reason}") from error
