"""Alignment of depth to the pixels of the colour camera, which need not stream for it."""

from typing import Any

from deeplabstream.plugin import DeviceError


class Alignment:
    """Maps depth frames to the pixels of a colour frame of `profile`.

    The SDK aligns pairs of frames, but uses only the size and calibration of the colour
    frame: a blank one is enough, and the colour sensor is free for other processes.
    """

    def __init__(self, profile: Any) -> None:
        import pyrealsense2 as rs

        width, height = profile.width(), profile.height()
        color = 3

        def pair(depth: Any, source: Any) -> None:
            blank = source.allocate_video_frame(
                profile,
                depth,
                color,
                width,
                height,
                width * color,
                rs.extension.video_frame,
            )
            source.frame_ready(source.allocate_composite_frame([depth, blank]))

        self._pairs = rs.frame_queue(1)
        self._pair = rs.processing_block(pair)
        self._pair.start(self._pairs)
        self._align = rs.align(rs.stream.color)

    def __call__(self, depth: Any) -> Any:
        """Return the aligned depth frame; 0: no depth is known."""
        self._pair.invoke(depth)
        arrived, pair = self._pairs.try_wait_for_frame(500)
        if not arrived:
            raise DeviceError("depth could not be aligned to colour")
        return self._align.process(pair.as_frameset()).get_depth_frame()
