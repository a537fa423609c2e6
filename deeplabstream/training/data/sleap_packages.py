"""SLEAP's label files (`.slp`, `.pkg.slp`), unpacked into images and `CollectedData.csv`.

The file is HDF5: `frames` has ranges of `instances`, these have ranges of `points`. A package
(`.pkg.slp`) has encoded images in `videoN/video`; otherwise `videos_json` names videos
and images, which are searched beside the file first. Only manual labels are taken.
"""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deeplabstream.core.errors import DeviceError
from deeplabstream.core.frame import Image
from deeplabstream.core.pose import Skeleton
from deeplabstream.files.foreign_files import parse_json
from deeplabstream.files.hdf5 import open_hdf5, whole
from deeplabstream.files.image_header import too_large
from deeplabstream.pose.image_files import SUFFIXES, decode, read_image
from deeplabstream.training.data.labels import SINGLE, LabelsError
from deeplabstream.training.data.predicted_poses import predictions_problem
from deeplabstream.video.decoding import as_bgr
from deeplabstream.video.video_reader import open_video

if TYPE_CHECKING:
    import h5py

USER = 0
"""The kind of instance that was labelled by hand."""
SINCE_CENTRES = 1.1
"""Format version from which pixel centres are at whole numbers; before, at halves."""
SINCE_ORDER = 1.4
"""From this format on, `channel_order` declares the colours of encoded images."""
VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".m4v")
_PACKAGE = "in SLEAP, export a package with images (.pkg.slp) and give that"
_MOST_VIDEOS, _MOST_ANIMALS, _MOST_TRACKS = 100_000, 1000, 100_000


def unpack_sleap(file: Path, folder: Path) -> tuple[Skeleton, tuple[Path, ...]]:
    """Write `CollectedData.csv` and its images into `folder`; return skeleton and videos.

    The videos are those that frames were decoded from. Where an image has several
    animals, the table has `individuals`. LabelsError names every fault: a video that is
    not found (one sentence for each), several skeletons.
    """
    try:
        with open_hdf5(file) as content:
            return _unpack(file, content, folder)
    except ValueError as error:
        raise LabelsError([f"{file} is not a SLEAP file: {error}"]) from error
    except OSError as error:
        raise LabelsError([f"{file} can't be unpacked: {error}"]) from error


def _unpack(
    file: Path, content: "h5py.File", folder: Path
) -> tuple[Skeleton, tuple[Path, ...]]:
    if "metadata" not in content:
        raise ValueError(_other_content(content))
    metadata = parse_json(content["metadata"].attrs["json"])
    if len(metadata["skeletons"]) != 1:
        raise LabelsError([_several(file, metadata)])
    skeleton = sleap_skeleton(metadata)
    labelled, names = _in_tracks(
        _labelled(content, len(skeleton.bodyparts)), track_names(content, metadata)
    )
    if not any(labelled.values()):
        predicted = len(content["frames"])
        if predicted:
            raise LabelsError([predictions_problem(file, "SLEAP")])
        raise LabelsError([f"{file} holds no frame that a user labelled"])
    rows: list[list[object]] = []
    problems: list[str] = []
    videos: list[Path] = []
    for video, frames in labelled.items():
        images = _images(file, content, metadata, video, sorted(frames), videos)
        try:
            for index, image in images:
                name = f"labeled-data/video{video}/img{index:08}.png"
                _write_image(folder / name, image)
                rows.append([name, *(cell for own in frames[index] for cell in own)])
        except LabelsError as error:
            problems += error.problems
    if problems:
        raise LabelsError(problems)
    _write(folder / "CollectedData.csv", skeleton, rows, names)
    return skeleton, tuple(videos)


def _other_content(content: "h5py.File") -> str:
    """Return the content of another HDF5 file, and the file to use instead."""
    if "track_occupancy" in content:
        return f"it holds predictions for analysis. Give the labels: {_PACKAGE}"
    if "model_weights" in content:
        return f"it holds a network of SLEAP's TensorFlow versions. {_PACKAGE}"
    return "it has no metadata"


_Cells = list[object]
_ByFrame = dict[int, dict[int, list[_Cells]]]
"""By video and frame the cells of each animal."""


