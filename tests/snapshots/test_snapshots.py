"""Snapshot files: whole or absent, verified before use, readable for ever."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import snapshots
from snapshots.__main__ import app
from snapshots.format import Array, describe, dtype_of
from tests.journal.sim_disk import PowerCut, SimDisk

GOLDEN = Path(__file__).parent / "golden"
RECORD = np.dtype(
    {
        "names": ["price_ticks", "side", "client_id"],
        "formats": ["<i8", "u1", "S36"],
        "offsets": [0, 8, 16],
        "itemsize": 64,
    }
)
NESTED = np.dtype([("key", "<u8"), ("levels", [("price", "<i8"), ("lots", "<f8")], (2, 3)), ("tail", "V5")], align=True)


def some_arrays() -> dict[str, Array]:
    """Arrays of every shape that a state has: records with gaps, zeros at the end, empty, many dimensions."""
    orders = np.zeros(100, RECORD)
    orders["price_ticks"][:7] = np.arange(7) * -3
    orders["client_id"][:7] = b"order"
    orders["side"][6] = 1
    nested = np.zeros(3, NESTED)
    nested["levels"]["lots"] = np.arange(18).reshape(3, 2, 3)
    return {
        "orders": orders,
        "nested": nested,
        "table": np.arange(24, dtype="<i4").reshape(2, 3, 4),
        "zeros": np.zeros((5, 5), np.uint8),
        "none": np.zeros((0, 4), "<i8"),
        "late": np.array([0, 0, 0, 9, 0], "<u2"),
    }


META: dict[str, str | int] = {"state_hash": "00ff", "epoch": 3}


def same(left: Array, right: Array) -> bool:
    return left.dtype == right.dtype and left.shape == right.shape and left.tobytes() == right.tobytes()


def test_snapshot_written_loads_equal_and_writable(tmp_path: Path) -> None:
    path = snapshots.write(tmp_path, 4711, some_arrays(), META)
    assert path == tmp_path / "00000000000000004711.snapshot"
    loaded = snapshots.load(path)
    assert (loaded.sequence, loaded.meta) == (4711, META)
    assert list(loaded.arrays) == list(some_arrays())
    for name, array in some_arrays().items():
        assert same(loaded.arrays[name], array), name
        assert loaded.arrays[name].flags.writeable
        loaded.arrays[name][...] = np.zeros(1, array.dtype)


def test_trailing_rows_of_zeros_are_not_stored(tmp_path: Path) -> None:
    _, index = snapshots.verify(snapshots.write(tmp_path, 1, some_arrays(), {}))
    stored = {at.name: (at.rows_stored, at.stored_bytes, at.shape) for at in index.arrays}
    assert stored["orders"] == (7, 7 * 64, (100,))
    assert stored["zeros"] == (0, 0, (5, 5))
    assert stored["late"] == (4, 8, (5,))
    assert stored["none"] == (0, 0, (0, 4))
    assert all(at.offset % 64 == 0 for at in index.arrays)


def test_large_array_of_zeros_takes_no_space(tmp_path: Path) -> None:
    array = np.zeros(3_000_000, "<i8")
    array[1_234_567] = -1
    path = snapshots.write(tmp_path, 1, {"array": array}, {})
    assert path.stat().st_size < 8 * 1_234_568 + 1_024
    assert same(snapshots.load(path).arrays["array"], array)


def test_record_arrays_and_strided_arrays_load_as_plain_ones(tmp_path: Path) -> None:
    records = some_arrays()["orders"].view(np.recarray)
    strided = np.arange(20, dtype="<i8")[::2]
    loaded = snapshots.load(snapshots.write(tmp_path, 1, {"records": records, "strided": strided}, {}))
    assert same(loaded.arrays["records"], some_arrays()["orders"])
    assert loaded.arrays["strided"].tolist() == list(range(0, 20, 2))


@pytest.mark.parametrize("dtype", [RECORD, NESTED, np.dtype("<i8"), np.dtype("S3"), np.dtype("?"), np.dtype("V16")])
def test_type_described_as_json_comes_back(dtype: np.dtype[Any]) -> None:
    assert dtype_of(json.loads(json.dumps(describe(dtype)))) == dtype


@pytest.mark.parametrize(
    ("array", "sentence"),
    [
        (np.array([None]), "Python objects"),
        (np.array([1], ">i8"), "big-endian"),
        (np.array(3), "no dimension"),
        (np.zeros(1, [("a", "O")]), "Python objects"),
    ],
)
def test_array_that_can_not_be_kept_is_a_value_error(tmp_path: Path, array: Array, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        snapshots.write(tmp_path, 1, {"array": array}, {})
    assert list(tmp_path.iterdir()) == []


def test_any_byte_flipped_is_corrupt(tmp_path: Path) -> None:
    path = snapshots.write(tmp_path, 12, some_arrays(), META)
    whole = path.read_bytes()
    with path.open("r+b", buffering=0) as file:
        for offset, byte in enumerate(whole):
            os.pwrite(file.fileno(), bytes([byte ^ (1 << offset % 8)]), offset)
            with pytest.raises(snapshots.Corrupt, match="can not be used"):
                snapshots.load(path)
            os.pwrite(file.fileno(), bytes([byte]), offset)
    snapshots.load(path)


def test_any_truncation_is_corrupt(tmp_path: Path) -> None:
    path = snapshots.write(tmp_path, 12, some_arrays(), META)
    whole = path.read_bytes()
    for length in (0, 1, 63, 64, 100, len(whole) // 2, len(whole) - 17, len(whole) - 16, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(snapshots.Corrupt):
            snapshots.load(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(snapshots.Corrupt):
        snapshots.load(path)


def test_snapshot_under_another_sequence_is_corrupt(tmp_path: Path) -> None:
    path = snapshots.write(tmp_path, 12, {}, {})
    renamed = path.rename(tmp_path / "00000000000000000013.snapshot")
    with pytest.raises(snapshots.Corrupt, match="holds sequence 12, its name says 13"):
        snapshots.load(renamed)


def test_snapshots_are_listed_newest_first_and_others_passed_over(tmp_path: Path) -> None:
    for sequence in (5, 100, 20):
        snapshots.write(tmp_path, sequence, {}, {})
    (tmp_path / "notes.txt").write_text("not ours")
    assert [snapshots.sequence_of(path) for path in snapshots.list_snapshots(tmp_path)] == [100, 20, 5]
    assert snapshots.sequence_of(tmp_path / "notes.txt") == -1
    assert snapshots.list_snapshots(tmp_path / "absent") == []


def test_retain_keeps_the_newest_that_verify(tmp_path: Path) -> None:
    paths = [snapshots.write(tmp_path, sequence, some_arrays(), {}) for sequence in (1, 2, 3, 4, 5)]
    damaged = bytearray(paths[4].read_bytes())
    damaged[200] ^= 1
    paths[4].write_bytes(damaged)
    assert snapshots.retain(tmp_path, keep=2) == [paths[1], paths[0]]
    assert snapshots.list_snapshots(tmp_path) == [paths[4], paths[3], paths[2]]
    assert snapshots.retain(tmp_path, keep=2) == []
    with pytest.raises(ValueError, match="At least one"):
        snapshots.retain(tmp_path, keep=0)


def test_write_removes_what_a_stop_left_half_written(tmp_path: Path) -> None:
    (tmp_path / "00000000000000000007.snapshot.tmp").write_bytes(b"half")
    snapshots.write(tmp_path, 8, {}, {})
    assert [path.name for path in tmp_path.iterdir()] == ["00000000000000000008.snapshot"]


def test_write_power_cut_at_any_operation_leaves_the_old_or_the_new_one(tmp_path: Path) -> None:
    counts = set()
    for cut in range(1, 40):
        disk = SimDisk(cut)
        snapshots.write(disk, 1, some_arrays(), META)
        disk.cut_at = disk.operations + cut
        with suppress(PowerCut):
            snapshots.write(disk, 2, some_arrays(), META)
        disk.crash()
        place = tmp_path / str(cut)
        place.mkdir()
        for name, file in disk.seen.items():
            (place / name).write_bytes(file.seen)
        found = [snapshots.load(path) for path in snapshots.list_snapshots(place)]
        assert found[-1].sequence == 1
        assert all(same(each.arrays["orders"], some_arrays()["orders"]) for each in found)
        counts.add(len(found))
    assert counts == {1, 2}


def test_write_on_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file sizes stands for the full disk: the write ends in an error in the middle of the file."""
    program = (
        "import resource, signal, sys, numpy, snapshots\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "snapshots.write(sys.argv[1], 1, {'a': numpy.ones(10, '<i8')}, {})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try:\n"
        "    snapshots.write(sys.argv[1], 2, {'a': numpy.ones(100_000, '<i8')}, {})\n"
        "except OSError as error:\n"
        "    sys.exit(error.errno)\n"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", program, tmp_path], cwd=root, check=False)
    assert done.returncode == 27
    assert [path.name for path in tmp_path.iterdir()] == ["00000000000000000001.snapshot"]


@given(
    rows=st.lists(st.binary(min_size=8, max_size=8), max_size=30),
    zeros=st.integers(0, 20),
    sequence=st.integers(0, 2**62),
    meta=st.dictionaries(st.text(max_size=5), st.integers(-(2**62), 2**62) | st.text(max_size=9), max_size=3),
)
def test_any_rows_round_trip(
    tmp_path_factory: pytest.TempPathFactory, rows: list[bytes], zeros: int, sequence: int, meta: dict[str, str | int]
) -> None:
    place = tmp_path_factory.getbasetemp()
    array = np.frombuffer(b"".join(rows) + bytes(8 * zeros), "<u8")
    path = snapshots.write(place, sequence, {"array": array}, meta)
    loaded = snapshots.load(path)
    path.unlink()
    assert (loaded.sequence, loaded.meta) == (sequence, meta)
    assert same(loaded.arrays["array"], array)


def test_command_line_verifies_and_inspects(tmp_path: Path) -> None:
    good = snapshots.write(tmp_path, 1, some_arrays(), META)
    bad = snapshots.write(tmp_path, 2, some_arrays(), META)
    bad.write_bytes(bad.read_bytes()[:-1])
    run = CliRunner()
    result = run.invoke(app, ["verify", str(tmp_path)])
    assert result.exit_code == 78
    assert f"Whole: {good}" in result.stdout
    assert f"The snapshot {bad} can not be used" in result.stderr
    assert run.invoke(app, ["verify", str(good)]).exit_code == 0
    shown = json.loads(run.invoke(app, ["inspect", str(good), "--json"]).stdout)
    assert (shown["sequence"], shown["meta"], len(shown["arrays"])) == (1, META, 6)
    assert "orders" in run.invoke(app, ["inspect", str(good)]).stdout
    assert run.invoke(app, ["inspect", str(tmp_path)]).exit_code == 78
    assert run.invoke(app, ["inspect", str(tmp_path / "absent")]).exit_code == 2


def test_golden_version_1_loads() -> None:
    """Made by `snapshots.write(GOLDEN / "v1", 42, some_arrays(), META)`; a new version adds a folder beside it."""
    loaded = snapshots.load(GOLDEN / "v1" / f"{42:020d}.snapshot")
    assert (loaded.sequence, loaded.meta) == (42, META)
    for name, array in some_arrays().items():
        assert same(loaded.arrays[name], array), name


def test_golden_of_the_current_version_is_written_byte_for_byte(tmp_path: Path) -> None:
    path = snapshots.write(tmp_path, 42, some_arrays(), META)
    assert path.read_bytes() == (GOLDEN / "v1" / path.name).read_bytes()
