"""Sub-pixel points of a top-down pair of SLEAP-NN, added to its exported graph.

The export finds whole cells, with both networks, and scales windows by about one pixel.
SLEAP-NN itself refines centres and body parts (integral refinement: the centroid of the values
in a square of cells), and cuts windows at whole pixels. Here the graph gets the same.
"""

from typing import Any, Final

import numpy as np

from deeplabstream.pose.importers.graph_operations import GraphBuilder, onnx_package

SQUARE: Final = 5
"""Cells along a side of the square of SLEAP-NN's integral refinement."""
_REACH = SQUARE // 2
_LEAST = 1e-6
"""Sum of the values of a square below which a peak stays in its cell."""
_LAST = np.iinfo(np.int64).max
_PEAKS = "refined_peaks"


def refine_top_down(
    network: Any, crop: tuple[int, int] | None, parts: int, animals: int
) -> str:
    """Refine the points of an exported pair; return the new output's name.

    Empty: the graph is not as SLEAP-NN 0.3.5 exports it, and was not changed. `crop` is
    (height, width) of the windows, `animals` the number of windows of one image.

    The output is (n, animal, bodypart, 2), in pixels of the network's input; 0: not seen.
    """
    made = {name: node for node in network.graph.node for name in node.output}
    ends = [_centres(made), _window_maps(made), _grid_sample(network)]
    if crop is None or not animals or not all(ends):
        return ""
    (centres, best, maps), windows, sampling = ends
    graph = GraphBuilder(network.graph)

    # centres of animals, (n, animal, 2)
    to_px = graph.hold(np.float32(_factor(network, made, centres)))
    moved = _offsets(graph, maps, best)
    centre = graph.add("Add", [centres, graph.add("Mul", [moved, to_px])])
    sampling.input[1] = _window_grid(graph, sampling.input[0], centre, crop)

    # points in windows, (window · bodypart, 1, 2)
    flat = graph.add("Reshape", [_single_maps(graph, windows), graph.hold([0, -1])])
    place = graph.add("ArgMax", [flat], axis=1, keepdims=1)
    width = graph.add("Gather", [graph.add("Shape", [windows]), graph.hold([3])])
    cell = [graph.add("Mod", [place, width]), graph.add("Div", [place, width])]
    last = graph.hold([2])
    cell = [graph.add("Unsqueeze", [axis, last]) for axis in cell]
    point = graph.add("Cast", [graph.add("Concat", cell, axis=2)], to=1)
    point = graph.add("Add", [point, _offsets(graph, windows, place)])

    # points in the image, as SLEAP-NN adds the corner of a window that it does not round
    scale = graph.hold(np.float32(_factor(network, made, _window_points(made))))
    shape = graph.hold([-1, animals, parts, 2])
    point = graph.add("Reshape", [graph.add("Mul", [point, scale]), shape])
    corner = np.array([0.5 - crop[1] / 2, 0.5 - crop[0] / 2], np.float32)
    corner_px = graph.add("Add", [centre, graph.hold(corner)])
    corner_px = graph.add("Unsqueeze", [corner_px, graph.hold([2])])
    zero = graph.hold(np.float32(0))
    seen = graph.add("Greater", ["peak_vals", zero])
    seen = graph.add("Unsqueeze", [seen, graph.hold([3])])
    point = graph.add("Add", [point, corner_px])
    point = graph.add("Where", [seen, point, zero])
    network.graph.node.append(
        onnx_package().helper.make_node("Identity", [point], [_PEAKS])
    )
    _sort(network.graph)
    return _PEAKS


def is_refined(network: Any) -> bool:
    """Return whether `refine_top_down` has changed the graph."""
    return any(_PEAKS in node.output for node in network.graph.node)


def _centres(made: dict[str, Any]) -> tuple[str, str, str] | None:
    """Return the centres in pixels, the indices of their cells, and their maps."""
    values, pixels = made.get("centroid_vals"), made.get("centroids")
    if values is None or pixels is None or pixels.op_type != "Where":
        return None
    best = made.get(values.input[-1])
    kept = made.get(best.input[0]) if best is not None else None
    if best is None or best.op_type != "TopK" or kept is None:
        return None
    maps = _before_reshapes(made, kept.input[1]) if kept.op_type == "Where" else ""
    return (pixels.input[2], best.output[1], maps) if maps else None


def _window_maps(made: dict[str, Any]) -> str:
    """Return the maps of body parts (window, bodypart, h, w); empty: not found."""
    value = "peak_vals"
    while (node := made.get(value)) is not None:
        if node.op_type in ("ReduceMax", "Max", "TopK"):
            return _before_reshapes(made, node.input[0])
        value = node.input[0] if node.op_type == "Reshape" else node.input[-1]
    return ""


def _window_points(made: dict[str, Any]) -> str:
    """Return the points in windows, in pixels of the window; empty: not found."""
    node = made.get("peaks")
    if node is None or node.op_type != "Where":
        return ""
    added = made.get(node.input[2])
    for value in added.input if added is not None and added.op_type == "Add" else ():
        if (reshaped := made.get(value)) is not None and reshaped.op_type == "Reshape":
            return str(reshaped.input[0])
    return ""


