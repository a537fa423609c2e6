"""Projects of DeepLabCut and SLEAP, as those programs write them."""

import json
from pathlib import Path

import cv2
import h5py
import numpy as np

CONFIG = """Task: reach
scorer: me
bodyparts: [snout, tail]
skeleton:
- [snout, tail]
video_sets:
  /somewhere/else/a.avi: {crop: 0, 640, 0, 480}
"""


HEADER = "scorer,,,me,me,me,me\nbodyparts,,,{0},{0},{1},{1}\ncoords,,,x,y,x,y\n"


PICTURE = np.zeros((30, 40, 3), np.uint8)


def deeplabcut(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(CONFIG.replace("0, 640, 0, 480", "all"))
    for clip, parts in (("a", ("snout", "tail")), ("b", ("tail", "snout"))):
        own = folder / "labeled-data" / clip
        own.mkdir(parents=True)
        cv2.imwrite(str(own / "img1.png"), PICTURE)
        text = HEADER.format(*parts) + f"labeled-data,{clip},img1.png,1,2,3,4\n"
        (own / "CollectedData_me.csv").write_text(text)
    return folder


def sleap(file: Path, animals: int = 1, embedded: bool = True) -> Path:
    """Write a package of two labelled frames as SLEAP lays it out."""
    edge = {"py/reduce": [{"py/type": "EdgeType"}, {"py/tuple": [1]}]}
    other = {"py/reduce": [{"py/type": "EdgeType"}, {"py/tuple": [2]}]}
    links = [
        {"source": 1, "target": 0, "type": edge},
        {"source": 0, "target": 1, "type": other},
        {"source": 0, "target": 1, "type": {"py/id": 2}},
    ]
    words = {
        "nodes": [{"name": "tail"}, {"name": "snout"}],
        "skeletons": [{"nodes": [{"id": 1}, {"id": 0}], "links": links}],
    }
    frames = [(0, 0, 7, 0, animals), (1, 0, 9, animals, animals + 1)]
    kind = [(n, "u8") for n in ("frame_id", "video", "frame_idx")]
    kind += [(f"instance_id_{end}", "u8") for end in ("start", "end")]
    one = [("instance_type", "u1"), ("point_id_start", "u8"), ("point_id_end", "u8")]
    count = animals + 1
    instances = [(0, 2 * i, 2 * i + 2) for i in range(count)]
    points = [(1.5, 2.5, True), (3.5, 4.5, False)] * count
    with h5py.File(file, "w") as content:
        metadata = content.create_group("metadata")
        metadata.attrs["json"] = json.dumps(words)
        metadata.attrs["format_id"] = 1.0
        content["frames"] = np.array(frames, kind)
        content["instances"] = np.array(instances, one)
        content["points"] = np.array(
            points, [("x", "f8"), ("y", "f8"), ("visible", "?")]
        )
        if embedded:
            encoded = cv2.imencode(".png", PICTURE)[1].ravel().view(np.int8)
            stored = content.create_dataset(
                "video0/video", (2,), h5py.special_dtype(vlen=np.int8)
            )
            stored[0], stored[1] = encoded, encoded
            content["video0/frame_numbers"] = [7, 9]
    return file


def sleap_of(file: Path, **backend: object) -> Path:
    """Write labels of frames 7 and 9 whose images are elsewhere."""
    sleap(file, embedded=False)
    with h5py.File(file, "a") as content:
        said = json.dumps({"backend": backend}).encode()
        content["videos_json"] = np.array([said])
    return file
