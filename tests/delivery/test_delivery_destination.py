"""What is known of one destination: whether it rests, and how much of its mail is worth taking in hand."""

from __future__ import annotations

from gatepost.delivery.destination import SHARE_LEAST, Destination
from gatepost.delivery.routes import Elsewhere
from gatepost.delivery.settings import ScheduleSettings
from gatepost.delivery.window import BEGIN, Window

NOW = 1_750_000_000.0


def destination(most: int = 100) -> Destination:
    return Destination(Elsewhere("far.example"), ScheduleSettings(), Window(20), most)


def test_one_that_is_down_rests_longer_each_time_and_is_probed_by_one() -> None:
    place = destination()
    assert place.rests_until(NOW, others=True) is None
    place.not_reached(NOW, "no route")
    place.not_reached(NOW + 1, "no route")  # another one of the same moment
    assert place.rests_until(NOW + 29, others=False) == NOW + 30
    assert place.rests_until(NOW + 30, others=False) is None, "one may try"
    assert place.rests_until(NOW + 30, others=True) == NOW + 60, "and only one"
    place.not_reached(NOW + 31, "no route")
    assert place.rests_until(NOW + 90, others=False) == NOW + 91
    place.reached()
    assert place.rests_until(NOW + 91, others=True) is None


def test_one_that_is_down_has_one_place() -> None:
    place = destination()
    for _ in range(10):
        place.add(())
    assert place.places == BEGIN
    place.not_reached(NOW, "no route")
    assert place.places == 1
    place.running = 1
    assert place.places == 0


def test_who_gets_through_what_it_has_gets_more() -> None:
    place = destination()
    assert place.room() == SHARE_LEAST
    at = 1000.0
    rooms = []
    for _ in range(6):
        at += 0.1
        place.refilled(at)
        rooms.append(place.room())
    assert rooms == [8, 16, 32, 64, 100, 100], "soon, so twice as much each time, up to the most"
    place.refilled(at + 60)
    assert place.room() == 50, "it took long"


def test_who_has_more_than_half_of_its_share_gets_nothing_yet() -> None:
    place = destination()
    place.waiting = SHARE_LEAST // 2 + 1
    assert place.room() == 0
    place.waiting = SHARE_LEAST // 2
    assert place.room() == SHARE_LEAST // 2


def test_who_stalls_with_all_it_may_have_gets_nothing() -> None:
    place = destination()
    place.slow = BEGIN - 1
    assert place.room()
    place.slow = BEGIN
    assert not place.room()
    place.window.widen()
    assert place.room(), "there is one more that may try"