def _grid_sample(network: Any) -> Any:
    """Return the operation that cuts windows; None: there is none, or several."""
    found = [node for node in network.graph.node if node.op_type == "GridSample"]
    return found[0] if len(found) == 1 else None


def _before_reshapes(made: dict[str, Any], value: str) -> str:
    """Return the value that was reshaped to this one, once or several times; empty: none."""
    found = ""
    while (node := made.get(value)) is not None and node.op_type == "Reshape":
        found = value = str(node.input[0])
    return found


def _factor(network: Any, made: dict[str, Any], value: str) -> float:
    """Return the constant by which the operation that makes a value multiplies; 1: none."""
    node = made.get(value)
    if node is None or node.op_type != "Mul":
        return 1.0
    read = onnx_package().numpy_helper.to_array
    held = {it.name: it for it in network.graph.initializer}
    for name in node.input:
        if name in held:
            return float(read(held[name]))
        if (source := made.get(name)) is not None and source.op_type == "Constant":
            return float(read(source.attribute[0].t))
    return 1.0


def _single_maps(graph: GraphBuilder, maps: str) -> str:
    """Return maps (…, h, w) as (m, 1, h, w)."""
    size = [graph.hold([-2]), graph.hold([_LAST])]
    size_of_map = graph.add("Slice", [graph.add("Shape", [maps]), *size])
    shape = graph.add("Concat", [graph.hold([-1, 1]), size_of_map], axis=0)
    return graph.add("Reshape", [maps, shape])


def _offsets(graph: GraphBuilder, maps: str, cells: str) -> str:
    """Return the offsets (m, k, 2) of the peaks in `cells` (m, k) from their cells, in cells.

    They are the centroids of the values in a square; cells outside the map count as 0.
    """
    one = np.ones((SQUARE, SQUARE), np.float32)
    across = np.arange(-_REACH, _REACH + 1, dtype=np.float32)
    weights = np.stack([one, one * across, one * across[:, None]])[:, None]
    sums = graph.add(
        "Conv", [_single_maps(graph, maps), graph.hold(weights)], pads=[_REACH] * 4
    )

    # mass and moments of each map in the cells of its peaks: (m, 3, k)
    sums = graph.add("Reshape", [sums, graph.hold([0, 3, -1])])
    places = graph.add("Unsqueeze", [cells, graph.hold([1])])
    places = graph.add("Expand", [places, graph.hold([1, 3, 1])])
    sums = graph.add("GatherElements", [sums, places], axis=2)
    mass = graph.add("Gather", [sums, graph.hold([0])], axis=1)
    moments = graph.add("Gather", [sums, graph.hold([1, 2])], axis=1)
    enough = graph.add("Greater", [mass, graph.hold(np.float32(_LEAST))])
    mass = graph.add("Where", [enough, mass, graph.hold(np.float32(np.inf))])
    reach = np.float32(_REACH)
    offsets = graph.add("Div", [moments, mass])
    offsets = graph.add("Clip", [offsets, graph.hold(-reach), graph.hold(reach)])
    return graph.add("Transpose", [offsets], perm=[0, 2, 1])


def _window_grid(
    graph: GraphBuilder, images: str, centre: str, crop: tuple[int, int]
) -> str:
    """Return where the pixels of windows are, as GridSample counts; whole pixels.

    A window begins half of its size before the centre, rounded as SLEAP-NN does.
    """
    height, width = crop
    half = np.array([width // 2, height // 2], np.float32)
    round_by = half - np.array([width / 2, height / 2], np.float32) + 0.5
    first = graph.add("Floor", [graph.add("Add", [centre, graph.hold(round_by)])])
    first = graph.add("Sub", [first, graph.hold(half)])
    first = graph.add("Unsqueeze", [first, graph.hold([2, 3])])
    y, x = np.mgrid[:height, :width].astype(np.float32)
    pixels = graph.add("Add", [first, graph.hold(np.stack([x, y], axis=-1))])

    # -1 and 1 are the centres of the first and the last pixel of the image
    size = graph.add("Gather", [graph.add("Shape", [images]), graph.hold([3, 2])])
    last = graph.add("Cast", [size], to=1)
    last = graph.add("Sub", [last, graph.hold(np.float32(1))])
    grid = graph.add("Div", [pixels, last])
    grid = graph.add("Mul", [grid, graph.hold(np.float32(2))])
    grid = graph.add("Sub", [grid, graph.hold(np.float32(1))])
    return graph.add("Reshape", [grid, graph.hold([-1, height, width, 2])])


def _sort(graph: Any) -> None:
    """Put every operation behind those that make its inputs."""
    made = {name: node for node in graph.node for name in node.output}
    done: set[str] = set()
    order: list[Any] = []
    waiting = [(node, False) for node in reversed(graph.node)]
    while waiting:
        node, inputs_done = waiting.pop()
        if node.output[0] in done:
            continue
        if inputs_done:
            done.update(node.output)
            order.append(node)
            continue
        waiting.append((node, True))
        waiting += [
            (made[name], False)
            for name in node.input
            if name in made and name not in done
        ]
    del graph.node[:]
    graph.node.extend(order)
