"""What an attacker writes never speaks to the terminal of the person who looks at it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from forging import BODY, REST

from gatepost.cli.scan import scan
from gatepost.cli.terminal import harmless, json_line

ESCAPES = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e\x7f"
HEADER = (
    "Received: from {0}evil{0} (x{0} [198.51.100.66])\r\n by mx{0}\r\n"
    "Return-Path: <a{0}@attacker.example>\r\n"
    "DKIM-Signature: v=1; a={0}; d={0}; s={0}; h={0}; i={0}; bh={0}; b={0}\r\n"
    "ARC-Seal: i=1; cv={0}; d={0}; s={0}; a={0}; b=\r\n"
    "ARC-Message-Signature: i=1; d={0}; s={0}; a=rsa-sha256; h=from; bh=AA; b=AA\r\n"
    "ARC-Authentication-Results: i=1; {0}; dmarc=pass\r\n"
    "From: {0} <{0}@attacker.example>\r\n"
    "Subject: =?utf-8?q?=1B[2J=C2=9B31m=E2=80=AE?= {0}\r\n"
    "Message-ID: <{0}>\r\nX{0}: y\r\n"
)


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize("hello", [None, f"h{ESCAPES}"])
def test_a_scanned_message_prints_nothing_that_acts(tmp_path: Path, as_json: bool, hello: str | None) -> None:
    message = tmp_path / "message.eml"
    message.write_bytes(HEADER.format(ESCAPES).encode() + REST + BODY)
    zone = tmp_path / "x.zone"
    zone.write_text('attacker.example. TXT "v=spf1 exists:%{h}.\\027[2J \\155\\027 -all"\n')
    arguments = [
        "--zone",
        str(zone),
        *(["--json"] if as_json else []),
        *(["--hello", hello] if hello else []),
    ]
    result = CliRunner().invoke(scan, [*arguments, str(message)])
    assert result.exception is None or isinstance(result.exception, SystemExit)
    shown = result.output.replace("\n", "")
    assert "198.51.100.66" in shown or as_json
    acting = {one for one in shown if not one.isprintable()}
    assert not acting
    if as_json:
        assert json.loads(result.output)["action"]


def test_json_says_the_same_harmlessly() -> None:
    told = {"a": ESCAPES}
    line = json_line(told)
    assert line.isprintable()
    assert json.loads(line) == told


def test_lines_stay_lines() -> None:
    assert harmless("a\nb\x1b[2J") == "a\nb\\x1b[2J"
