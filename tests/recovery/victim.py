"""A process to be killed: recovers a data directory, sends the rest of the stream, prints what was acknowledged.

`python -m tests.recovery.victim DATA_DIR` prints one line a batch with the last acknowledged sequence, as soon as its
answers are there, and ends after a fault with the exit code that the exchange would end with.
"""

from __future__ import annotations

import asyncio
import os
import pathlib
import sys

from exchange.datadir import DataDirectory
from exchange.disruptor.errors import OutcomeUnknown, PipelineFault
from exchange.disruptor.pipeline import Pipeline
from exchange.recovery import recover
from tests.recovery.workload import BATCH, settings_for, stream


async def _run(data_dir: pathlib.Path) -> int:
    with DataDirectory(data_dir) as directory:
        try:
            recovered = recover(directory, settings_for(data_dir))
        except OSError:
            return os.EX_IOERR
        pipeline = Pipeline(
            recovered.engine,
            recovered.commands,
            recovered.events,
            sync=True,
            loop=asyncio.get_running_loop(),
            ring_slots=1 << 10,
            event_slots=1 << 12,
        )
        pipeline.start()
        commands = stream()
        try:
            for first in range(recovered.commands.last_sequence, len(commands), BATCH):
                batch = commands[first : first + BATCH]
                await asyncio.gather(*(pipeline.submit((bytes(command),))[0] for command in batch))
                os.write(1, f"{first + len(batch)}\n".encode())
            await pipeline.stop()
        except OutcomeUnknown:
            assert pipeline.fault is not None
            return pipeline.fault.exit_code
        except PipelineFault as fault:
            return fault.exit_code
    return 0


if __name__ == "__main__":
    code = asyncio.run(_run(pathlib.Path(sys.argv[1])))
    sys.stdout.flush()
    os._exit(code)
