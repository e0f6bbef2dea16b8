"""The rules of the door and of the house, through the whole program: lists, greylisting, rates, recipients, verdicts."""

from __future__ import annotations

import re
import smtplib
import ssl
from pathlib import Path

import pytest
from whole import Gate, mail, running, tls_for, until, without_trace

from real_servers import postfix

LISTS_ZONE = """
2.0.0.127.watched.example.     A 127.0.0.2
7.113.0.203.watched.example.   A 127.0.0.2
2.0.0.127.feared.example.      A 127.0.0.2
8.113.0.203.feared.example.    A 127.0.0.4
*.tired.example.               A 127.255.255.254
*.world.example.               A 127.0.0.2
8.113.0.203.in-addr.arpa.      PTR mail.plain.example.
"""
LISTS = """
[[checks.dnsbl.lists]]
zone = "watched.example"
weight = 30.0
[[checks.dnsbl.lists]]
zone = "feared.example"
mode = "enforce"
weight = 12.0
[[checks.dnsbl.lists]]
zone = "tired.example"
mode = "enforce"
weight = 30.0
"""
WORLD = """
[[checks.dnsbl.lists]]
zone = "world.example"
mode = "enforce"
weight = 30.0
"""
STRANGER = mail("stranger", author="eve@plain.example")


def stranger(gate: Gate, *to: str, client: str = "203.0.113.9", octets: bytes = STRANGER) -> tuple[int, str]:
    return gate.send(octets, *to, sender="eve@plain.example", client=client)


def ref_in(text: str) -> str:
    found = re.search(r"\[ref (\w+)\]", text)
    assert found, text
    return found[1]


def test_block_lists(tmp_path: Path) -> None:
    with running(tmp_path, zone=LISTS_ZONE, more=LISTS) as gate:
        assert stranger(gate, client="203.0.113.7")[0] == 250  # an observing list hurts nobody
        with gate.talk(client="203.0.113.8") as session:
            session.mail("eve@plain.example")
            code, text = session.rcpt("ana@example.net")
        assert code == 550
        assert "feared.example" in gate.story(text.decode())["reason"]
        [row] = gate.rows("history", "--client-ip", "203.0.113.7")
        [seen] = [one for one in row["findings"] if one["name"] == "dnsbl.listed"]
        assert (seen["source"], seen["mode"]) == ("watched.example", "observe")
        names = {one["name"] for one in row["findings"] if one.get("source") == "tired.example"}
        assert "dnsbl.listed" not in names
        assert row["action"] in ("deliver", "junk")


def test_a_list_that_lists_the_world_is_taken_out_and_said_so(tmp_path: Path) -> None:
    # Probed when it starts (RFC 5782 §5): 127.0.0.1 must not be listed.
    with running(tmp_path, zone=LISTS_ZONE, more=WORLD) as gate:
        until(lambda: stranger(gate)[0] == 250, gate.log)
        row = gate.rows("history", "--action", "deliver")[0]
        assert any(
            one.get("source") == "world.example" and one["name"] != "dnsbl.listed" for one in row["findings"]
        )


def test_greylisting_defers_once_and_lets_in_who_comes_back(tmp_path: Path) -> None:
    with running(tmp_path, more="[checks.greylist]\nmode = 'enforce'\nwait = '1s'\n") as gate:
        code, text = stranger(gate)
        assert code == 450
        assert stranger(gate)[0] == 450
        until(lambda: stranger(gate)[0] == 250, gate.log)
        assert stranger(gate, "ben@example.net")[0] == 250
        assert gate.story(text)["rule"] == "greylist.wait"


