"""The log: one line a message, text for people or JSON for machines, on standard error.

No secret and no message text gets here; attacker-chosen words have been made printable where they were found.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable
from typing import TextIO

import msgspec

from gatepost.config.schema import LogFormat
from gatepost.store.records import HistoryEntry


def start_log(format_: LogFormat, out: TextIO | None = None) -> None:
    """Send everything, ours and the libraries', through one form to one place, standard error unless told."""
    handler = logging.StreamHandler(out or sys.stderr)
    handler.setFormatter(Line(plain_json if format_ is LogFormat.JSON else as_text))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # that it starts and ends is ours to say
    global _line_of, _out  # noqa: PLW0603 - a process has one log
    _out = out
    _line_of = as_json if format_ is LogFormat.JSON else as_text


class Line(logging.Formatter):
    """A record, whoever wrote it, as fields on one line."""

    def __init__(self, line_of: Callable[[dict[str, object]], str]) -> None:
        super().__init__()
        self._line_of = line_of

    def format(self, record: logging.LogRecord) -> str:
        """With what went wrong inside, where that is told."""
        fields: dict[str, object] = {
            "timestamp": stamp(record.created), "level": record.levelname.lower(), "event": record.getMessage(),
        }  # fmt: skip
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception"] = self.formatException(record.exc_info)
        if record.stack_info:
            fields["stack_info"] = record.stack_info
        return self._line_of(fields)


def stamp(at: float) -> str:
    """RFC 3339, in UTC."""
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}.{int(at % 1 * 1e6):06d}Z"


def as_text(fields: dict[str, object]) -> str:
    """A message's line for people."""
    return " ".join([f"{name}={value!r}" for name, value in fields.items()])


def as_json(fields: dict[str, object]) -> str:
    """A message's line for machines."""
    return msgspec.json.encode(fields).decode()


def plain_json(fields: dict[str, object]) -> str:
    """The same for any line, which may name a file whose name is no text: all but ASCII is escaped."""
    return json.dumps(fields)


_line_of: Callable[[dict[str, object]], str] | None = None
_out: TextIO | None = None


def log_entry(entry: HistoryEntry) -> None:
    """The one line of a message, an attempt or a session, in the form and the place `start_log` chose.

    Written without `logging`, whose path for a line would be a noticeable part of what a message costs.
    """
    if _line_of is None:
        return
    client, envelope = entry.client, entry.envelope
    now = time.time()
    fields: dict[str, object] = {
        "timestamp": stamp(now),
        "level": "info",
        "event": entry.kind,
        "ref": entry.ref,
        "client": str(client.ip),
        "hello": client.hello,
        "tls": client.tls.version if client.tls else None,
        "sender": str(envelope.sender) if envelope.sender else "<>",
        "recipients": [str(one.address) for one in envelope.recipients],
        "size": entry.size,
        "action": sorted({one.verdict.action.value for one in entry.judged}),
        "would": sorted({one.verdict.would_action.value for one in entry.judged}),
        "rule": entry.judged[0].verdict.rule if entry.judged else None,
        "score": round(max((one.verdict.score for one in entry.judged), default=0.0), 2),
        "dmarc": entry.auth.dmarc.result,
        "findings": sorted(
            {one.key for judged in entry.judged for one in (w.finding for w in judged.verdict.weighed)}
        ),
        "reply": entry.reply,
        "ms": entry.milliseconds.get("total"),
    }
    if client.account:
        fields |= {"way": "out", "account": client.account, "device": client.device}
    with contextlib.suppress(OSError, ValueError):  # nobody reads it any more: no reason to lose mail
        (_out or sys.stderr).write(_line_of(fields) + "\n")
