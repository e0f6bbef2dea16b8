"""An attacker's little traffic does not become much history."""

from __future__ import annotations

from forging import Kept, client, envelope, gate

from gatepost.smtp.reply import Reply
from gatepost.store.json import encode


def test_a_rule_broken_behind_a_thousand_recipients_keeps_a_few_of_them() -> None:
    kept = Kept()
    many = envelope("x@attacker.example", *(f"ben+{n}@gate.example" for n in range(1000)))
    gate(store=kept).refused(client(), many, Reply(500, "5.5.2", "Unknown command"), "unknown-command")
    (entry,) = kept.turned_down
    assert [str(one.address) for one in entry.envelope.recipients[:2]] == [
        "ben+0@gate.example",
        "ben+1@gate.example",
    ]
    assert "and 980 more recipients" in entry.findings[0].text
    assert len(encode(entry)) < 10_000
