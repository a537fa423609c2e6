"""Page of a rack in the browser: harmful requests, and what viewers cost the loop.

    python benchmarks/rack_page.py                   10,000 requests; 4 rounds of 30 s
    python benchmarks/rack_page.py --quick           100 requests; no rounds
    python benchmarks/rack_page.py --json FILE

Requests: random bytes, long and broken headers, long bodies, unknown paths and methods, wrong
tokens and host names, requests that stop in the middle. A failure: the page has ended, answers
a request with a state that needs the token, answers 500, or a file beside the rack has changed.
Viewers: a box of a simulated camera of 320×240 at 60/s runs by turns without a page and with
10 viewers of its images and states. Latencies are those of the box's last report.
"""

import argparse
import json
import platform
import random
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from hashlib import sha256
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from deeplabstream.core.clock import rest
from deeplabstream.rack.box_status import read_status, status_file

ROOT = Path(__file__).resolve().parents[1]
TOKEN = "token-of-the-benchmark"
VIEWERS = 10
RATE = 60
AIM = 1.1
"""Largest ratio of p99 with viewers to p99 without."""
RIG = f"""
[Pose Estimation]
MODEL = stand-in:1
[Experiment]
EXP_NAME = light
[Camera arena]
KIND = SimulatedCamera
WIDTH = 320
HEIGHT = 240
RATE = {RATE}
SHELTER = no
[Trigger anywhere]
KIND = InsideRegion
BODYPARTS = snout
REGION = rectangle 0 0 160 240
[Output laser]
KIND = SimulatedOutput
[Experiment light]
KIND = Conditional
TRIGGER = anywhere
OUTPUT = laser
MAX_ON_S = 600
"""


def make_rack(folder: Path) -> Path:
    """Write a rack of one box; return its file."""
    (folder / "settings.ini").write_text(RIG, "utf-8")
    (folder / "token.txt").write_text(TOKEN, "utf-8")
    rack = folder / "rack.ini"
    rack.write_text("[Box one]\nRIG = settings.ini\n", "utf-8")
    return rack


@contextmanager
def page(rack: Path) -> Iterator[int]:
    """Serve the page of a rack; yield its port."""
    command = [sys.executable, "utils/ServePage.py", str(rack), "--port", "0"]
    command += ["--token-file", str(rack.with_name("token.txt"))]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            address = server.stdout.readline() if server.stdout else ""
            yield int(address.rpartition(":")[2])
        finally:
            server.terminate()


def harmful(kind: str, chance: random.Random) -> bytes:
    """Return the bytes of a request that must change nothing."""
    noise = chance.randbytes(chance.randrange(1, 2000))
    host = b"Host: 127.0.0.1\r\n"
    match kind:
        case "random bytes":
            return noise
        case "broken header":
            return b"GET /api/boxes HTTP/1.1\r\n" + host + noise + b"\r\n\r\n"
        case "long header":
            long = b"x" * chance.randrange(10_000, 100_000)
            return b"GET / HTTP/1.1\r\n" + host + b"X: " + long + b"\r\n\r\n"
        case "long body":
            size = chance.randrange(1001, 200_000)
            head = b"POST /login HTTP/1.1\r\n" + host
            return head + b"Content-Length: %d\r\n\r\n" % size + b"t" * size
        case "unknown path or method":
            path = b"/" + noise.hex().encode()[:300]
            verb = chance.choice([b"PUT", b"DELETE", b"PATCH", b"TRACE", b"GET"])
            return verb + b" " + path + b" HTTP/1.1\r\n" + host + b"\r\n"
        case "wrong token":
            given = noise.hex().encode()[:100]
            head = b"GET /api/boxes HTTP/1.1\r\n" + host
            return head + b"Authorization: Bearer " + given + b"\r\n\r\n"
        case "wrong host":
            return b"GET /api/boxes HTTP/1.1\r\nHost: lab.example\r\n\r\n"
        case _:
            return b"GET /api/boxes HTTP/1.1\r\nHo"[: chance.randrange(1, 27)]


KINDS = (
    *("random bytes", "broken header", "long header", "long body", "wrong token"),
    *("unknown path or method", "wrong host", "stops in the middle"),
)
WHOLE = ("wrong token", "wrong host", "unknown path or method")
"""Requests that are complete, so that the page answers."""


def answer_to(port: int, request: bytes, ends: bool) -> bytes:
    """Return the beginning of the answer to a request; empty: the connection was closed.

    `ends`: nothing more is sent; the page may then close the connection without an answer.
    """
    with socket.create_connection(("127.0.0.1", port), 60) as line:
        with suppress(ConnectionError):  # refused before it was sent whole
            line.sendall(request)
            if ends:
                line.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            return line.recv(4096)
    return b""