def test_rates(tmp_path: Path) -> None:
    more = "[checks.rates]\nunknown_recipients = 3\n[checks.volume]\nmessages = 5\n"
    with running(tmp_path, more=more) as gate:
        codes = [stranger(gate)[0] for _ in range(6)]
        assert codes == [250] * 5 + [450]
        assert stranger(gate, client="203.0.113.77")[0] == 250  # others do not feel it
        with gate.talk(client="203.0.113.78") as session:
            session.mail("eve@plain.example")
            codes = [session.rcpt(f"guess{number}@example.net")[0] for number in range(5)]
            assert codes[:2] == [550] * 2  # both checks run at once: the third may count already
            assert codes[3:] == [450] * 2
            assert session.rcpt("ana@example.net")[0] == 450


@pytest.mark.peers
def test_recipients_are_asked_of_postfix(tmp_path: Path) -> None:
    with postfix() as hop:
        domains = f'[[domains]]\nname = "example.net"\nrecipients = {{ callout = "smtp:127.0.0.1:{hop.port}" }}\ndeliver = "smtp:127.0.0.1:{hop.port}"\n'
        with running(tmp_path, domains=domains) as gate:
            with gate.talk(client="192.0.2.10") as session:
                session.mail("ann@good.example")
                assert session.rcpt("ana@example.net")[0] == 250
                assert session.rcpt("nobody@example.net")[0] == 550
                assert session.rcpt("ana+shop@example.net")[0] in (250, 550)
                session.data(mail("asked"))
            assert without_trace(hop.wait_for("ana@example.net")[0]) == mail("asked")
        with (
            running(tmp_path, domains=domains.replace(str(hop.port), "1")) as gate,
            gate.talk(client="192.0.2.10") as session,
        ):
            session.mail("ann@good.example")
            assert session.rcpt("ana@example.net")[0] == 450


def test_aliases_plus_addresses_forwards_and_postmaster(tmp_path: Path) -> None:
    domains = """
[[domains]]
name = "example.net"
recipients = ["ana@example.net", "ben@example.net"]
deliver = "maildir:mail"
aliases = { "team" = ["ana@example.net", "ben@example.net", "far@away.example"], "round@example.net" = "ana@example.net" }
[[domains]]
name = "away.example"
deliver = "maildir:mail"
"""
    with running(tmp_path, domains=domains) as gate:
        assert gate.send(mail("team"), "team@example.net")[0] == 250
        for address in ("ana@example.net", "ben@example.net", "far@away.example"):
            assert without_trace(gate.wait_for(address)[0]) == mail("team")
        assert gate.send(mail("plus"), "ben+shop@example.net")[0] == 250
        gate.wait_for("ben@example.net", 2)
        for who in ("postmaster", "PostMaster@EXAMPLE.net", "postmaster@away.example", "abuse@example.net"):
            assert gate.send(mail("pm"), who)[0] == 250, who
        assert gate.send(mail("nobody"), "nobody@example.net")[0] == 550
        assert gate.send(mail("relay"), "x@elsewhere.example")[0] == 550
        for trick in (
            "x%elsewhere.example@example.net",
            "@example.net:x@elsewhere.example",
            '"x@elsewhere.example"@example.net',
        ):
            assert gate.send(mail("relay"), trick)[0] >= 500, trick
        until(lambda: not gate.rows("queue", "list"), gate.log)


def test_loops_are_cut(tmp_path: Path) -> None:
    with running(tmp_path) as gate:
        code, text = gate.send(mail("hops", more=b"Received: from a by b; x\r\n" * 101))
        assert (code, text[:5]) == (554, "5.4.6")
        assert gate.send(mail("fine", more=b"Received: from a by b; x\r\n" * 20))[0] == 250
        assert gate.send(mail("again", more=b"Delivered-To: ana@example.net\r\n"))[0] == 250
        gate.wait_for("ana@example.net")
        until(
            lambda: any(
                "loop" in one["reason"].lower() for row in gate.rows("history") for one in row["deliveries"]
            ),
            gate.log,
        )
        assert len(gate.boxes("ana@example.net")) == 1


