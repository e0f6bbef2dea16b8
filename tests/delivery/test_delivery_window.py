"""How many talk to a destination at once is learnt."""

from __future__ import annotations

from gatepost.delivery.window import BEGIN, Window


def test_it_opens_by_one_with_each_that_comes_through_up_to_the_most() -> None:
    window = Window(20)
    rooms = [window.room]
    for _ in range(30):
        window.widen()
        rooms.append(window.room)
    assert rooms[:3] == [BEGIN, BEGIN + 1, BEGIN + 2]
    assert rooms[-1] == 20


def test_it_halves_when_turned_away_and_then_opens_slowly() -> None:
    window = Window(20, 20)
    window.narrow()
    assert window.room == 10
    for _ in range(9):
        window.widen()
    assert window.room == 10
    window.widen()
    window.widen()
    assert window.room == 11
    for _ in range(10):
        window.narrow()
    assert window.room == 1
