"""Every dialogue of `tests/cases/smtp`, fed as sent and octet by octet."""

from __future__ import annotations

import pytest

from talk import CASES, in_memory, play, read_talk

TALKS = sorted(CASES.glob("*.talk"))
TIMING = {
    # What is refused because it came before the answer can only be seen when it did.
    "no-recipient",
}


@pytest.mark.parametrize("path", TALKS, ids=lambda path: path.stem)
def test_dialogue(path):
    talk = read_talk(path)
    peer = in_memory(talk)
    play(talk, peer)
    assert peer.read_line() in (b"(closed)", b"(silence)")


@pytest.mark.parametrize(
    "path", [path for path in TALKS if path.stem not in TIMING], ids=lambda path: path.stem
)
def test_dialogue_octet_by_octet(path):
    talk = read_talk(path)
    whole, trickled = in_memory(talk), in_memory(talk, piece=1)
    play(talk, whole)
    play(talk, trickled)
    assert trickled.events == whole.events
    assert trickled.wire == whole.wire
    assert trickled.bodies == whole.bodies
