"""The log: one line a message, text for people or JSON for machines, on standard error.

No secret and no message text gets here; attacker-chosen words have been made printable where they were found.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog

from gatepost.config.schema import LogFormat
from gatepost.store.records import HistoryEntry

LEVELS = {"session": "info", "attempt": "info", "message": "info"}


def start_log(format_: LogFormat) -> None:
    """Send everything, ours and the libraries', through one form."""
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
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(logging.INFO)


messages = logging.getLogger("gatepost.messages")


def log_entry(entry: HistoryEntry) -> None:
    """The one line of a message, an attempt or a session."""
    if not messages.isEnabledFor(logging.INFO):
        return
    client, envelope = entry.client, entry.envelope
    fields: dict[str, object] = {
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
    messages.info(entry.kind, extra=fields)
