"""The lab put together: every situation's names, hosts and policies, and one delivery in it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from lab_servers import Authorities, Identity, PolicyHosts, http, identity, policy, receiver, tlsa
from lab_situations import Host, Situation

from gatepost.dns.answer import Resolver
from gatepost.net.destinations import DestinationSettings
from gatepost.net.outbound import Outbound, OutboundSettings, Sent
from gatepost.net.stspolicies import Nothing, StsPolicies
from gatepost.smtp.client import Patience
from gatepost.smtp.sending import Outgoing, OutgoingRecipient
from gatepost.tlspolicy.mta_sts import StsKnown, StsMode, StsPolicy
from gatepost.tlspolicy.requirement import Wish
from gatepost.tlspolicy.tlsrpt import Session
from scripted_peer import Peer

MAIL = b"From: ana@gate.test\r\nTo: ben@there.test\r\nSubject: on the wire\r\n\r\nwords\r\n"
WAIVED = b"TLS-Required: No\r\n" + MAIL
POLICY_ADDRESS = "127.0.9.1"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@dataclass
class Placed:
    """One host of a situation, where and as what."""

    host: Host
    name: str
    end: str
    """What its aliases lead to; the name itself without any."""
    address: str
    shown: Identity
    peer: Peer | None


@dataclass
class Cast:
    """One situation with its hosts."""

    situation: Situation
    domain: str
    hosts: list[Placed]


@dataclass
class World:
    """All situations at once; only DNS is left to who opens it."""

    folder: Path
    situations: list[Situation]
    smtp_port: int = field(default_factory=free_port)
    web: PolicyHosts = field(default_factory=lambda: PolicyHosts(POLICY_ADDRESS))
    casts: dict[str, Cast] = field(default_factory=dict)
    records: dict[str, list[str]] = field(default_factory=dict)
    """By zone (``secure`` …, or the name of a zone cut): lines of a master file with absolute names."""
    cuts: dict[str, str] = field(default_factory=dict)
    """Zone cuts below, by name: bogus, lame or insecure."""

    def __post_init__(self) -> None:
        self.known = Authorities(self.folder)
        for number, situation in enumerate(self.situations):
            self._place(number, situation)

    def _place(self, number: int, situation: Situation) -> None:
        domain = f"{situation.name}.{situation.zone}.test"
        cast = self.casts[situation.name] = Cast(situation, domain, [])
        for index, host in enumerate(situation.hosts, 1):
            zone = host.zone or situation.zone
            name = f"mx{index}.{situation.name}.{zone}.test" if situation.mx else domain
            end = f"real{index}.{situation.name}.{host.alias_to}.test" if host.alias_to else name
            address = f"127.0.{20 + index}.{number + 1}"
            subject = {"host": name, "domain": domain, "end": end, "elsewhere": "elsewhere.test"}[
                host.certificate_for
            ]
            shown = identity(host.server, subject, self.known)
            peer = receiver(host.server, shown, address, self.smtp_port) if host.server != "none" else None
            placed = Placed(host, name, end, address, shown, peer)
            cast.hosts.append(placed)
            self._publish(situation, domain, placed)
        self._publish_policy(situation, domain, cast)

    def _say(self, zone: str, line: str) -> None:
        self.records.setdefault(zone, []).append(line)

    def _publish(self, situation: Situation, domain: str, placed: Placed) -> None:
        host = placed.host
        zone = host.zone or situation.zone
        if situation.mx:
            self._say(situation.zone, f"{domain}. 300 IN MX {host.preference} {placed.name}.")
        if host.alias_to:
            self._say(zone, f"{placed.name}. 300 IN CNAME {placed.end}.")
        self._say(host.alias_to or zone, f"{placed.end}. 300 IN A {placed.address}")
        at_end = host.tlsa_at == "end"
        base, base_zone = (placed.end, host.alias_to or zone) if at_end else (placed.name, zone)
        if host.tlsa_state:
            self.cuts[f"_tcp.{base}"] = host.tlsa_state
            base_zone = f"_tcp.{base}"
        for kind in host.tlsa:
            record = tlsa(kind, placed.shown, self.known)
            self._say(base_zone, f"_{self.smtp_port}._tcp.{base}. 300 IN TLSA {record}")

    def _publish_policy(self, situation: Situation, domain: str, cast: Cast) -> None:
        sts, web = situation.sts, f"mta-sts.{domain}"
        if not sts:
            return
        if situation.sts_record == "two":
            self._say(situation.zone, f'_mta-sts.{domain}. 300 IN TXT "v=STSv1; id=1;"')
            self._say(situation.zone, f'_mta-sts.{domain}. 300 IN TXT "v=STSv1; id=2;"')
        else:
            self._say(situation.zone, f'_mta-sts.{domain}. 300 IN TXT "{situation.sts_record}"')
        address = "127.0.9.2" if sts == "down" else POLICY_ADDRESS
        self._say(situation.zone, f"{web}. 300 IN A {address}")
        server = {"untrusted": "untrusted", "expired-certificate": "expired"}.get(sts, "good")
        shown = identity(server, "mta-sts.elsewhere.test" if sts == "wrong-name" else web, self.known)
        self.web.contexts[web] = shown.context()
        self.web.answers[web] = self._policy_answer(sts, domain, cast)

    def _policy_answer(self, sts: str, domain: str, cast: Cast) -> bytes:
        hosts = [one.name for one in cast.hosts]
        mode, _, which = sts.partition("-")
        if mode in ("enforce", "testing", "none"):
            named = {
                "": hosts,
                "others": ["mail.others.test"],
                "second": hosts[1:],
                "star": [f"*.{domain}"],
                "star-above": [f"*.{domain.partition('.')[2]}"],
                "domain": [domain],
            }[which]
            return http("200 OK", policy(mode, *named))
        good = policy("enforce", *hosts)
        return {
            "missing": http("404 Not Found", "nothing here"),
            "redirect": http("302 Found", "", more=f"Location: https://mta-sts.{domain}/elsewhere\r\n"),
            "html": http("200 OK", good, kind="text/html"),
            "huge": http("200 OK", good + "x: y\r\n" * 20_000),
            "nonsense": http("200 OK", "version: STSv1\r\nmode: strict\r\nmax_age: 1\r\n"),
        }.get(sts, http("200 OK", policy("enforce", "mail.others.test")))

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        """Every server up."""
        async with contextlib.AsyncExitStack() as stack:
            fallback = identity("untrusted", "fallback.test", self.known).context()
            await stack.enter_async_context(self.web.serve(fallback))
            for cast in self.casts.values():
                for placed in cast.hosts:
                    if placed.peer is not None:
                        await stack.enter_async_context(placed.peer.serve())
            yield self

    async def deliver(self, name: str, resolver: Resolver, **more: object) -> tuple[Sent, list[Session]]:
        """One message to one situation's domain, with nothing remembered but what the situation says."""
        cast = self.casts[name]
        situation = cast.situation
        sessions: list[Session] = []
        settings = OutboundSettings(
            trust_anchors=str(self.known.file),
            destinations=(
                DestinationSettings(domain=cast.domain, tls=Wish(situation.wish), names=situation.names),
            ),
        )
        sts = StsPolicies(
            resolver=resolver,
            clock=time.time,
            kept=Remembered(cast),
            trust_anchors=str(self.known.file),
            port=self.web.port,
        )
        out = Outbound(
            "gate.test",
            resolver,
            settings,
            Patience(tls_s=3.0),  # few hosts stay silent, and a busy machine is no silent host
            shuffle=lambda _: None,
            smtp_port=self.smtp_port,
            sts=sts,
            tally=sessions.append,
        )
        message = Outgoing(
            sender="ana@gate.test",
            recipients=(OutgoingRecipient(address=f"ben@{cast.domain}"),),
            octets=WAIVED if situation.message == "waived" else MAIL,
            require_tls=situation.message == "requiretls",
            tls_waived=situation.message == "waived",
        )
        try:
            return await out.send_to_domain(cast.domain, message), sessions
        finally:
            await out.close()


