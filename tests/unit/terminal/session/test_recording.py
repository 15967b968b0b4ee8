"""Transcripts: what came is what is kept, within bounds, for the owner alone."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.errors import RefusedError
from services.terminal.session import recording
from services.terminal.session.recording import (
    RecordedOutput,
    RecordedSize,
    RecordingFull,
    SessionRecorder,
    read_recording,
)
from tests.support.clock import FakeClock


async def test_frames_come_back_with_their_times(tmp_path: Path) -> None:
    clock = FakeClock()
    kept = SessionRecorder(tmp_path / "t", "one", clock)
    kept.resized(91, 17)
    await clock.advance(1.5)
    kept.output(b"\x1b[31mred\x00\xff")
    await clock.advance(2)
    kept.output(b"")
    kept.close()
    kept.output(b"after the end")
    kept.close()
    assert list(read_recording(kept.path)) == [
        RecordedSize(0.0, 91, 17),
        RecordedOutput(1.5, b"\x1b[31mred\x00\xff"),
        RecordedOutput(3.5, b""),
    ]
    assert kept.path.stat().st_mode & 0o777 == 0o600
    assert kept.path.parent.stat().st_mode & 0o777 == 0o700
    assert str(kept.path) in kept.notice


def test_the_bound_holds_and_the_file_says_so(tmp_path: Path) -> None:
    kept = SessionRecorder(tmp_path, "bounded", FakeClock(), limit=10_000)
    for _ in range(100):
        kept.output(b"x" * 1000)
    kept.close()
    frames = list(read_recording(kept.path))
    assert frames[-1] == RecordingFull(0.0)
    assert len(frames) == 10
    assert kept.path.stat().st_size < 10_100
    assert "no longer recorded" in kept.notice


def test_a_name_from_outside_stays_in_the_folder(tmp_path: Path) -> None:
    kept = SessionRecorder(tmp_path, "../../etc/\x1b[31mpass\nwd/\u202e", FakeClock())
    kept.close()
    assert kept.path.parent == tmp_path
    assert kept.path.exists()
    assert kept.path.name.isascii()


def test_neither_a_file_nor_a_link_in_its_place_is_written_to(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.write_text("mine")
    (tmp_path / "taken.transcript").symlink_to(other)
    kept = SessionRecorder(tmp_path, "taken", FakeClock())
    kept.output(b"x")
    kept.close()
    assert other.read_text() == "mine"
    assert "not recorded" in kept.notice


def test_a_folder_that_cannot_be_or_is_full_stops_no_shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    kept = SessionRecorder(tmp_path / "file" / "below", "one", FakeClock())
    kept.output(b"x")
    kept.close()
    assert "not recorded" in kept.notice
    monkeypatch.setattr(recording, "FOLDER_BYTES", 1000)
    (tmp_path / "old.transcript").write_bytes(b"x" * 1500)
    kept = SessionRecorder(tmp_path, "two", FakeClock(), limit=100)
    kept.output(b"x")
    assert "full" in kept.notice
    assert not kept.path.exists()


def test_a_disk_that_fails_ends_the_recording_alone(tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no device that is always full")
    kept = SessionRecorder(tmp_path, "one", FakeClock())
    kept.close()
    kept._file = full.open("wb")
    for _ in range(3):
        kept.output(b"x" * 100_000)
    kept.close()
    assert "not recorded" in kept.notice


def test_what_is_no_transcript_is_refused_before_the_first_frame(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="cannot be read"):
        read_recording(tmp_path / "gone")
    with pytest.raises(RefusedError, match="cannot be read"):
        read_recording(tmp_path)
    odd = tmp_path / "odd"
    odd.write_bytes(b"\x1b]52;c;x\x07")
    with pytest.raises(RefusedError, match="not a transcript"):
        read_recording(odd)


@given(st.integers(0, 400), st.binary(max_size=40))
def test_cut_or_garbled_files_end_and_never_raise(cut: int, rubbish: bytes) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        kept = SessionRecorder(Path(name), "one", FakeClock())
        kept.resized(80, 24)
        for number in range(5):
            kept.output(b"%d" % number * 20)
        kept.close()
        whole = list(read_recording(kept.path))
        data = kept.path.read_bytes()
        cut = max(cut % len(data), len(recording.MAGIC))
        kept.path.write_bytes(data[:cut])
        found = list(read_recording(kept.path))
        assert found == whole[: len(found)]
        kept.path.write_bytes(data[:cut] + rubbish)
        assert list(read_recording(kept.path))[: len(found)] == found


def test_a_length_that_lies_reads_nothing_more(tmp_path: Path) -> None:
    path = tmp_path / "liar"
    path.write_bytes(recording.MAGIC + struct.pack(">dBI", 0.0, 1, 0xFFFFFFFF) + b"x" * 100)
    assert list(read_recording(path)) == []
    path.write_bytes(recording.MAGIC + struct.pack(">dBI", float("nan"), 1, 1) + b"x")
    assert list(read_recording(path)) == []
