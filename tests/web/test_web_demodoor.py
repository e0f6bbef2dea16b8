"""The demo's link: once, from this machine, and in a demo only."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gatepost.web.demodoor import DemoDoor
from gatepost.web.site import site
from web.desk_samples import Console, opened
from web.visiting import Browser

WORD = "w" * 32


@pytest.fixture
def console(tmp_path: Path) -> Console:
    return opened(tmp_path)


def demo(console: Console, **more):
    door = DemoDoor(word=WORD, login="owner@example.net")
    premises = replace(
        console.premises, more={**console.premises.more, DemoDoor: door}, **({"demo": True} | more)
    )
    return site(console.office, premises.sessions, origin=premises.origin, premises=premises)


def test_it_signs_in_once(console):
    app = demo(console)
    browser, late = Browser(app), Browser(app)
    answer = browser.get(f"/demo/{WORD}")
    assert answer.status_code == 303
    page = browser.get("/overview")
    assert page.status_code == 200
    assert "DEMO" in page.text
    assert late.get(f"/demo/{WORD}").status_code == 410
    assert late.get("/overview").status_code == 303
    assert browser.get(f"/demo/{WORD}").status_code == 303  # the same person clicks again


def test_another_word_is_not_there(console):
    app = demo(console)
    for word in ("w" * 31, "x" * 32, "%00"):
        assert Browser(app).get(f"/demo/{word}").status_code == 404


def test_nothing_of_it_outside_a_demo(console):
    assert Browser(demo(console, demo=False)).get(f"/demo/{WORD}").status_code == 404
    assert Browser(console.app).get(f"/demo/{WORD}").status_code == 404


def test_nobody_elsewhere_uses_it(console):
    from ipaddress import ip_network

    app = demo(console, trusted_proxies=(ip_network("127.0.0.1"),))
    assert Browser(app, x_forwarded_for="192.0.2.1").get(f"/demo/{WORD}").status_code == 404
