"""Partners' mail comes over TLS or not at all."""

from __future__ import annotations

from dataclasses import replace

import pytest

from drive import drive
from gatepost.checks.connection.tlsrequired import TLS_REQUIRED, TlsRequiredSettings
from gatepost.checks.registry import configure
from gatepost.mail.client import TlsFacts
from gatepost.mail.verdict import Action
from gatepost.policy import PolicySettings, assemble, decide_at_door
from judging import World, attempt, names

SETTINGS = TlsRequiredSettings(domains=("partner.example",))


@pytest.mark.parametrize("sender", ["a@partner.example", "a@sub.partner.example"])
def test_plain_mail_of_a_partner_is_refused(sender: str) -> None:
    found = drive(TLS_REQUIRED.run(attempt(sender=sender), World(), SETTINGS))
    policy = assemble(PolicySettings(), configure({"tlsrequired": SETTINGS})).default
    verdict = decide_at_door(found, policy)
    assert (verdict.action, policy.reply_codes(verdict)) == (Action.REFUSE, (550, "5.7.10"))


def test_tls_others_and_the_null_sender_pass() -> None:
    tls = TlsFacts(version="TLSv1.3", cipher="TLS_AES_256_GCM_SHA384")
    for one in (
        attempt(sender="a@partner.example", tls=tls),
        attempt(sender="a@notpartner.example"),
        attempt(sender=None),
        attempt(ip=None, sender="a@partner.example"),
    ):
        assert names(drive(TLS_REQUIRED.run(one, World(), SETTINGS))) == []


def test_behind_a_relay_of_ours_nobody_knows_and_nobody_is_refused() -> None:
    one = attempt(sender="a@partner.example")
    behind = replace(one, client=replace(one.client, port=0))
    assert names(drive(TLS_REQUIRED.run(behind, World(), SETTINGS))) == []
