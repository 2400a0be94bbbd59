"""A process that trades until its disk fails: prints every acknowledgement, exits as the product does.

`python -m tests.disruptor.victim DIRECTORY COMMANDS`: 8 clients submit ticks; a line `ack SEQUENCE` for each answer,
`unknown` for each outcome that is not known, `fault SENTENCE` before it exits with the fault's code; `done` after a
clean stop.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from exchange.core.codes import CommandKind
from exchange.disruptor.errors import OutcomeUnknown, PipelineFault, Refused
from tests.disruptor.running import command, running

CLIENTS = 8


def say(line: str) -> None:
    """One line, in the order of the system calls of this process."""
    os.write(1, line.encode() + b"\n")


async def trade(root: Path, commands: int) -> int:
    """Returns the exit code."""
    tick = command(CommandKind.TICK)
    faults: list[PipelineFault] = []
    async with running(root) as pipeline:
        pipeline.on_fault(faults.append)

        async def client() -> None:
            for _ in range(commands // CLIENTS):
                try:
                    reply = await pipeline.submit([tick], cancel=True)[0]
                except OutcomeUnknown:
                    say("unknown")
                except Refused as refused:
                    say(f"refused {refused.code}")
                    return
                else:
                    say(f"ack {int.from_bytes(reply[:8], 'little')}")

        await asyncio.gather(*(client() for _ in range(CLIENTS)))
    for fault in faults:
        say(f"fault {fault}")
        return fault.exit_code
    say("done")
    return 0


if __name__ == "__main__":
    os._exit(asyncio.run(trade(Path(sys.argv[1]), int(sys.argv[2]))))
