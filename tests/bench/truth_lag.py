"""A bare event loop and how late it is; SIGTERM makes it say so as one line of JSON."""

from __future__ import annotations

import asyncio
import json
import signal
import time

TICK_S = 0.05


async def run() -> None:
    """Sleep and wake until asked to end."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    late: list[float] = []
    print("ready", flush=True)
    while not over.is_set():
        due = time.monotonic() + TICK_S
        await asyncio.sleep(TICK_S)
        late.append(time.monotonic() - due)
    late.sort()
    parts = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    print(json.dumps({k: late[min(int(len(late) * p), len(late) - 1)] for k, p in parts.items()}))


if __name__ == "__main__":
    asyncio.run(run())
