"""Lists of what links lead to: asked like the lists of clients, about names, addresses and hashes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from gatepost.checks.content.linklists import SURBL, SurblSettings
from gatepost.checks.dnslists.hashing import hashed
from gatepost.checks.dnslists.health import HEALTH_KEY, plan
from gatepost.checks.dnslists.lists import Hash, LinkIdentity, LinkList
from gatepost.checks.registry import configure
from gatepost.mail.client import Mail
from gatepost.mail.finding import Finding, Mode
from gatepost.mail.message import Message
from gatepost.policy import PolicySettings, assemble, decide
from gatepost.scan.nothing import Nothing
from judging import World, mail, names

ZONE = """
evil.net.bl.example. A 127.0.0.2
evil.net.multi.surbl.org. A 127.0.0.72
tracker.net.multi.surbl.org. A 127.0.0.32
www.evil.net.hosts.example. A 127.0.0.2
9.113.0.203.ips.example. A 127.0.0.2
www.evil.net. A 203.0.113.9
evil.net.key.dbl.dq.spamhaus.net. A 127.0.1.255
"""


@dataclass
class Us(Nothing):
    own_domains: tuple[str, ...] = ("example.net",)


def with_text(text: str, *header: str) -> Mail:
    one = mail("From: Ana <ana@example.org>", *header)
    octets = b"From: Ana <ana@example.org>\r\n" + "".join(f"{line}\r\n" for line in header).encode()
    object.__setattr__(one, "message", Message.parse(octets + b"\r\n" + text.encode() + b"\r\n"))
    return one


def seen(one: Mail, *lists: LinkList, world: World | None = None, **more: object) -> list[Finding]:
    world = world or World(ZONE)
    world.people = Us()  # type: ignore[attr-defined]
    return list(asyncio.run(SURBL.run(one, world, SurblSettings(lists=lists, **more))))  # type: ignore[arg-type]


def hits(*args: object, **more: object) -> list[Finding]:
    return [one for one in seen(*args, **more) if one.name != "surbl.asked"]  # type: ignore[arg-type]


BL = LinkList(zone="bl.example")
EVIL = with_text("see http://www.evil.net/pay and http://www.example.net/ and https://www.google.com/x")


def test_the_registered_domain_is_asked_about() -> None:
    listed, asked = seen(EVIL, BL)
    assert listed.key == "surbl.listed:bl.example"
    assert listed.text == "evil.net is listed by bl.example"
    assert asked.evidence == {"lists": ["bl.example"]}


def test_well_known_bits_are_told_and_a_tracker_is_no_reproach() -> None:
    surbl = LinkList(zone="multi.surbl.org")
    (found,) = hits(EVIL, surbl)
    assert found.text == "evil.net is listed by multi.surbl.org (phishing and spam and abuse)"
    assert hits(with_text("http://tracker.net/"), surbl) == []
    only_malware = LinkList(zone="multi.surbl.org", codes={"&16": "malware"})
    assert hits(EVIL, only_malware) == []


def test_an_owners_error_answer_is_an_error() -> None:
    assert names(hits(EVIL, LinkList(zone="key.dbl.dq.spamhaus.net"))) == [
        "surbl.error:key.dbl.dq.spamhaus.net"
    ]
    assert names(hits(EVIL, LinkList(zone="bl.example", errors=("127.0.0.2",)))) == ["surbl.error:bl.example"]


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (LinkList(zone="hosts.example", identity=LinkIdentity.HOST), "http://www.evil.net/"),
        (LinkList(zone="ips.example", identity=LinkIdentity.IP), "http://203.0.113.9/"),
        (LinkList(zone="ips.example", identity=LinkIdentity.HOST_IP), "http://www.evil.net/"),
        (LinkList(zone="bl.example"), "https://www.google.com/url?q=https%3A%2F%2Fwww.evil.net%2F"),
    ],
)
def test_hosts_addresses_and_hidden_targets(one: LinkList, text: str) -> None:
    assert names(hits(with_text(text), one)) == [f"surbl.listed:{one.source}"]


@pytest.mark.parametrize("how", list(Hash))
def test_hashes(how: Hash) -> None:
    for identity, text in (
        (LinkIdentity.URL_HASH, "www.evil.net/pay?x=1"),
        (LinkIdentity.HOST_HASH, "www.evil.net"),
        (LinkIdentity.DOMAIN_HASH, "evil.net"),
        (LinkIdentity.ADDRESS_HASH, "boss@gmail.com"),
    ):
        world = World(f"{hashed(text, how)}.h.example. A 127.0.0.2")
        one = LinkList(zone="h.example", identity=identity, hash=how)
        (found,) = hits(
            with_text("http://www.evil.net/pay?x=1", "Reply-To: Boss@gmail.com"), one, world=world
        )
        assert text.lower() in found.text.lower()


def test_known_digests() -> None:
    assert hashed("abc", Hash.MD5) == "900150983cd24fb0d6963f7d28e17f72"
    assert hashed("abc", Hash.SHA1) == "a9993e364706816aba3e25717850c26c9cd0d89d"
    assert len(hashed("abc", Hash.SHA256_BASE32)) == 52


def test_a_message_cannot_make_us_ask_without_end_and_the_last_link_is_asked_about() -> None:
    text = " ".join([*(f"http://d{n}.com/" for n in range(300)), "http://evil.net/"])
    world = World(ZONE)
    asked: list[str] = []
    lookup = world.resolver.lookup

    class Counting:
        async def lookup(self, name: str, kind: str) -> object:
            asked.append(name)
            return await lookup(name, kind)

    world.resolver = Counting()  # type: ignore[assignment]
    assert names(hits(with_text(text), BL, world=world)) == ["surbl.listed:bl.example"]
    assert len(asked) <= 20


def test_out_of_service_off_and_never() -> None:
    world = World(ZONE)
    world.facts[HEALTH_KEY] = ('{"bl.example": {"in_service": false, "reason": "it lists the world"}}', 9e9)
    assert names(seen(EVIL, BL, world=world)) == ["surbl.out_of_service:bl.example"]
    assert seen(EVIL, LinkList(zone="bl.example", mode=Mode.OFF)) == []
    assert seen(EVIL, BL, never=("evil.net",)) == []


def test_the_probes_fit_the_list() -> None:
    def asked(one: LinkList) -> dict[str, bool]:
        return {each.label: each.listed for probes in plan(one).values() for each in probes}

    assert asked(BL) == {"test": True, "invalid": False}
    assert asked(LinkList(zone="multi.surbl.org")) == {"test.surbl.org": True, "invalid": False}
    assert asked(LinkList(zone="x.dbl.dq.spamhaus.net"))["dbltest.com"]
    assert "2.0.0.127" in asked(LinkList(zone="i.example", identity=LinkIdentity.IP))
    named = LinkList(zone="h.example", identity=LinkIdentity.DOMAIN_HASH, test_name="test.example")
    assert asked(named) == {hashed("test.example", Hash.SHA1): True, hashed("invalid", Hash.SHA1): False}
    assert asked(LinkList(zone="h.example", identity=LinkIdentity.DOMAIN_HASH)) == {
        hashed("invalid", Hash.SHA1): False
    }


def test_weight_and_mode_of_each_list() -> None:
    lists = (LinkList(zone="bl.example", mode=Mode.ENFORCE, weight=5.0), LinkList(zone="multi.surbl.org"))
    policy = assemble(PolicySettings(), configure({"surbl": SurblSettings(lists=lists)})).default
    assert decide(hits(EVIL, *lists), policy).score == 5.0


def test_settings_that_cannot_work_are_told() -> None:
    assert SURBL.problems is not None
    said = SURBL.problems(
        SurblSettings(lists=(LinkList(zone="a.example", codes={"&0": "x", "10.0.0.1": "y"}),))
    )
    assert len(said) == 2
    assert "'&0' of the list a.example" in said[0]
