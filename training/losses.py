"""What training makes small."""

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def heatmap_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the cross entropy of heat maps, summed over cells, averaged over maps.

    Its minimum is the target itself, Gaussians and all, so the sigmoid of the logits is
    a heat map that `Heatmaps.decode` reads, and its height says how sure the network is.
    An absent body part has a target of zeros.
    """
    total = binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return total / (logits.shape[0] * logits.shape[1])
