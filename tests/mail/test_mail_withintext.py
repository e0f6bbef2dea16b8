"""Codes drawn in the text and pictures in data: addresses, whoever wrote the text around them."""

from __future__ import annotations

import pytest

from gatepost.mail.content import Content
from gatepost.mail.message import Message

DRAWING = "\u2588\u2580\u2584\u2588\u2588" * 20


def content(html: str) -> Content:
    head = b"From: ana@example.org\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    return Content(Message.parse(head + html.encode()))


def test_what_nobody_sees_is_no_part_of_a_drawing() -> None:
    html = (
        f"<head><title>t</title></head><!-- no --><style>b {{}}</style><p>{DRAWING}</p>\n  <div>{DRAWING}</div>"
        "<script>1</script >end"
    )
    (drawn,) = content(html).within_text
    assert drawn.octets.decode() == f"{DRAWING}\n{DRAWING}\nend"


@pytest.mark.parametrize(
    "piece", ["<!--", "<style>", "<title> ", "<head", " ", "\n ", "<", "white-space ", "<!-- --><style>"]
)
def test_a_hostile_text_around_a_drawing_costs_what_its_size_says(piece: str) -> None:
    # Such a text must not be read anew from each of its pieces: that would take longer than the time a test has.
    (drawn,) = content(DRAWING + piece * (400_000 // len(piece))).within_text
    assert drawn.octets.decode().startswith(DRAWING)


@pytest.mark.parametrize(
    "piece", ["data:image/" + "a" * 80 + "b" * 100, "data:image/png;", "data:image/png;base64,A "]
)
def test_hostile_data_addresses_cost_what_their_size_says(piece: str) -> None:
    picture = '<img src="data:image/png;charset=x;base64,iVBORw0KGgo=">'
    first, *_ = content(picture + piece * (3_000_000 // len(piece))).within_text
    assert (first.content_type, first.octets) == ("image/png", b"\x89PNG\r\n\x1a\n")