def test_several_verdicts_one_answer(tmp_path: Path) -> None:
    more = '[[policy.overrides]]\nrecipients = ["ben@example.net"]\nmode = "observe"\n'
    forged = mail("forged", author="ceo@strict.example")
    with running(tmp_path, more=more) as gate:
        code, text = gate.send(
            forged, "ana@example.net", "ben@example.net", sender="eve@plain.example", client="203.0.113.9"
        )
        assert code == 250
        gate.wait_for("ben@example.net")
        assert not gate.boxes("ana@example.net")
        [held] = gate.rows("quarantine", "list")
        assert (held["to"], held["ref"]) == ("ana@example.net", ref_in(text))
        assert (
            gate.send(forged, "ana@example.net", sender="eve@plain.example", client="203.0.113.9")[0] == 550
        )
        recipients = gate.story(text)["recipients"]
        assert {one["to"]: one["action"] for one in recipients} == {
            "ana@example.net": "quarantine",
            "ben@example.net": "deliver",
        }


class Lmtp(smtplib.LMTP):
    """LMTP over TCP with the replies for each recipient."""

    def deliver(self, sender: str, to: list[str], octets: bytes) -> list[tuple[int, bytes]]:
        self.docmd("LHLO mail.good.example")
        assert self.docmd(f"MAIL FROM:<{sender}>")[0] == 250
        taken = sum(self.docmd(f"RCPT TO:<{one}>")[0] == 250 for one in to)
        assert self.docmd("DATA")[0] == 354
        self.send(octets + b".\r\n")
        return [self.getreply() for _ in range(taken)]


def test_lmtp_answers_for_each_recipient(tmp_path: Path) -> None:
    more = '[[policy.overrides]]\nrecipients = ["ben@example.net"]\nmode = "observe"\n'
    listeners = '[[listeners]]\naddress = "127.0.0.1:0"\nrole = "lmtp"\n'
    forged = mail("forged", author="ceo@strict.example")
    with running(tmp_path, more=more, listeners=listeners) as gate:
        session = Lmtp("127.0.0.1", gate.ports["lmtp"])
        to = ["ana@example.net", "nobody@example.net", "ben@example.net"]
        first, second = session.deliver("eve@plain.example", to, forged)
        assert (first[0], second[0]) == (550, 250)
        session.quit()
        gate.wait_for("ben@example.net")
        assert not gate.boxes("ana@example.net")
        assert not gate.rows("quarantine", "list")


def test_behind_a_relay_of_ours_the_outer_client_is_judged(tmp_path: Path) -> None:
    received = b"Received: from mail.good.example (mail.good.example [%s])\r\n by mx1.example.net with ESMTP id 1;\r\n Tue, 24 Nov 2026 08:00:00 +0000\r\n"
    with running(tmp_path, trusted_relays='["127.0.0.1", "192.0.2.200"]') as gate:
        for address, result in ((b"192.0.2.10", "pass"), (b"203.0.113.9", "fail")):
            octets = received % address + mail(f"outer {result}", author="ann@good.example")
            code, text = gate.send(octets, client="")
            assert (code == 250) is (result == "pass"), text
            row = gate.story(text)
            assert row["authentication"]["spf"]["mail_from"]["result"] == result
            assert row["client"]["ip"] == address.decode()
        forged = received % b"203.0.113.9" + received % b"192.0.2.10" + mail("deeper")
        assert gate.send(forged, client="")[0] == 550


def test_partners_must_come_over_tls(tmp_path: Path) -> None:
    more = tls_for(tmp_path) + '[checks.tlsrequired]\ndomains = ["good.example"]\n'
    with running(tmp_path, more=more) as gate:
        code, text = gate.send(mail())
        assert (code, text[:6]) == (550, "5.7.10")
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with smtplib.SMTP("127.0.0.1", gate.port, local_hostname="mail.good.example") as session:
            session.starttls(context=context)
            session.sendmail("ann@good.example", "ana@example.net", mail())
        gate.wait_for("ana@example.net")