class Remembered(Nothing):
    """The policy that a situation says is remembered."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast

    def load(self, domain: str) -> StsKnown | None:
        situation = self.cast.situation
        if not situation.kept:
            return None
        over = situation.kept.endswith("!")
        policy = StsPolicy(
            mode=StsMode(situation.kept.rstrip("!")),
            max_age_s=86400,
            mx=tuple(one.name for one in self.cast.hosts),
        )
        fetched = time.time() - (100_000 if over else 1000)
        return StsKnown(policy=policy, policy_id=situation.kept_id, fetched_at=fetched)


def check(cast: Cast, sent: Sent, sessions: list[Session]) -> None:
    """Everything that a situation says must hold."""
    situation = cast.situation
    outcome = sent.outcomes[0]
    said = f"{situation.name}: {situation.says}: {outcome.words} / {sent.reason}"
    assert outcome.result.value == situation.result, said
    assert sent.tls_policy == situation.policy, said
    assert situation.words in f"{outcome.words} {sent.reason}", said
    if situation.status:
        assert outcome.status == situation.status, said
    taken = [bool(placed.peer and placed.peer.messages) for placed in cast.hosts]
    if situation.result == "delivered":
        assert taken == [number == situation.at for number in range(1, len(taken) + 1)], said
        assert sent.tls_verified is situation.verified, said
        assert (sent.tls_version is not None) is situation.encrypted, said
        assert sent.reason, said
    else:
        assert not any(taken), said
        envelopes = [
            line
            for one in cast.hosts
            if one.peer
            for line in one.peer.lines
            if line.startswith(("MAIL", "RCPT"))
        ]
        assert not envelopes, f"{said}: {envelopes}"
    found = [(one.policy.kind.value, one.failure.trouble.value if one.failure else "") for one in sessions]
    assert found == list(situation.report), f"{said}: {found}"
    assert all(one.policy.domain == cast.domain for one in sessions)


async def gathered(world: World, resolver: Resolver, names: list[str], at_once: int = 8) -> list[str]:
    """Deliver to all, and tell what is not as it must be."""
    room = asyncio.Semaphore(at_once)

    async def one(name: str) -> str:
        async with room:
            sent, sessions = await world.deliver(name, resolver)
        try:
            check(world.casts[name], sent, sessions)
        except AssertionError as wrong:
            return str(wrong)
        return ""

    return [words for words in await asyncio.gather(*map(one, names)) if words]
