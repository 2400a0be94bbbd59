"""The master key of a demo: drawn once, private, never drawn again over one that can not be read."""

from __future__ import annotations

import pathlib
import stat

import pytest

from exchange.users.keys import KeysUnusable
from exchange.users.master_key import demo_master_key


def test_key_is_drawn_once_and_is_private(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "master.key"
    drawn = demo_master_key(path)
    assert len(drawn) == 32
    assert path.read_text() == drawn.hex() + "\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert demo_master_key(path) == drawn
    assert demo_master_key(tmp_path / "another") != drawn


@pytest.mark.parametrize("content", [b"", b"\n", b"0" * 63, b"0" * 65, b"g" * 64, b"\xff" * 64, b"0" * 64 + b"\n\n"])
def test_key_that_is_malformed_is_refused_and_left_alone(tmp_path: pathlib.Path, content: bytes) -> None:
    path = tmp_path / "master.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(KeysUnusable, match="64 hex digits"):
        demo_master_key(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mode", [0o604, 0o640, 0o644])
def test_key_that_others_can_read_is_refused(tmp_path: pathlib.Path, mode: int) -> None:
    path = tmp_path / "master.key"
    demo_master_key(path)
    path.chmod(mode)
    with pytest.raises(KeysUnusable, match=f"chmod 600 {path}"):
        demo_master_key(path)
