"""File damage: texts, tables, bytes, JSON and HDF5 files changed at random, from a seed."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import h5py
import numpy as np

from deeplabstream.files import hdf5

VALUES: list[Any] = [
    None, True, -1, 0, 10**30, 2.5, float("nan"), float("inf"), "", "x", "../..", "\x00",
    [], [[]], [None], {}, {"": None}, "2026-13-45", ["a"] * 3, {"x": {"y": [1]}}, "é" * 300,
]  # fmt: skip
TEXTS = [
    "", "-", ":", "[", "]", "{", "}", "'", '"', "!!int x", "2026-13-45", "&a", "*a", "\t",
    "\n", "? ", "| ", "!!python/object:os.system", "1e999", "~", "<<: *a", "%", "@", "\x00",
    ",", ",,", "nan", "-inf", "\r", "../../x", "é",
]  # fmt: skip


def damaged_text(text: str, rng: random.Random) -> str:
    """Return a text in which one to three words or characters are replaced or lost."""
    for _ in range(rng.randint(1, 3)):
        start = rng.randrange(len(text))
        stop = start + rng.choice([0, 1, 1, 5, 20])
        text = text[:start] + rng.choice(TEXTS) + text[stop:]
        text = text or "x"
    return text


def damaged_table(text: str, rng: random.Random) -> str:
    """Return a CSV in which cells, rows or columns are replaced, doubled or lost."""
    if rng.random() < 0.3:
        return damaged_text(text, rng)
    rows = [line.split(",") for line in text.splitlines()]
    for _ in range(rng.randint(1, 3)):
        row = rng.randrange(len(rows))
        column = rng.randrange(len(rows[row])) if rows[row] else 0
        match rng.choice(["cell", "cell", "row", "double", "extra", "column", "swap"]):
            case "cell" if rows[row]:
                rows[row][column] = rng.choice([*TEXTS, *map(str, VALUES)])
            case "row":
                del rows[row]
            case "double":
                rows.insert(row, list(rows[row]))
            case "extra":
                rows[row].insert(column, rng.choice(TEXTS))
            case "column":
                rows = [cells[:column] + cells[column + 1 :] for cells in rows]
            case "swap":
                other = rng.randrange(len(rows))
                rows[row], rows[other] = rows[other], rows[row]
        rows = rows or [["x"]]
    return "\n".join(map(",".join, rows))


def damaged_bytes(content: bytes, rng: random.Random) -> bytes:
    """Return bytes of which some are replaced, inserted or cut off."""
    raw = bytearray(content)
    for _ in range(rng.choice([1, 2, 8, 40])):
        place = rng.randrange(len(raw))
        raw[place : place + rng.randint(0, 2)] = rng.randbytes(rng.randint(0, 2))
        raw = raw or bytearray(b"x")
    return bytes(raw[: rng.randrange(len(raw)) if rng.random() < 0.1 else None])


def damaged_values(held: Any, rng: random.Random) -> Any:
    """Return JSON in which one value, at any depth, is replaced, doubled or lost."""
    if isinstance(held, dict) and held and rng.random() < 0.8:
        key = rng.choice(sorted(held))
        if rng.random() < 0.15:
            return {name: value for name, value in held.items() if name != key}
        return {**held, key: damaged_values(held[key], rng)}
    if isinstance(held, list) and held and rng.random() < 0.8:
        place = rng.randrange(len(held))
        if rng.random() < 0.15:
            return held[:place] + held[place:] * 2
        return [*held[:place], damaged_values(held[place], rng), *held[place + 1 :]]
    return rng.choice(VALUES)


def damage_hdf5(file: Path, rng: random.Random) -> None:
    """Replace, reshape, cut or delete one to two arrays or attributes of a file."""
    with h5py.File(file, "r+") as content:
        for _ in range(rng.randint(1, 2)):
            names: list[str] = []
            content.visit(names.append)
            if not names:
                return
            name = rng.choice(names)
            item = content[name]
            if item.attrs and rng.random() < 0.4:
                _damage_attribute(item.attrs, rng)
            elif isinstance(item, h5py.Dataset) and not item.dtype.hasobject:
                _damage_array(content, name, rng)
            elif rng.random() < 0.3:
                del content[name]


def _damage_attribute(attributes: Any, rng: random.Random) -> None:
    name = rng.choice(sorted(attributes))
    held = attributes[name]
    if isinstance(held, str) and held.startswith("{"):
        try:
            text = json.dumps(damaged_values(json.loads(held), rng))
        except ValueError:  # damaged before
            text = held
        text = damaged_text(text, rng) if rng.random() < 0.25 else text
        attributes[name] = text.replace("\x00", "")
    elif isinstance(held, np.bytes_):
        attributes[name] = np.bytes_(damaged_bytes(bytes(held) or b"x", rng))
    elif rng.random() < 0.3:
        del attributes[name]
    else:
        attributes[name] = rng.choice([-1, 2.5, "x", np.nan, 10**18, np.arange(3)])


def _damage_array(content: h5py.File, name: str, rng: random.Random) -> None:
    table = content[name][()]
    del content[name]
    match rng.choice(
        ["lost", "bytes", "bytes", "bytes", "shape", "kind", "cut", "empty"]
    ):
        case "bytes" if table.size:
            raw = bytearray(np.asarray(table).tobytes())
            for _ in range(rng.randint(1, 8)):
                raw[rng.randrange(len(raw))] = rng.randrange(256)
            content[name] = np.frombuffer(bytes(raw), table.dtype).reshape(table.shape)
        case "shape":
            content[name] = np.asarray(table).reshape(-1, 1)
        case "kind":
            content[name] = np.zeros(np.shape(table), rng.choice(["f8", "i1", "S3"]))
        case "cut" if np.ndim(table):
            content[name] = table[: rng.randrange(len(table) + 1)]
        case "empty":
            content[name] = np.zeros(0, table.dtype)


def read_damaged_hdf5(
    whole: Path, used: Path, rng: random.Random, read: Callable[[], object]
) -> object:
    """Read a damaged copy; files that are sound as HDF5 need no process of their own."""
    shutil.copyfile(whole, used)
    if rng.random() < 0.02:
        used.write_bytes(damaged_bytes(whole.read_bytes(), rng))
        return read()
    damage_hdf5(used, rng)
    with patch.object(hdf5, "_try", lambda *_: None):
        return read()
