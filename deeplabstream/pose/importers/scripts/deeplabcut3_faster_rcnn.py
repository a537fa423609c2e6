"""Faster R-CNN of DeepLabCut 3 (torchvision's) for any number of images in one ONNX graph.

Used by deeplabcut3_detectors.py. torchvision goes from image to image, with as many boxes
as each has. Here all images have the same number of boxes, and a box that torchvision drops
has score 0: so the graph has one shape, and suppresses boxes with ONNX's own
NonMaxSuppression.
"""

import contextlib
import functools

import torch
from torch.nn import functional


@contextlib.contextmanager
def nothing_fetched():
    """Build networks without ImageNet weights, which the snapshot's weights replace."""
    from torchvision.models.detection import faster_rcnn

    theirs = {name: getattr(faster_rcnn, name) for name in _BACKBONES}
    for name, build in theirs.items():
        setattr(faster_rcnn, name, functools.partial(_without_weights, build))
    try:
        yield
    finally:
        for name, build in theirs.items():
            setattr(faster_rcnn, name, build)


_BACKBONES = ("resnet50", "mobilenet_v3_large")


def _without_weights(build, *, weights, **how):
    return build(weights=None, **how)


class DetectorBoxes(torch.nn.Module):
    """Corners (n, box, 2, 2) and scores (n, box, 2) of the best boxes in images.

    Images are (n, 3, height, width); of one box the axis is left out.
    """

    def __init__(self, network, width, height, most):
        super().__init__()
        self.network, self.most, self.sides = network, most, (height, width)
        how = network.transform
        shorter, longer = how.min_size[-1], how.max_size
        scale = min(shorter / min(self.sides), longer / max(self.sides))
        self.size = tuple(int(side * scale) for side in self.sides)  # rows, columns
        step = how.size_divisible
        self.padding = [0, -self.size[1] % step, 0, -self.size[0] % step]
        for name, values in (("mean", how.image_mean), ("std", how.image_std)):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))
        from torchvision.models.detection.image_list import ImageList
        from torchvision.ops.poolers import _setup_scales

        with torch.no_grad():
            x = self._prepared(torch.zeros(1, 3, height, width))
            features = network.backbone(x)
        maps = list(features.values())
        anchors = network.rpn.anchor_generator(ImageList(x, [self.size]), maps)[0]
        self.register_buffer("anchors", anchors)
        pool = network.roi_heads.box_roi_pool
        self.names = [name for name in features if name in pool.featmap_names]
        self.scales, self.level_of = _setup_scales(
            [features[name] for name in self.names], [self.size],
            pool.canonical_scale, pool.canonical_level,
        )  # fmt: skip

    def forward(self, images):
        """Return the corners and the scores of images."""
        features = self.network.backbone(self._prepared(images))
        proposals, proposed = self._proposed(list(features.values()))
        heads = self.network.roi_heads
        count = proposals.shape[1]
        found = self._pooled(features, proposals)
        logits, moved = heads.box_predictor(heads.box_head(found))
        flat = proposals.reshape(-1, 4)
        boxes = heads.box_coder.decode_single(moved, flat).reshape(-1, count, 2, 4)
        boxes = self._clipped(boxes[:, :, 1])
        scores = logits.softmax(-1).reshape(-1, count, 2)[:, :, 1]
        kept = (scores > heads.score_thresh) & proposed & _is_large(boxes, 1e-2)
        scores = torch.where(kept, scores, torch.zeros_like(scores))
        if self.most > 1:
            scores = scores * suppressed(boxes, scores, heads.nms_thresh)
        sure, best = scores.topk(min(self.most, count), dim=1)
        boxes = boxes.gather(1, best[..., None].expand(-1, -1, 4))
        (height, width), (rows, columns) = self.sides, self.size
        scale = boxes.new_tensor([width / columns, height / rows] * 2)
        points = (boxes * scale).reshape(-1, sure.shape[1], 2, 2)
        sure = sure[..., None].expand(-1, -1, 2)
        return (points, sure) if self.most > 1 else (points[:, 0], sure[:, 0])

    def _prepared(self, images):
        """Return normalised images of torchvision's size, padded with zeros."""
        x = (images - self.mean) / self.std
        x = functional.interpolate(
            x, size=self.size, mode="bilinear", align_corners=False
        )
        return functional.pad(x, self.padding)

    def _proposed(self, maps):
        """Return proposals (n, box, 4), and which of them are valid (n, box)."""
        rpn = self.network.rpn
        scores, moved = rpn.head(maps)
        counts = [
            maps_of_level.shape[1] * maps_of_level.shape[2] * maps_of_level.shape[3]
            for maps_of_level in scores
        ]
        starts = [sum(counts[:level]) for level in range(len(counts))]
        tops, probabilities, levels = [], [], []
        for level, (maps_of_level, by, count, start) in enumerate(
            zip(scores, moved, counts, starts, strict=True)
        ):
            logits = maps_of_level.permute(0, 2, 3, 1).reshape(-1, count)
            own = by.reshape(-1, maps_of_level.shape[1], 4, *maps_of_level.shape[2:])
            own = own.permute(0, 3, 4, 1, 2).reshape(-1, count, 4)
            best, place = logits.topk(min(rpn.pre_nms_top_n(), count), dim=1)
            own = own.gather(1, place[..., None].expand(-1, -1, 4))
            anchors = self.anchors[start : start + count][place]
            boxes = rpn.box_coder.decode_single(
                own.reshape(-1, 4), anchors.reshape(-1, 4)
            )
            tops.append(boxes.reshape(-1, best.shape[1], 4))
            probabilities.append(best.sigmoid())
            levels += [level] * best.shape[1]
        boxes, scores = self._clipped(torch.cat(tops, 1)), torch.cat(probabilities, 1)
        kept = _is_large(boxes, rpn.min_size) & (scores >= rpn.score_thresh)
        scores = torch.where(kept, scores, torch.zeros_like(scores))
        level = torch.arange(len(maps), device=boxes.device)[:, None]
        own_level = level == torch.tensor(levels, device=boxes.device)  # (level, box)
        kept = _Suppressed.apply(boxes, scores[:, None] * own_level, rpn.nms_thresh)
        scores = scores * kept.sum(1)
        count = min(rpn.post_nms_top_n(), scores.shape[1])
        best, place = scores.topk(count, dim=1)
        return boxes.gather(1, place[..., None].expand(-1, -1, 4)), best > 0

    def _pooled(self, features, proposals):
        """Return the maps (n · box, channel, h, w) in the proposals."""
        from torchvision.ops import roi_align

        pool = self.network.roi_heads.box_roi_pool
        n, count = proposals.shape[:2]
        images = torch.arange(n, device=proposals.device, dtype=proposals.dtype)
        images = images[:, None, None].expand(-1, count, -1)
        rois = torch.cat([images, proposals], dim=2).reshape(-1, 5)
        level_of, flat = self.level_of, rois[:, 1:]
        sides = torch.sqrt((flat[:, 2] - flat[:, 0]) * (flat[:, 3] - flat[:, 1]))
        level = torch.floor(
            level_of.lvl0 + torch.log2(sides / level_of.s0) + level_of.eps
        ).clamp(level_of.k_min, level_of.k_max)
        found = 0
        for place, (name, scale) in enumerate(
            zip(self.names, self.scales, strict=True)
        ):
            of = roi_align(
                features[name], rois, pool.output_size, scale, pool.sampling_ratio
            )
            own = (level == level_of.k_min + place)[:, None, None, None]
            found = found + torch.where(own, of, torch.zeros_like(of))
        return found

    def _clipped(self, boxes):
        """Return boxes clipped at the image's border."""
        rows, columns = self.size
        x, y = boxes[..., ::2].clamp(0, columns), boxes[..., 1::2].clamp(0, rows)
        return torch.stack([x, y], dim=-1).flatten(-2)