def track_names(content: "h5py.File", metadata: Mapping[str, Any]) -> list[str]:
    """Return the names of the tracks."""
    listed: Sequence[Any] = metadata.get("tracks") or ()
    if "tracks_json" in content:
        table = content["tracks_json"]
        if table.size > _MOST_TRACKS:
            return []
        listed = [parse_json(table[place]) for place in range(len(table))]
    return [
        str(entry[-1]) if isinstance(entry, list) and entry else "" for entry in listed
    ]


def _in_tracks(
    labelled: dict[int, dict[int, list[tuple[int, _Cells]]]], tracks: Sequence[str]
) -> tuple[_ByFrame, list[str]]:
    """Return the animals of each frame in the order of their tracks, and their names.

    Where not every animal has a track of its own with a name, or there are more tracks
    than animals in any frame (pieces of tracks), they keep the file's order, without names.
    """
    frames = [frame for video in labelled.values() for frame in video.values()]
    most = max((len(frame) for frame in frames), default=0)
    used = sorted({track for frame in frames for track, _ in frame})
    names = [tracks[n] if 0 <= n < len(tracks) else "" for n in used]
    plain = {name.casefold() for name in names}
    # A name stands for one animal only if no frame has it twice.
    unique = all(len({t for t, _ in frame}) == len(frame) for frame in frames)
    good = len(plain) == len(used) == most and not plain & {"", SINGLE} and unique
    width = max((len(cells) for frame in frames for _, cells in frame), default=0)

    def placed(frame: Sequence[tuple[int, _Cells]]) -> list[_Cells]:
        if not good:
            return [cells for _, cells in frame]
        own = dict(frame)
        return [own.get(track, [""] * width) for track in used]

    return {
        video: {index: placed(frame) for index, frame in own.items()}
        for video, own in labelled.items()
    }, names if good else []


def _labelled(
    content: "h5py.File", parts: int
) -> dict[int, dict[int, list[tuple[int, _Cells]]]]:
    """Return by video and frame the tracks and cells of its manually labelled animals."""
    shift = centre_shift(content)
    instances, points = whole(content["instances"]), whole(content["points"])
    labelled: dict[int, dict[int, list[tuple[int, _Cells]]]] = {}
    for frame in whole(content["frames"]):
        video, index = int(frame["video"]), int(frame["frame_idx"])
        start, stop = int(frame["instance_id_start"]), int(frame["instance_id_end"])
        if stop - start > _MOST_ANIMALS:
            raise ValueError(f"video {video}, frame {index} has {stop - start} animals")
        placed = [i for i in instances[start:stop] if i["instance_type"] == USER]
        if not placed:
            continue
        animals: list[tuple[int, _Cells]] = []
        for animal in placed:
            first, last = (int(animal[f"point_id_{end}"]) for end in ("start", "end"))
            if last - first > parts:
                raise ValueError(
                    f"an animal has {last - first} body parts, not {parts}"
                )
            track = (
                int(animal["track"]) if "track" in (animal.dtype.names or ()) else -1
            )
            animals.append((track, _cells(points[first:last], shift)))
        frames = labelled.setdefault(video, {})
        if index in frames:
            raise ValueError(f"video {video}, frame {index} is in it twice")
        frames[index] = animals
    return labelled


def centre_shift(content: "h5py.File") -> float:
    """Return the offset to subtract: pixel centres were at halves in old files."""
    return 0.5 if _version(content) < SINCE_CENTRES else 0.0


def _version(content: "h5py.File") -> float:
    return float(content["metadata"].attrs.get("format_id", 1.2))


def _cells(points: NDArray[Any], shift: float) -> list[object]:
    """Return x and y of each point, empty where it was not visible."""
    cells: list[object] = []
    for point in points:
        visible = bool(point["visible"]) and np.isfinite(point["x"])
        xy = [float(point["x"]) - shift, float(point["y"]) - shift]
        cells += xy if visible else ["", ""]
    return cells


