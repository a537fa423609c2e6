"""DEKR networks of DeepLabCut 3: body parts regressed from each animal's centre.

Used by from_deeplabcut3.py. Their deformable convolutions are exported as samples of the
map at nine places (GridSample) and a convolution of one cell: the same numbers, and
operations that every runtime has.
"""

import contextlib

import torch

SCORES = {"combined": "product", "center": "centre", "heatmap": "part"}
"""Names of scores in DeepLabCut, and in DeepLabStream."""


def reading(predictor, model, stride):
    """Return how points are decoded, the module that computes, and its outputs' names."""
    score = SCORES[predictor.keypoint_score_type]
    how = {"outputs": ["maps"], "stride": int(stride), "score": score}
    how["most"] = int(predictor.num_animals)
    if predictor.use_heatmap:
        how["absorb"] = float(predictor.max_absorb_distance)
    if predictor.apply_pose_nms:
        how["same"] = float(predictor.nms_threshold)
    threshold = 0.36 if score == "product" else 0.6
    return (
        {"centres": how, "threshold": threshold},
        _Centres(model, predictor),
        ["maps"],
    )


class _Centres(torch.nn.Module):
    """Scores of the body parts and of the centre, then the offsets."""

    def __init__(self, model, predictor):
        super().__init__()
        self.model, self.sigmoid = model, predictor.apply_sigmoid

    def forward(self, image):
        outputs = self.model(image)["bodypart"]
        scores = outputs["heatmap"]
        scores = scores.sigmoid() if self.sigmoid else scores
        return torch.cat([scores, outputs["offset"]], dim=1)


@contextlib.contextmanager
def plain_deforming():
    """Replace deformable blocks by operations that ONNX has."""
    from deeplabcut.pose_estimation_pytorch.models.modules.conv_block import AdaptBlock

    theirs, AdaptBlock.forward = AdaptBlock.forward, _adapted
    try:
        yield
    finally:
        AdaptBlock.forward = theirs


def _adapted(block, x):
    """Compute `AdaptBlock`, with offsets as an affine map of nine positions."""
    conv = block.adapt_conv
    height, width = x.shape[2:]
    dilation = conv.dilation[0]
    if conv.stride[0] != 1 or conv.groups != 1 or conv.padding[0] != dilation:
        raise SystemExit(
            "deformable convolutions with strides or groups can't be exported"
        )
    matrix, moved = block.transform_matrix_conv(x), block.translation_conv(x)
    rows = torch.arange(height, dtype=x.dtype, device=x.device)[:, None]
    columns = torch.arange(width, dtype=x.dtype, device=x.device)
    places = []
    for tap, (low, high) in enumerate(block.regular_matrix.T.tolist()):
        y = matrix[:, 0] * low + matrix[:, 1] * high + moved[:, 0]
        x_ = matrix[:, 2] * low + matrix[:, 3] * high + moved[:, 1]
        y = y + rows + (dilation * (tap // 3 - 1) - low)
        x_ = x_ + columns + (dilation * (tap % 3 - 1) - high)
        places.append(torch.stack([2 * x_ / (width - 1), 2 * y / (height - 1)], -1) - 1)
    around = torch.nn.functional.grid_sample(
        x, torch.cat(places, dim=1), "bilinear", "zeros", align_corners=True
    )
    around = around.reshape(x.shape[0], 9 * x.shape[1], height, width)
    weight = conv.weight.reshape(conv.weight.shape[0], -1, 1, 1)
    out = block.bn(torch.nn.functional.conv2d(around, weight, conv.bias))
    return block.relu(out + (x if block.downsample is None else block.downsample(x)))
