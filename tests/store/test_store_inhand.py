"""What a process had in hand when it died."""

from __future__ import annotations

import contextlib
from pathlib import Path

from gatepost.store.inhand import MOST, SLOT_OCTETS, InHand


def dies_with(path: Path, *refs: str) -> dict[str, int]:
    """A process that dies while it holds these, and what the one before it had left."""
    it = InHand(path)
    left = dict(it.deaths)
    with contextlib.ExitStack() as held:
        for ref in refs:
            held.enter_context(it.holding(ref))
        it.close()  # from here on nothing of it reaches the file
    return left


def test_deaths_in_a_row_are_counted_by_message(tmp_path: Path) -> None:
    path = tmp_path / "in-hand"
    assert dies_with(path, "KILLER", "OTHER") == {}
    assert dies_with(path, "KILLER") == {"KILLER": 1, "OTHER": 1}
    assert dies_with(path, "KILLER") == {"KILLER": 2}
    assert dies_with(path) == {"KILLER": 3}
    assert dies_with(path) == {}, "and one that ended well with nothing in hand forgets them"


def test_what_came_to_an_end_is_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "in-hand"
    dies_with(path, "SLOW", "SLOW")
    it = InHand(path)
    with it.holding("SLOW"):
        with it.holding("SLOW"):  # to another destination
            pass
        assert InHand(path).deaths == {"SLOW": 2}
    it = InHand(path)
    with it.holding("SLOW"):
        pass
    assert dies_with(path) == {}


def test_what_is_damaged_or_too_much_or_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    path = tmp_path / "in-hand"
    path.write_bytes(b"\xff" * 1000 + b"1GOOD".ljust(SLOT_OCTETS, b"\0") + b"2" * 7)
    InHand(path).close()
    dies_with(path, *(f"R{number}" for number in range(MOST + 10)))
    assert len(dies_with(path)) == MOST
    folder = tmp_path / "folder"
    folder.mkdir()
    with InHand(folder).holding("ANY"):
        pass
