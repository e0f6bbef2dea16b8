"""Legal holds in the officer's hands: data about an address or a domain that nobody deletes until the hold is released."""

from __future__ import annotations

from gatepost.access.rights import Actor, Right
from gatepost.mail.address import normal_domain, parse_address
from gatepost.office.office import Impossible, Office
from gatepost.store import holds
from gatepost.store.holds import LegalHold


def listed(office: Office, actor: Actor, *, released: bool = False) -> list[LegalHold]:
    """Those in force, the newest first; or all. Raises NotAllowed."""
    if not (actor.may(Right.PRIVACY) or actor.may(Right.JOURNAL)):
        office.insist(actor, Right.PRIVACY)
    return office.store.database.read(lambda c: holds.listed(c, released=released))


async def hold(
    office: Office,
    actor: Actor,
    whom: str,
    *,
    reason: str,
    case_number: str = "",
    since: float | None = None,
    until: float | None = None,
    ends_at: float | None = None,
) -> int:
    """Keep everything about an address, or about ``@domain``, from deletion; the number of the hold.

    Raises NotAllowed, or Impossible for what is no address or domain, without a reason, or with times the wrong way round.
    """  # fmt: skip
    office.insist(actor, Right.PRIVACY)
    address, domain = _address_or_domain(whom)
    if not reason.strip():
        raise Impossible("A hold takes a reason.")
    if since is not None and until is not None and since >= until:
        raise Impossible("The time begins after it ends.")
    if ends_at is not None and ends_at <= office.clock():
        raise Impossible("The hold would be over already.")
    one = LegalHold(
        domain=domain, address=address, since=since or 0.0, until=until or holds.ALWAYS, reason=reason.strip()[:500],
        case_number=case_number.strip()[:60], ends_at=ends_at,
    )  # fmt: skip
    return await office.store.database.commit(lambda c: holds.add(c, one, office.why(actor)))


async def release(office: Office, actor: Actor, number: int, *, reason: str) -> LegalHold:
    """End a hold: retention goes on. Raises NotAllowed, ProveAgain, or Impossible when there is none in force, or no reason."""
    office.insist(actor, Right.PRIVACY)
    office.insist_on_proof(actor)
    if not reason.strip():
        raise Impossible("Releasing a hold takes a reason.")
    gone = await office.store.database.commit(
        lambda c: holds.release(c, number, office.why(actor, reason.strip()[:500]))
    )
    if gone is None:
        raise Impossible("There is no such hold in force.")
    return gone


def insist_on_no_hold(office: Office, address: str) -> None:
    """Raises Impossible while a hold is in force over this address."""
    found = office.store.database.read(lambda c: holds.concerning(c, address))
    if found:
        raise Impossible(
            f"A legal hold is in force over {found[0].whom}: it must be released first, or nothing may be deleted."
        )


def _address_or_domain(whom: str) -> tuple[str, str]:
    text = whom.strip().strip("<>").lower()
    if "@" in text.lstrip("@"):
        one = parse_address(text, smtputf8=True)
        if one is not None:
            return str(one).lower(), one.domain
    domain = normal_domain(text.removeprefix("@"))
    if domain is None or "." not in domain:
        raise Impossible("A hold is over a whole address, or over a domain such as @example.net.")
    return "", domain
