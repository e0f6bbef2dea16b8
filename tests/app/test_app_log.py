"""The line of a message, as an operator's tools read it."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from ipaddress import ip_address

import pytest

from gatepost.app import log
from gatepost.config.schema import LogFormat
from gatepost.mail.client import Client, Envelope
from gatepost.store.records import HistoryEntry

ENTRY = HistoryEntry(
    ref="2N52", at=1.0, kind="session", client=Client(ip=ip_address("192.0.2.7"), hello="it's\nme"),
    envelope=Envelope(sender=None), reply="550 5.7.1 no",
)  # fmt: skip


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, line_of = root.handlers[:], root.level, log._line_of
    yield
    root.handlers[:], log._line_of = handlers, line_of
    root.setLevel(level)


def test_json_is_one_object_on_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    log.start_log(LogFormat.JSON)
    log.log_entry(ENTRY)
    (line,) = capsys.readouterr().err.splitlines()
    told = json.loads(line)
    assert (told["event"], told["ref"], told["client"], told["hello"], told["sender"]) == (
        "session", "2N52", "192.0.2.7", "it's\nme", "<>",
    )  # fmt: skip


def test_text_is_one_line_whatever_the_client_said(capsys: pytest.CaptureFixture[str]) -> None:
    log.start_log(LogFormat.TEXT)
    log.log_entry(ENTRY)
    (line,) = capsys.readouterr().err.splitlines()
    assert " level='info' event='session' ref='2N52' client='192.0.2.7' hello=\"it's\\nme\"" in line


def test_a_log_that_nobody_reads_any_more_loses_no_mail(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone:
        def write(self, _: str) -> None:
            raise BrokenPipeError

    log.start_log(LogFormat.TEXT)
    monkeypatch.setattr(sys, "stderr", Gone())
    log.log_entry(ENTRY)


@pytest.mark.parametrize("form", LogFormat)
def test_what_went_wrong_inside_is_told_on_one_line(
    form: LogFormat, capsys: pytest.CaptureFixture[str]
) -> None:
    log.start_log(form)
    try:
        raise ValueError("two\nlines")
    except ValueError:
        logging.getLogger("gatepost.jobs").exception("the job %s failed", "look\nhere")
    (line,) = capsys.readouterr().err.splitlines()
    assert "ValueError: two\\nlines" in line
    if form is LogFormat.JSON:
        told = json.loads(line)
        assert (told["level"], told["event"]) == ("error", "the job look\nhere failed")
        assert list(told) == ["timestamp", "level", "event", "exception"]
    else:
        assert " level='error' event='the job look\\nhere failed' exception=" in line


@pytest.mark.parametrize("form", LogFormat)
def test_a_name_that_is_no_text_can_be_told(form: LogFormat, capsys: pytest.CaptureFixture[str]) -> None:
    log.start_log(form)
    logging.getLogger("gatepost").warning("no such file: %s", b"\xff.pem".decode(errors="surrogateescape"))
    (line,) = capsys.readouterr().err.splitlines()
    assert "\\udcff.pem" in line