def state_of(port: int) -> bytes:
    """Return the states of all boxes; OSError: the page does not answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        connection.request("GET", "/api/boxes", headers=headers)
        return connection.getresponse().read()
    finally:
        connection.close()


def contents(folder: Path) -> dict[str, str]:
    """Return the hash of each file below a folder."""
    return {
        str(file.relative_to(folder)): sha256(file.read_bytes()).hexdigest()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def send_harmful(rack: Path, count: int) -> tuple[Counter[str], list[str]]:
    """Return how many requests got which answer, and the failures."""
    chance = random.Random(33)
    answers: Counter[str] = Counter()
    failures: list[str] = []
    before = contents(rack.parent)
    with page(rack) as port:
        known = state_of(port)
        for number in range(count):
            kind = KINDS[number % len(KINDS)]
            answer = answer_to(port, harmful(kind, chance), kind not in WHOLE)
            status = answer.split(b" ")[1].decode() if b" " in answer else "closed"
            answers[f"{kind}: {status}"] += 1
            if status.startswith("5") or b'"boxes"' in answer:
                failures.append(f"request {number}, {kind}: {answer[:80]!r}")
        try:
            if state_of(port) != known:
                failures.append("the state has changed")
        except OSError as error:
            failures.append(f"the page has ended: {error}")
    if contents(rack.parent) != before:
        failures.append("a file beside the rack has changed")
    return answers, failures


def watch(port: int, path: str, over: threading.Event, seen: Counter[str]) -> None:
    """View one stream of the page until `over`."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
    answer = connection.getresponse()
    while not over.is_set() and answer.status == 200 and (data := answer.read1(65536)):
        seen[path] += len(data)
    connection.close()


def latency(rack: Path, seconds: float, viewers: int) -> tuple[float, float, int]:
    """Return p50 and p99 in ms of the box's loop, and how many bytes viewers received."""
    file = status_file(rack, "one")
    seen: Counter[str] = Counter()
    over = threading.Event()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    box = [sys.executable, "utils/RunRack.py", str(rack), "--box", "one"]
    with (
        subprocess.Popen(
            box, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process,
        ExitStack() as stack,
    ):
        try:
            while (
                status := read_status(file)
            ) is None or "running" not in status.state:
                if process.poll() is not None:
                    raise SystemExit("the box has ended")
                rest(0.1)
            if viewers:
                port = stack.enter_context(page(rack))
                rest(2.0)  # the page has mapped the rings
                paths = ["/api/images/one/arena", "/api/events"]
                for number in range(viewers):
                    path = paths[number % 2]
                    words = port, path, over, seen
                    threading.Thread(target=watch, args=words, daemon=True).start()
            rest(seconds)
            status = read_status(file)
            over.set()
        finally:
            process.communicate(b"stop\n")
    if status is None or status.latency_ms is None:
        raise SystemExit("the box has reported no latency")
    return *status.latency_ms, sum(seen.values())


def compare(rack: Path, rounds: int, seconds: float) -> dict[str, float]:
    """Return the median p50 and p99 without and with viewers, and their ratios."""
    found: dict[int, list[tuple[float, float, int]]] = {0: [], VIEWERS: []}
    for _ in range(rounds):
        for viewers, latencies in found.items():
            latencies.append(latency(rack, seconds, viewers))
            p50, p99, received = latencies[-1]
            print(
                f"{viewers:2} viewers: p50 {p50:6.2f} ms, p99 {p99:6.2f} ms, "
                f"{received / 1e6:.1f} MB received"
            )
            if viewers and not received:
                raise SystemExit("the viewers received nothing")
    middle = {
        (viewers, which): sorted(row[which] for row in rows)[len(rows) // 2]
        for viewers, rows in found.items()
        for which in (0, 1)
    }
    return {
        "p50_ms": middle[0, 0],
        "p99_ms": middle[0, 1],
        "p50_ratio": middle[VIEWERS, 0] / middle[0, 0],
        "p99_ratio": middle[VIEWERS, 1] / middle[0, 1],
    }


def main(argv: list[str]) -> int:
    """Return 1 after a failed request, or when viewers cost more than the aim."""
    parser = argparse.ArgumentParser(prog="rack_page.py", description="page of a rack")
    parser.add_argument("--quick", action="store_true", help="100 requests, no rounds")
    parser.add_argument("--requests", type=int, help="number of harmful requests")
    parser.add_argument("--rounds", type=int, help="rounds with and without viewers")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each round")
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args(argv)
    count, rounds = (100, 0) if options.quick else (10_000, 4)
    count = count if options.requests is None else options.requests
    rounds = rounds if options.rounds is None else options.rounds

    costs: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        rack = make_rack(Path(folder))
        answers, failures = send_harmful(rack, count)
        for answer, number in sorted(answers.items()):
            print(f"{number:6} {answer}")
        for failure in failures[:20]:
            print(f"FAILED: {failure}")
        if rounds:
            costs = compare(rack, rounds, options.seconds)
            print(
                f"p50 {costs['p50_ratio']:.2f}, p99 {costs['p99_ratio']:.2f} times that "
                f"without viewers; aim: p99 at most {AIM:g}"
            )
    print(f"{count} requests, {len(failures)} failures")
    if options.json:
        about = {"python": platform.python_version(), "machine": platform.machine()}
        everything = {
            "about": about, "answers": answers, "failures": failures, "viewers": costs,
        }  # fmt: skip
        options.json.write_text(json.dumps(everything, indent=2) + "\n", "utf-8")
    return int(bool(failures) or costs.get("p99_ratio", 0.0) > AIM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