def _images(
    file: Path,
    content: "h5py.File",
    metadata: Mapping[str, Any],
    video: int,
    frames: Sequence[int],
    videos: list[Path],
) -> Iterator[tuple[int, Image]]:
    """Yield the images of a video's frames, either embedded or from the files that it names.

    A video file that they are decoded from is added to `videos`.
    """
    group = content.get(f"video{video}")
    places: dict[int, int] = {}
    if group is not None and "video" in group and "frame_numbers" in group:
        numbers = whole(group["frame_numbers"]).ravel().tolist()
        places = {int(number): place for place, number in enumerate(numbers)}
    for index in frames:
        if index in places:
            yield index, _embedded(group, index, places[index], _version(content))
    if others := [index for index in frames if index not in places]:
        source = _source(content, metadata, video)
        yield from _named_images(file, source, others, videos)


def _embedded(group: "h5py.Group", index: int, place: int, version: float) -> Image:
    """Return a frame that is in the package, as BGR or grey.

    Raw images are RGB. SLEAP passes RGB to OpenCV's encoder, which expects BGR: those
    files are in the order "BGR", and OpenCV decodes them to RGB.
    """
    import cv2

    stored = np.asarray(group["video"][place])
    if stored.ndim > 1:
        return _reversed(stored)
    encoded = stored.view(np.uint8).tobytes()  # stored as signed bytes
    if reason := too_large(encoded):
        raise ValueError(f"the image {index} of {group.name} {reason}")
    image = decode(encoded, cv2.IMREAD_UNCHANGED)
    if image is None:
        raise ValueError(f"the image {index} of {group.name} can't be decoded")
    order = "RGB" if version >= SINCE_ORDER else "BGR"
    order = group["video"].attrs.get("channel_order", order)
    return _reversed(image) if order in {"BGR", b"BGR"} else image


def _reversed(image: Image) -> Image:
    """Return an image with its three channels in reverse order."""
    return image[..., ::-1] if image.ndim == 3 and image.shape[2] == 3 else image


def _source(
    content: "h5py.File", metadata: Mapping[str, Any], video: int
) -> Mapping[str, Any]:
    """Return the entry of a video in the file: file names, dataset."""
    listed: Sequence[Any] = metadata.get("videos") or ()
    if "videos_json" in content:
        table = content["videos_json"]
        if table.size > _MOST_VIDEOS:
            raise ValueError(f"it names {table.size} videos")
        listed = [parse_json(table[place]) for place in range(len(table))]
    entry = listed[video] if video < len(listed) else None
    if not isinstance(entry, dict):
        return {}
    backend = entry.get("backend")
    return {**entry, **(backend if isinstance(backend, dict) else {})}


def _named_images(
    file: Path, source: Mapping[str, Any], frames: Sequence[int], videos: list[Path]
) -> Iterator[tuple[int, Image]]:
    """Yield frames of the video, or of the images, that a label file names."""
    names = source.get("filenames") or source.get("filename")
    if isinstance(names, list):
        yield from _single_images(file, [str(name) for name in names], frames)
        return
    name = str(names or "")
    count = f"{len(frames)} labelled frames" if len(frames) > 1 else "a labelled frame"
    if PureWindowsPath(name).suffix.lower() not in VIDEOS:
        what = (
            f"lie in {name!r}, which is not a video file" if name else "are not in it"
        )
        raise LabelsError([f"{file}: the images of {count} {what}; {_PACKAGE}"])
    path = _found(file, name)
    if path is None:
        raise LabelsError(
            [
                f"{file}: the video {name} of {count} is not there. Put "
                f"{PureWindowsPath(name).name} beside {file.name}; or {_PACKAGE}"
            ]
        )
    try:
        reader = open_video(path)
    except DeviceError as error:
        raise LabelsError([f"{file}: {error}"]) from error
    if frames[-1] >= len(reader):
        raise LabelsError(
            [
                f"{file}: frame {frames[-1]} is labelled, but {path} has {len(reader)} "
                "frames: it is not the video that was labelled"
            ]
        )
    videos.append(path)
    for found in reader.images_at(np.array(frames, np.int64)):
        if found.image is None:
            raise LabelsError([f"{file}: frame {found.row} of {path} can't be decoded"])
        yield found.row, as_bgr(found.image)


