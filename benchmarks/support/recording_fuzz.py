"""Damaged recordings of other programs: each is aligned with a run, or refused with a sentence."""

import json
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from benchmarks.support.file_damage import (
    damaged_bytes,
    damaged_table,
    damaged_text,
    damaged_values,
    read_damaged_hdf5,
)
from deeplabstream.files.numpy_files import read_array
from deeplabstream.recording.alignment.clock_map import map_clocks
from deeplabstream.recording.alignment.recording_data import RecorderOptions
from deeplabstream.recording.alignment.recordings import read_recording
from deeplabstream.recording.alignment.sync_signals import random_pulses
from tests.recording.alignment.recording_files import (
    Line,
    nwb,
    open_ephys,
    pyphotometry,
    spikeglx,
    xdf,
)

TryOne = Callable[[random.Random], object]
_AS_TABLE, _AS_META = str.maketrans("=,", ",;"), str.maketrans(",;", "=,")
_RUN = random_pulses(5, 40.0, mean_s=2.0)
_LINE = Line(_RUN.times_s, 41_000)


def _align(path: Path, line: str = "", kind: str = "") -> object:
    found = read_recording(path, kind, RecorderOptions(line))
    return map_clocks(_RUN, found.edges, found.spans_s, found.resolution_s)


def csv(folder: Path) -> TryOne:
    """Read tables of edges."""
    file = folder / "edges.csv"
    rows = zip(_RUN.times_s.tolist(), _RUN.rising.tolist(), strict=True)
    text = "time_s,level\n" + "".join(f"{at:.6f},{high:d}\n" for at, high in rows)

    def one(rng: random.Random) -> object:
        content = damaged_table(text, rng).encode("utf-8", "replace")
        file.write_bytes(damaged_bytes(content, rng) if rng.random() < 0.1 else content)
        return _align(file, rng.choice(["", "", "time_s", "level"]))

    return one


def damage_array(file: Path, rng: random.Random) -> None:
    """Change a `.npy` file: its bytes, shape, type, length or some numbers."""
    if rng.random() < 0.3:
        file.write_bytes(damaged_bytes(file.read_bytes(), rng))
        return
    table = read_array(file)
    match rng.choice(["cut", "empty", "shape", "kind", "numbers", "lost"]):
        case "cut":
            np.save(file, table[: rng.randrange(len(table))])
        case "empty":
            np.save(file, table[:0])
        case "shape":
            np.save(file, rng.choice([table.reshape(-1, 1), table[0]]))
        case "kind":
            np.save(file, table.astype(rng.choice(["f8", "i1", "U3", "c16", "?"])))
        case "numbers":
            numbers = table.astype(rng.choice(["f8", "i8"]))
            extreme = [0, -1, -(2**63)]
            if numbers.dtype.kind == "f":
                extreme += [np.nan, np.inf, -1e308, 1e308]
            for _ in range(rng.randint(1, 9)):
                numbers[rng.randrange(len(numbers))] = rng.choice(extreme)
            np.save(file, numbers)
        case "lost":
            file.unlink()


def open_ephys_folder(folder: Path) -> TryOne:
    """Read sessions of Open Ephys of versions 0.5 and 0.6, of one part and of two."""
    whole = [
        open_ephys(folder / f"{parts} {is_new}", parts, is_new, _LINE)
        for parts, is_new in ((1, True), (2, True), (1, False))
    ]
    used = folder / "used"

    def one(rng: random.Random) -> object:
        shutil.rmtree(used, ignore_errors=True)
        shutil.copytree(rng.choice(whole), used)
        files = sorted(file for file in used.rglob("*") if file.is_file())
        described = [file for file in files if file.name == "structure.oebin"]
        file = rng.choice([*files, *described])
        if file.suffix == ".npy":
            damage_array(file, rng)
        else:
            facts = damaged_values(json.loads(file.read_text("utf-8")), rng)
            text = json.dumps(facts)
            text = damaged_text(text, rng) if rng.random() < 0.2 else text
            file.write_text(text, "utf-8")
        return _align(used, rng.choice(["", "", "3"]))

    return one


