"""Where the sweeps with thousands of syncs keep their files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def tmpfs_path() -> Iterator[Path]:
    """A directory of real files whose syncs cost nothing, where the machine has one."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)
