"""Power cuts: the journal lies on an ext4 image whose backing file is copied while the process runs.

What the copy has is what was flushed; the page cache does not survive in it. SIGKILL alone would prove nothing here.
"""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.recovery.workload import BATCH, COUNT, check

IMAGE_BYTES = 48 << 20
CUTS = int(os.environ.get("RECOVERY_CUTS", "6"))


@contextmanager
def _mounted(image: pathlib.Path, at: pathlib.Path) -> Iterator[pathlib.Path]:
    at.mkdir(exist_ok=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True, capture_output=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True, capture_output=True)


@pytest.fixture
def image(tmp_path: pathlib.Path) -> pathlib.Path:
    """An empty ext4 file system in a file; skips where it can not be made or mounted."""
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        pytest.skip("mounting a loop image needs root and mkfs.ext4")
    subprocess.run(["mkfs.ext4", "-q", "-F", str(path)], check=True, capture_output=True)
    try:
        with _mounted(path, tmp_path / "probe"):
            pass
    except subprocess.CalledProcessError as error:
        pytest.skip(f"this machine does not mount loop images: {error.stderr.decode().strip()}")
    return path


@pytest.mark.parametrize("seed", range(CUTS))
def test_power_cut_keeps_everything_acknowledged(tmp_path: pathlib.Path, image: pathlib.Path, seed: int) -> None:
    batches = random.Random(seed).randrange(COUNT // BATCH)
    cut = tmp_path / "cut.img"
    with _mounted(image, tmp_path / "disk") as disk:
        victim = subprocess.Popen(
            [sys.executable, "-m", "tests.recovery.victim", str(disk / "var")], stdout=subprocess.PIPE, text=True
        )
        assert victim.stdout is not None
        acknowledged = 0
        for _ in range(batches + 1):
            acknowledged = int(victim.stdout.readline())
        victim.send_signal(signal.SIGSTOP)
        subprocess.run(["cp", "--sparse=always", str(image), str(cut)], check=True)
        victim.kill()
        victim.wait()
        victim.stdout.close()
    with _mounted(cut, tmp_path / "after") as after:
        check(after / "var", acknowledged)