def spikeglx_files(folder: Path) -> TryOne:
    """Read SpikeGLX's NIDQ and imec files, and their analogue channels."""
    whole = [spikeglx(folder, "nidq", 0, _LINE), spikeglx(folder, "imec", 6, _LINE)]
    held = [(file, file.read_bytes()) for file in whole]

    def one(rng: random.Random) -> object:
        file, content = rng.choice(held)
        described = file.with_suffix(".meta")
        text = described.read_text("utf-8")
        if rng.random() < 0.2:
            file.write_bytes(damaged_bytes(content, rng))
        else:
            rows = damaged_table(text.translate(_AS_TABLE), rng)
            described.write_text(rows.translate(_AS_META), "utf-8", errors="replace")
        try:
            return _align(file, rng.choice(["", "", "XA0", "XA9", "70000", "x"]))
        finally:
            described.write_text(text, "utf-8")
            file.write_bytes(content)

    return one


def pyphotometry_file(folder: Path) -> TryOne:
    """Read pyPhotometry's files of two versions."""
    whole = [
        pyphotometry(folder / "0.ppd", "0.3.1", "1 colour", _LINE).read_bytes(),
        pyphotometry(folder / "1.ppd", "1.1.0", "2EX_2EM_pulsed", _LINE).read_bytes(),
    ]
    file = folder / "used.ppd"

    def one(rng: random.Random) -> object:
        content = rng.choice(whole)
        size = int.from_bytes(content[:2], "little")
        header, body = content[2 : 2 + size], content[2 + size :]
        if rng.random() < 0.3:
            content = damaged_bytes(content[: size + 2 + rng.choice([0, 9, 4000])], rng)
        else:
            facts = json.dumps(damaged_values(json.loads(header), rng))
            facts = damaged_text(facts, rng) if rng.random() < 0.2 else facts
            header = facts.encode("utf-8", "replace")
            content = len(header).to_bytes(2, "little") + header + body
        file.write_bytes(content)
        return _align(file, rng.choice(["", "", "2", "3"]))

    return one


def nwb_file(folder: Path) -> TryOne:
    """Read an NWB file's series, intervals and tables."""
    whole, used = nwb(folder / "whole.nwb", _LINE), folder / "used.nwb"
    lines = ["", "acquisition/sync", "acquisition/ttl", "epochs"]

    def one(rng: random.Random) -> object:
        line = rng.choice(lines)
        return read_damaged_hdf5(whole, used, rng, lambda: _align(used, line))

    return one


def xdf_file(folder: Path) -> TryOne:
    """Read an XDF file of two streams: bytes and the texts of headers are damaged."""
    whole, file = xdf(folder / "whole.xdf", _LINE).read_bytes(), folder / "used.xdf"
    first = whole.index(b"laser 1")

    def one(rng: random.Random) -> object:
        content = whole
        match rng.choice(["header", "header", "bytes", "text", "cut"]):
            case "header":
                content = damaged_bytes(whole[:first], rng) + whole[first:]
            case "bytes":
                content = damaged_bytes(whole, rng)
            case "text":  # of the same length, so that the chunks stay whole
                place = rng.randrange(first)
                word = rng.choice([b"0", b"-", b"nan", b"<a>", b"double64", b"string"])
                content = whole[:place] + word + whole[place + len(word) :]
            case "cut":
                content = whole[: rng.randrange(len(whole))]
        file.write_bytes(content)
        return _align(file, rng.choice(["laser", "laser", "aux", ""]))

    return one


RECORDINGS: Mapping[str, Callable[[Path], TryOne]] = {
    "table of edges (.csv)": csv,
    "Open Ephys (.oebin, .npy)": open_ephys_folder,
    "SpikeGLX (.bin, .meta)": spikeglx_files,
    "pyPhotometry (.ppd)": pyphotometry_file,
    "NWB (.nwb)": nwb_file,
    "XDF (.xdf)": xdf_file,
}
"""What is damaged and read, by kind."""
