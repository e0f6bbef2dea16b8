"""One gate on a state folder, and who can tell."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from gatepost.jobs.presence import AlreadyRunning, delivering, is_running, presence, running_since


def test_is_seen_while_it_is_there(tmp_path: Path) -> None:
    assert not is_running(tmp_path)
    with presence(tmp_path):
        assert is_running(tmp_path)
        assert running_since(tmp_path) == (tmp_path / "gate.lock").stat().st_mtime
        with pytest.raises(AlreadyRunning), presence(tmp_path):
            pass
        assert is_running(tmp_path)
    assert not is_running(tmp_path)


def test_each_that_delivers_is_seen(tmp_path: Path) -> None:
    assert delivering(tmp_path) == 0
    with presence(tmp_path, 1):
        with presence(tmp_path), presence(tmp_path, 2):
            assert delivering(tmp_path) == 3
        assert is_running(tmp_path), "one that was left behind still delivers"
        with pytest.raises(AlreadyRunning), presence(tmp_path, 1):
            pass
    assert delivering(tmp_path) == 0
    assert not is_running(tmp_path)


def test_a_killed_holder_is_gone_at_once(tmp_path: Path) -> None:
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        with presence(tmp_path):
            os.write(tell, b"!")
            signal.pause()
    assert os.read(ready, 1) == b"!"
    assert is_running(tmp_path)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    assert not is_running(tmp_path)
    os.close(ready)
    os.close(tell)