def _single_images(
    file: Path, names: Sequence[str], frames: Sequence[int]
) -> Iterator[tuple[int, Image]]:
    missing: list[str] = []
    for index in frames:
        name = names[index] if index < len(names) else ""
        is_image = PureWindowsPath(name).suffix.lower() in SUFFIXES
        path = _found(file, name) if is_image else None
        if path is None:
            missing.append(name or f"number {index}")
            continue
        image = read_image(path)
        if image is None:
            raise LabelsError([f"{file}: the image {path} can't be read"])
        yield index, image
    if missing:
        raise LabelsError(
            [
                f"{file}: {len(missing)} of {len(frames)} labelled images are not there "
                f"(the first is {missing[0]}). Put them beside {file.name}; or {_PACKAGE}"
            ]
        )


def _found(file: Path, name: str) -> Path | None:
    """Return the file that a label file names: beside it, or at the path of the name."""
    own = Path(PureWindowsPath(name).as_posix())
    places = [file.parent / own.name, file.parent / "videos" / own.name]
    if not own.is_absolute() and ".." not in own.parts:
        places.insert(0, file.parent / own)
    elif own.is_absolute():
        places.append(own)
    return next((place for place in places if place.is_file()), None)


def _write_image(target: Path, image: Image) -> None:
    import cv2

    target.parent.mkdir(parents=True, exist_ok=True)
    if image.ndim == 3 and (image == image[..., :1]).all():
        image = image[..., 0]  # grey images need half the time and memory
    done, png = cv2.imencode(".png", image)
    if not done:
        raise ValueError(f"an image of shape {image.shape} can't be written")
    target.write_bytes(png.tobytes())


def _several(file: Path, metadata: Mapping[str, Any]) -> str:
    """Return the sentence about a file of no skeleton, or of more than one."""
    graphs = [
        skeleton.get("nx_graph", skeleton).get("graph", {})
        for skeleton in metadata["skeletons"]
    ]
    names = ", ".join(str(graph.get("name") or "without a name") for graph in graphs)
    return (
        f"{file} holds {len(graphs)} skeletons{f' ({names})' if names else ''}, and a "
        "network learns one: in SLEAP, save the instances of each skeleton as a file of "
        "its own"
    )


def sleap_skeleton(metadata: Mapping[str, Any]) -> Skeleton:
    """Return the skeleton; that of a template is in `nx_graph`."""
    names = [node["name"] for node in metadata["nodes"]]
    own = metadata["skeletons"][0]
    own = own.get("nx_graph", own)
    bodyparts = tuple(str(names[int(node["id"])]) for node in own["nodes"])
    doubles = [name for name, times in Counter(bodyparts).items() if times > 1]
    if doubles:
        raise LabelsError([f"the skeleton names {', '.join(doubles)} twice"])
    edges, kinds = [], []
    for link in own.get("links", []):
        kind = link.get("type", {})
        if "py/reduce" in kind:
            kinds.append(int(kind["py/reduce"][1]["py/tuple"][0]))
            is_edge = kinds[-1] == 1
        else:  # a reference to an earlier type
            is_edge = kinds[int(kind["py/id"]) - 1] == 1 if "py/id" in kind else True
        if is_edge:
            edges.append((str(names[link["source"]]), str(names[link["target"]])))
    return Skeleton(bodyparts, tuple(edges))


def _write(
    file: Path,
    skeleton: Skeleton,
    rows: list[list[object]],
    individuals: Sequence[str],
) -> None:
    """Write the table; without names, the identity of animals is unknown."""
    own = 2 * len(skeleton.bodyparts)
    animals = max(len(row) - 1 for row in rows) // own
    columns = own * animals
    double = [name for name in skeleton.bodyparts for _ in "xy"] * animals
    with file.open("w", newline="", encoding="utf-8") as lines:
        table = csv.writer(lines, lineterminator="\n")
        table.writerow(["scorer", *["sleap"] * columns])
        if animals > 1:
            names = individuals or [f"animal{n}" for n in range(1, animals + 1)]
            table.writerow(
                ["individuals", *(name for name in names for _ in range(own))]
            )
        table.writerow(["bodyparts", *double])
        table.writerow(["coords", *["x", "y"] * (columns // 2)])
        for row in rows:
            table.writerow([*row, *[""] * (columns + 1 - len(row))])
