"""The kernel asks for as many event slots as a command may need: never fewer than it then uses."""

from __future__ import annotations

import pytest

from exchange.core.engine import Status
from exchange.core.event_records import event_dict
from exchange.core.kernel import Engine, apply
from exchange.core.records import slots
from exchange.core.state import TINY, new_state
from tests.core.differential import SLOW_KERNELS
from tests.core.plans import CONDITIONAL
from tests.core.streams import stream

SEEDS, COMMANDS = (2, 400) if SLOW_KERNELS else (10, 2_000)


@pytest.mark.parametrize("seed", range(100, 100 + SEEDS))
def test_events_of_a_command_fit_into_what_was_asked_for(seed: int) -> None:
    commands, expected, _ = stream(seed, COMMANDS, CONDITIONAL)
    engine, nothing = Engine(new_state(TINY)), slots(0)
    for position, told in enumerate(expected):
        status = int(Status.NEEDS_ROOM)
        while status == Status.NEEDS_ROOM:
            _, _, status = apply(engine.state, commands, position, 1, nothing, 0)
            if status == Status.NEEDS_ROOM:
                engine.grow()
        assert status == Status.EVENTS_FULL
        needed = int(engine.state.header[0].events_needed)
        events = slots(needed)
        done, used, status = apply(engine.state, commands, position, 1, events, 0)
        assert (done, status) == (1, Status.DONE)
        assert used <= needed
        assert [event_dict(event) for event in events[:used]] == told
