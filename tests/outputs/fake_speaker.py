"""A loudspeaker: what is played through ALSA comes here, at the pace of the clock.

A program: prints the path of an ALSA configuration (for ALSA_CONFIG_PATH), then `loud HZ`
(the frequency that is loudest) and `quiet` when it changes; until stdin ends.
"""

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

RATE = 48_000
BLOCK = 4800
CONFIG = """
pcm.sink {{ type file
    slave.pcm {{ type null }}
    file "{pipe}"
    format raw }}
pcm.!default {{ type plug
    slave {{ pcm sink
        format S16_LE
        rate {rate}
        channels 1 }}
    hint {{ show on
        description "a test" }} }}
"""


class Ear:
    """Says what it hears when it changes."""

    said = ""

    def hear(self, block: bytes) -> None:
        samples = np.frombuffer(block, "<i2") / 2**15
        pitch = np.abs(np.fft.rfft(samples)).argmax() * RATE / BLOCK
        loud = np.sqrt((samples**2).mean()) > 0.01
        self.say(f"loud {pitch:.0f}" if loud else "quiet")

    def say(self, word: str) -> None:
        if word != self.said:
            print(word, flush=True)
            self.said = word


def listen(pipe: Path) -> None:
    """Take a block each tenth of a second, from whoever plays."""
    ear = Ear()
    while True:
        with pipe.open("rb") as playing:
            began_s, taken = time.perf_counter(), 0
            while len(block := playing.read(2 * BLOCK)) == 2 * BLOCK:
                ear.hear(block)
                taken += BLOCK
                time.sleep(max(0.0, began_s + taken / RATE - time.perf_counter()))
        ear.say("quiet")


def main() -> None:
    """Listen until stdin ends."""
    with tempfile.TemporaryDirectory() as folder:
        pipe, config = Path(folder, "pipe"), Path(folder, "alsa.conf")
        os.mkfifo(pipe)
        config.write_text(CONFIG.format(pipe=pipe, rate=RATE), encoding="utf-8")
        threading.Thread(target=listen, args=(pipe,), daemon=True).start()
        print(config, flush=True)
        sys.stdin.read()
    os._exit(0)  # the thread may wait for somebody who plays


if __name__ == "__main__":
    main()
