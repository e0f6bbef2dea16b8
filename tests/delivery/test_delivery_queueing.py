"""The line of what is due, read so that nobody waits behind a destination that has enough, and nobody is forgotten."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from gatepost.delivery.line import LATE_S, Line, Place

WINDOW = 5
OTHERS = "x"
"""Stands for copies that another process delivers."""


@dataclass
class Queue:
    """Copies in a list in place of the store, and destinations with room for so many."""

    copies: dict[Place, str]
    room: dict[str, int]
    line: Line = field(default_factory=Line)
    taken: list[int] = field(default_factory=list)
    looked_at: int = 0
    now: float = 1000.0
    seconds: float = 0.0

    def look(self, limit: int = 100) -> bool:
        look = self.line.next_look(lambda where: self.room[str(where)] > 0)
        if look is None:
            return False
        found = sorted(
            (place, where)
            for place, where in self.copies.items()
            if (look.start is None or place >= look.start) and (look.end is None or place < look.end)
        )[:WINDOW]
        self.looked_at += len(found)
        ours = [(place, where) for place, where in found if where != OTHERS]
        chosen = self.line.choose(
            look, ours, last=found[-1][0] if len(found) == WINDOW else None, others=len(ours) < len(found),
            room_of=self.room_of, limit=limit, now=self.now, seconds=self.seconds,
        )  # fmt: skip
        for place, where in found:
            if place[1] in chosen:
                self.room[where] -= 1
                del self.copies[place]
        self.taken += chosen
        return True

    def room_of(self, where: Hashable) -> int:
        return self.room[str(where)]

    def look_on(self) -> list[int]:
        """Until there is nothing to be seen; returns what was taken."""
        before = len(self.taken)
        for _ in range(1000):
            if not self.look():
                return self.taken[before:]
        raise AssertionError("it looks for ever")


def numbered(text: str) -> dict[Place, str]:
    return {(float(number), number): letter for number, letter in enumerate(text, 1)}


def test_nobody_waits_behind_who_has_enough() -> None:
    queue = Queue(numbered("aaaaaaaaaaaaaaaaaaaab"), {"a": 2, "b": 5})
    assert queue.look_on() == [1, 2, 21]


def test_who_has_room_again_is_served_from_where_it_was_passed_over() -> None:
    queue = Queue(numbered("s" * 50 + "aaaaaaaa" + "b"), {"s": 0, "a": 2, "b": 1})
    assert queue.look_on() == [51, 52, 59]
    queue.looked_at = 0
    queue.room["a"] = 3
    assert queue.look_on() == [53, 54, 55]
    assert queue.looked_at <= 2 * WINDOW, "the fifty in front are not read again"


def test_what_comes_later_is_seen_although_others_wait_in_front() -> None:
    queue = Queue(numbered("aaaaaaaaaaaa"), {"a": 0, "b": 5})
    assert queue.look_on() == []
    queue.copies[990.0, 100] = "b"
    assert queue.look_on() == [], "nobody said so yet"
    queue.line.woken()
    assert queue.look_on() == [100]


def test_what_was_written_a_little_later_than_it_says_is_seen() -> None:
    queue = Queue({(999.0, 1): "a", (999.0, 2): "a"}, {"a": 0, "b": 5})
    queue.look_on()
    queue.copies[1000.0 - LATE_S + 1, 3] = "b"
    queue.line.woken()
    assert queue.look_on() == [3]


def test_now_and_then_all_of_it_is_looked_at() -> None:
    queue = Queue(numbered("aaaaaaaaaaaa"), {"a": 0, "b": 5})
    queue.look_on()
    queue.line.woken()
    queue.look_on()
    queue.copies[0.5, 0] = "b"  # should not be, at the front
    queue.line.woken()
    assert queue.look_on() == []
    queue.seconds += 100
    for _ in range(2):
        queue.line.woken()
        queue.look_on()
    assert queue.taken == [0]


def test_onward_goes_on_although_others_have_room_all_the_time() -> None:
    queue = Queue(numbered("a" * 200 + "b"), {"a": 1, "b": 1})
    for _ in range(200):
        queue.look(limit=1)
        queue.room["a"] = 1
        if 201 in queue.taken:
            break
    assert 201 in queue.taken
    assert len(queue.taken) < 100


def test_what_others_deliver_is_passed_over_and_not_read_again_each_time() -> None:
    queue = Queue(numbered("x" * 50 + "a" + "x" * 30), {"a": 5})
    assert queue.look_on() == [51]
    queue.line.woken()
    assert queue.look_on() == []
    queue.looked_at = 0
    queue.copies[999.5, 100] = "a"
    queue.line.woken()
    assert queue.look_on() == [100]
    assert queue.looked_at <= WINDOW
    queue.copies[3.5, 101] = "a"  # another process gave it back
    queue.line.start_over()
    assert queue.look_on() == [101]


@given(
    text=st.text("abcx", max_size=60),
    rooms=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 4)), max_size=20),
    limit=st.integers(1, 8),
)
def test_each_copy_is_taken_once_and_in_its_destinations_order(
    text: str, rooms: list[tuple[int, int, int]], limit: int
) -> None:
    queue = Queue(numbered(text), {"a": 0, "b": 0, "c": 0})
    for more in [*rooms, (60, 60, 60)]:
        queue.room = dict(zip("abc", more, strict=True))
        queue.line.woken()
        for _ in range(1000):
            if not queue.look(limit):
                break
    assert set(queue.copies.values()) <= {OTHERS}
    assert max(Counter(queue.taken).values(), default=1) == 1
    for letter in "abc":
        own = [number for number in queue.taken if text[number - 1] == letter]
        assert own == sorted(own), "nobody of one destination overtakes another"
