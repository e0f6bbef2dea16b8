"""Charts and words of the console as somebody reads them."""

from __future__ import annotations

from pathlib import Path

import pytest
from markupsafe import Markup

from gatepost.store import approvals
from gatepost.web import charts, looks
from gatepost.web.charts import Series
from gatepost.web.looks import breakable, moment
from gatepost.web.pages.quarantine import CATEGORIES


@pytest.mark.parametrize(
    "most", [0, 1, 4, 5, 9, 10, 11, 13, 38, 46, 50, 95, 101, 130, 999, 1000, 1201, 40_001]
)
def test_the_scale_of_a_chart_has_whole_numbers_and_room_for_the_highest_bar(most: int) -> None:
    top = charts.nice(most)
    assert top >= most
    assert top % 4 == 0
    assert top <= max(4, 2 * most)


def test_a_chart_of_times_says_its_unit_in_full_and_shows_the_usual_beside_the_rare() -> None:
    rows = [
        Series(name="half", colour="deliver", values=[10.0, 100.0]),
        Series(name="nearly all", colour="refuse", values=[980.0, 10_000.0]),
    ]
    chart = charts.lines("t", "a", ["1", "2"], rows, unit=" ms")
    assert list(chart.ticks) == ["10,000 ms", "1,000 ms", "100 ms", "10 ms", "1 ms"]
    assert chart.paths[0].points == "0.0,75.0 1000.0,50.0"
    assert chart.paths[1].points == "0.0,25.2 1000.0,0.0"


@pytest.mark.parametrize("value", [0.0, 0.3, 1.0])
def test_what_is_below_the_lowest_decade_lies_on_the_bottom(value: float) -> None:
    chart = charts.lines("t", "a", ["1"], [Series(name="all", colour="deliver", values=[value])])
    assert chart.paths[0].points == "0.0,100.0"


def test_a_chart_of_times_has_room_for_the_longest() -> None:
    chart = charts.lines("t", "a", ["1"], [Series(name="all", colour="deliver", values=[10_001.0])])
    assert list(chart.ticks) == ["100,000", "10,000", "1,000", "100", "10"]


def test_an_address_breaks_behind_its_marks_and_stays_harmless() -> None:
    assert breakable("ana@harbour.example") == "ana@<wbr>harbour.<wbr>example"
    assert breakable("attachments.quarantined") == "attachments.<wbr>quarantined"
    assert breakable(Markup("<b>@x")) == "<b>@<wbr>x"
    assert breakable("<b>@x") == "&lt;b&gt;@<wbr>x", "and what is no markup stays text, whatever came before"
    assert breakable("") == ""


def test_every_time_of_a_page_is_told_the_same_way() -> None:
    assert moment(1_795_531_686, language="en") == "24 Nov 2026, 14:48:06"
    assert moment(1_795_531_686, language="en", pattern="MMMd HH:mm") == "24 Nov 14:48"


def test_whatever_mail_is_held_as_has_a_name() -> None:
    assert approvals.CATEGORY in CATEGORIES


def test_pages_are_those_of_the_program_that_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    templates = tmp_path / "templates"
    templates.mkdir()
    (templates / "one.html").write_text("as it was started")
    monkeypatch.setattr(looks, "HERE", tmp_path)
    shown = looks.Looks({"en": "English"})
    (templates / "one.html").write_text("of another release")
    assert shown.draw("one.html", "en") == "as it was started"
