"""The log: one line a message, text for people or JSON for machines, on standard error.

No secret and no message text gets here; attacker-chosen words have been made printable where they were found.
"""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable
from typing import Any, TextIO

import msgspec
import structlog

from gatepost.config.schema import LogFormat
from gatepost.store.records import HistoryEntry


def start_log(format_: LogFormat, out: TextIO | None = None) -> None:
    """Send everything, ours and the libraries', through one form to one place, standard error unless told."""
    shared: list[Any] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.format_exc_info,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer(sort_keys=False)
        if format_ is LogFormat.JSON
        else structlog.processors.KeyValueRenderer(
            key_order=["timestamp", "level", "event"], drop_missing=True
        )
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler(out or sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # that it starts and ends is ours to say
    global _line_of, _out  # noqa: PLW0603 - a process has one log
    _out = out
    _line_of = as_json if format_ is LogFormat.JSON else as_text


def as_text(fields: dict[str, object]) -> str:
    """A message's line for people."""
    return " ".join([f"{name}={value!r}" for name, value in fields.items()])


def as_json(fields: dict[str, object]) -> str:
    """A message's line for machines."""
    return msgspec.json.encode(fields).decode()


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
        "timestamp": f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}.{int(now % 1 * 1e6):06d}Z",
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
