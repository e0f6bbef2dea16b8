"""Who our recipients are and where each one's mail ends up: lists, files, aliases, plus addresses, callouts.

It answers `tools.Recipients` at RCPT TO and expands an accepted address into the final ones. postmaster
is always taken (RFC 5321 §4.5.1). It leaves out mailing lists.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from gatepost.delivery.routes import AskedOf, Domain, Everyone, Listed, ListedIn, Routes, read_address
from gatepost.mail.address import Address
from gatepost.smtp.sending import Hop
from gatepost.smtp.sending import Protocol as Speaks
from gatepost.tools import RecipientAnswer, Standing

_LOG = logging.getLogger("gatepost.delivery")
_FILE_LOOK_S = 3.0
_FILE_MOST_OCTETS = 64 << 20
_EXPANSIONS_MOST = 500
_DEPTH_MOST = 10
_HOPS_MOST = 20
_WAY = frozenset("%!@")


class Rewritten(Protocol):
    """What the directory needs of `delivery.forwarding.Forwarding`."""

    def claims(self, address: Address) -> bool:
        """Does it say that it is a sender we rewrote?"""
        ...

    def bounce_for(self, address: Address) -> Address | None:
        """Whom mail to it is for; None when we did not make it, or it has ended."""
        ...


class Callout(Protocol):
    """What the directory needs of `net.callout.RecipientCallout`."""

    async def ask(self, hop: Hop, address: Address) -> RecipientAnswer:
        """Would that host take mail for this address?"""
        ...


@dataclass(slots=True)
class _ListFile:
    path: Path
    looked_at: float = float("-inf")
    stamp: tuple[int, int] | None = None
    addresses: dict[str, Address] | None = None
    """None until it could be read once."""


@dataclass(slots=True)
class Directory:
    """All recipients of all our domains. Raises ValueError when made of aliases that lead nowhere."""

    routes: Routes
    clock: Callable[[], float]
    """Seconds of any epoch: how often list files are looked at."""
    callout: Callout | None = None
    postmaster: Address | None = None
    """Who reads postmaster@ and abuse@ every domain that does not say otherwise."""
    rewritten: Rewritten | None = None
    """Knows the senders of forwarded mail that we rewrote."""
    _files: dict[Path, _ListFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for domain in self.routes.domains:
            for key in domain.aliases:
                start = Address(key.rpartition("@")[0] or "*", domain.name)
                if not list(
                    self._follow(start if key != "*" else None, domain.aliases[key], domain, frozenset(), 0)
                ):
                    raise ValueError(f"domain {domain.name}: alias {key} leads only back to itself")

    async def find(self, address: Address) -> RecipientAnswer:
        """Is it a recipient of ours?"""
        domain = self._domain(address)
        if domain is None:
            return RecipientAnswer(Standing.NOT_OURS, f"{address.domain} is not one of our domains")
        if address.key in self.routes.robots:
            return RecipientAnswer(Standing.KNOWN, f"{address} is an address that the gate reads itself")
        if self._alias(domain, address) or self._is_role(domain, address):
            return RecipientAnswer(Standing.KNOWN, f"{address} is a recipient")
        if self._may_be_rewritten(domain, address):
            assert self.rewritten is not None
            if self.rewritten.bounce_for(address) is None:
                return RecipientAnswer(Standing.UNKNOWN, f"{address} is not a sender that we rewrote of late")
            return RecipientAnswer(
                Standing.KNOWN, f"{address} stands for the sender of mail that we sent on", only_bounces=True
            )
        if _routed(address) and not self._is_listed(domain, address):
            return RecipientAnswer(
                Standing.UNKNOWN, f"{address} asks to be sent on elsewhere, which we do not do"
            )
        match domain.recipients:
            case Everyone():
                return RecipientAnswer(Standing.KNOWN, f"everyone at {domain.name} is a recipient")
            case AskedOf(hop):
                if self.callout is None:
                    return RecipientAnswer(Standing.UNSURE, "nobody can be asked whether it is a recipient")
                return await self.callout.ask(hop, self._own(domain, address))
        listed = self._listed(domain)
        if listed is None:
            return RecipientAnswer(Standing.UNSURE, f"the list of recipients of {domain.name} cannot be read")
        if any(one.key in listed for one in _with_base(domain, address)) or "*" in domain.aliases:
            return RecipientAnswer(Standing.KNOWN, f"{address} is a recipient")
        return RecipientAnswer(Standing.UNKNOWN, f"there is no {address}")

    def expand(self, address: Address) -> tuple[str, ...]:
        """The final addresses of a known recipient, each once; never empty, at most 500."""
        found: dict[str, str] = {}
        for final in self._final(address, frozenset(), 0):
            found.setdefault(final.key, str(final))
            if len(found) >= _EXPANSIONS_MOST:
                break
        return tuple(found.values()) or (str(address),)

    def next_hops(self, address: Address) -> tuple[str, ...]:
        """The hosts behind us that its mail goes to; none when a copy goes into a Maildir or to somebody else's domain."""
        hops: dict[str, None] = {}
        for final in self._final(address, frozenset(), 0):
            where = self.routes.destination(final)
            if not isinstance(where, Hop) or len(hops) >= _HOPS_MOST:
                return ()
            hops[str(where)] = None
        return tuple(hops)

    def _final(self, address: Address, seen: frozenset[str], depth: int) -> Iterator[Address]:
        domain = self._domain(address)
        if domain is None or address.key in self.routes.robots:
            yield address
            return
        targets = self._alias(domain, address)
        sender = None
        if self.rewritten is not None and not targets and self._may_be_rewritten(domain, address):
            sender = self.rewritten.bounce_for(address)
        if sender is not None:
            yield sender
            return
        if targets is None and not self._is_listed(domain, address):
            if self._is_role(domain, address):
                role = self._role_reader(domain, address)
                targets = None if role.key == address.key else (role,)
            elif not isinstance(domain.recipients, Everyone | AskedOf):
                targets = domain.aliases.get("*")
        if targets is None:
            yield self._own(domain, address)
        else:
            yield from self._follow(address, targets, domain, seen, depth)

    def _follow(
        self,
        address: Address | None,
        targets: tuple[Address, ...],
        domain: Domain,
        seen: frozenset[str],
        depth: int,
    ) -> Iterator[Address]:
        """The ends of an alias; one that names itself means its own mailbox, a longer circle is cut."""
        here = frozenset(one.key for one in _with_base(domain, address)) if address else frozenset()
        for target in targets:
            if target.key in here:
                yield self._own(domain, target)
            elif target.key not in seen and depth < _DEPTH_MOST:
                yield from self._final(target, seen | here | {target.key}, depth + 1)

    def _domain(self, address: Address) -> Domain | None:
        if not address.domain:  # <postmaster>
            return self.routes.domains[0] if self.routes.domains else None
        return self.routes.find(address.domain)

    def _alias(self, domain: Domain, address: Address) -> tuple[Address, ...] | None:
        for one in _with_base(domain, address):
            targets = domain.aliases.get(one.key)
            if targets is not None:
                return targets
        return None

    def _may_be_rewritten(self, domain: Domain, address: Address) -> bool:
        """Does it look like a sender that we rewrote? A mailbox that is listed under such a name is one."""
        claims = self.rewritten is not None and self.rewritten.claims(address)
        return claims and not self._is_listed(domain, address)

    def _is_role(self, domain: Domain, address: Address) -> bool:
        local = address.local.lower()
        return local == "postmaster" or (local == "abuse" and domain.abuse)

    def _role_reader(self, domain: Domain, address: Address) -> Address:
        """Who reads it: as set, else its own mailbox where everyone has one, else the first listed recipient."""
        chosen = domain.postmaster or self.postmaster
        if chosen is not None:
            return chosen
        listed = {} if isinstance(domain.recipients, Everyone | AskedOf) else self._listed(domain) or {}
        own = Address(address.local, address.domain or domain.name.removeprefix("."))
        return next(iter(listed.values()), own)

    def _is_listed(self, domain: Domain, address: Address) -> bool:
        listed = self._listed(domain) if isinstance(domain.recipients, Listed | ListedIn) else None
        return bool(listed) and any(one.key in (listed or {}) for one in _with_base(domain, address))

    def _own(self, domain: Domain, address: Address) -> Address:
        """The mailbox itself. The detail of a plus address goes along only over LMTP, whose server files by it."""
        if not address.domain:
            address = Address(address.local, domain.name.removeprefix("."))
        if isinstance(domain.destination, Hop) and domain.destination.protocol is Speaks.LMTP:
            return address
        listed = self._listed(domain) if isinstance(domain.recipients, Listed | ListedIn) else None
        whole, *base = _with_base(domain, address)
        if listed and whole.key in listed:
            return listed[whole.key]
        last = base[0] if base else whole
        return (listed or {}).get(last.key, last)

    def _listed(self, domain: Domain) -> dict[str, Address] | None:
        """The recipients by key; None when the file was never readable."""
        if isinstance(domain.recipients, Listed):
            return domain.recipients.addresses
        if not isinstance(domain.recipients, ListedIn):
            return {}
        path = domain.recipients.path
        known = self._files.setdefault(path, _ListFile(path))
        now = self.clock()
        if now - known.looked_at >= _FILE_LOOK_S:
            known.looked_at = now
            _refresh(known, domain.name)
        return known.addresses


