"""What runs in the shells of `tests.bench.flood`: answers every key, floods when told to.

`1` floods a plain log, `2` a coloured one, `0` stops; every key is answered on the first line,
outside the scroll region, with how many keys there have been; a flood says it again every block,
for the panel skips the middle of what it cannot show.
"""

from __future__ import annotations

import os
import select
import tty

from tests.bench import payloads

BLOCK = 16_384
ANSWER = b"\x1b7\x1b[1;1H\x1b[0m(%d)\x1b8"


def main() -> None:
    """Until the terminal goes away."""
    tty.setraw(0)
    os.set_blocking(1, False)
    kinds = {b"1": payloads.plain_log(2_000_000), b"2": payloads.coloured(2_000_000)}
    os.write(1, b"\x1b[2J\x1b[2;999r\x1b[2;1H")
    flood, at, keys = b"", 0, 0
    waiting = b"\x1b7\x1b[1;1H(ready)\x1b8"
    while True:
        wanted = [1] if waiting or flood else []
        readable, writable, _ = select.select([0], wanted, [])
        if readable:
            typed = os.read(0, 1024)
            if not typed:
                return
            for byte in typed:
                keys += 1
                key = bytes((byte,))
                waiting += ANSWER % keys
                if key in b"012":
                    flood, at = kinds.get(key, b""), 0
        if writable:
            # An answer is only put between whole lines, so that it cannot tear a sequence.
            if not waiting and flood:
                end = flood.find(b"\n", min(at + BLOCK, len(flood) - 1)) + 1
                waiting, at = flood[at:end] + ANSWER % keys, end % len(flood)
            sent = os.write(1, waiting)
            waiting = waiting[sent:]


if __name__ == "__main__":
    main()