def _is_large(boxes, least):
    sides = boxes[..., 2:] - boxes[..., :2]
    return (sides[..., 0] >= least) & (sides[..., 1] >= least)


def suppressed(boxes, scores, share):
    """Non-maximum suppression of boxes (n, box, 4): return (n, box), 1 for each box that is kept.

    Boxes of score (n, box) 0 are 0.
    """
    return _Suppressed.apply(boxes, scores[:, None], share).sum(1)


class _Suppressed(torch.autograd.Function):
    """Non-maximum suppression, separately for each kind: boxes (n, box, 4), scores (n, kind, box).

    Boxes of a kind that overlap a surer one by more than a share are not: (n, kind, box),
    1 or 0.
    """

    @staticmethod
    def forward(ctx, boxes, scores, share):
        from torchvision.ops import nms

        kept = torch.zeros_like(scores)
        for image, kinds in enumerate(scores):
            for kind, own in enumerate(kinds):
                candidates = own.gt(0).nonzero()[:, 0]
                left = nms(boxes[image, candidates], own[candidates], share)
                kept[image, kind, candidates[left]] = 1
        return kept

    @staticmethod
    def symbolic(g, boxes, scores, share):
        def held(value, kind):
            return g.op("Constant", value_t=torch.tensor(value, dtype=kind))

        left = g.op(
            "NonMaxSuppression", boxes, scores, held([2**31 - 1], torch.int64),
            held([share], torch.float32), held([0.0], torch.float32),
        )  # fmt: skip
        ones = g.op(
            "Expand",
            held([1.0], torch.float32),
            g.op(
                "Slice",
                g.op("Shape", left),
                held([0], torch.int64),
                held([1], torch.int64),
            ),
        )
        nothing = g.op("Mul", scores, held([0.0], torch.float32))
        return g.op("ScatterND", nothing, left, ones).setType(scores.type())