def _routed(address: Address) -> bool:
    """Does the local part itself name a way (``user%host``, ``host!user``, ``"user@host"``)?

    A next hop that trusts us might follow it, and the two of us would be an open relay.
    """
    return not _WAY.isdisjoint(address.local)


def _with_base(domain: Domain, address: Address) -> tuple[Address, ...]:
    """The address, then what it is without the detail of a plus address (RFC 5233 §1)."""
    if not domain.plus:
        return (address,)
    base, separator, _ = address.local.partition(domain.plus)
    return (address, Address(base, address.domain)) if separator and base else (address,)


def _refresh(known: _ListFile, domain: str) -> None:
    """Read the file again if it changed; what was known stays when it cannot be read."""
    try:
        state = known.path.stat()
        stamp = (state.st_mtime_ns, state.st_size)
        if stamp == known.stamp:
            return
        if state.st_size > _FILE_MOST_OCTETS:
            raise OSError(f"it has {state.st_size} octets")
        text = known.path.read_text("utf-8")
    except (OSError, ValueError) as error:
        _LOG.warning("the recipients in %s cannot be read, those known stay: %s", known.path, error)
        return
    addresses: dict[str, Address] = {}
    for number, line in enumerate(text.splitlines(), 1):
        written = line.partition("#")[0].strip()
        if not written:
            continue
        try:
            address = read_address(written, domain)
        except ValueError:
            _LOG.warning("%s line %d is not an address", known.path, number)
            continue
        addresses[address.key] = address
    known.stamp, known.addresses = stamp, addresses
