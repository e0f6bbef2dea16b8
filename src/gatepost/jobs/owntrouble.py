"""What a person should know of our own keys, certificates and policies. Pure, but for what is read from the store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from gatepost.jobs.concerns import Concern, Level
from gatepost.mailauth.keylife import KeyFacts, KeyState
from gatepost.mailauth.keyrecord import key_name
from gatepost.store import ownpolicies, signingkeys
from gatepost.store.database import Connection
from gatepost.store.ownpolicies import KeyChange, OwnPolicy

RENEW_KEY = "jobs:renew-certificates"
"""A person asks for new certificates, by `ASKED`."""
ACCOUNT_KEY = "jobs:change-account-key"
"""A person asks for a new key of our account at the authority, by the same."""
ASKED = "asked"
PROBLEMS_KEY = "jobs:problems:"
"""What the rounds found wrong; the name of the round follows."""
PROBLEMS_KEPT_S = 3 * 3600.0
IN_USE = "the key in use"
"""How a problem names the key that we present now."""
UNPUBLISHED_S = 2 * 86_400.0
"""A key that was made so long ago should be published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSideFacts:
    """What a look found."""

    keys: Sequence[KeyFacts] = ()
    changes: Sequence[KeyChange] = ()
    policies: Mapping[str, OwnPolicy] | None = None
    certificate_problems: Mapping[str, str] | None = None
    policy_problems: Mapping[str, str] | None = None
    people_problems: Mapping[str, str] | None = None


def own_side_facts(connection: Connection, remembered: Mapping[str, str]) -> OwnSideFacts:
    """One look at the tables; `remembered`: what the jobs have written down."""
    return OwnSideFacts(
        keys=signingkeys.listed(connection),
        changes=ownpolicies.key_changes(connection),
        policies=ownpolicies.policies(connection),
        certificate_problems=read_problems(remembered, "certificates"),
        policy_problems=read_problems(remembered, "policies"),
        people_problems=read_problems(remembered, "people"),
    )


def read_problems(remembered: Mapping[str, str], round_name: str) -> dict[str, str]:
    """What a round found wrong, by name; nothing readable is nothing."""
    try:
        return msgspec.json.decode(remembered.get(PROBLEMS_KEY + round_name, "{}"), type=dict[str, str])
    except msgspec.MsgspecError:
        return {}


def own_concerns(facts: OwnSideFacts, now: float) -> Iterator[Concern]:
    """Everything that wants a person."""
    yield from of_keys(facts.keys, now)
    for name, problem in sorted((facts.certificate_problems or {}).items()):
        yield Concern(
            f"certificate-renewal:{name}",
            Level.WARNING,
            f"{problem.rstrip('.')}.",
            "gatepost cert status tells more; gatepost cert renew tries again at once.",
        )
    for change in facts.changes:
        if change.problem:
            now_refused = IN_USE in change.problem
            yield Concern(
                f"tlsa:{change.name}",
                Level.CRITICAL if now_refused else Level.WARNING,
                f"DANE, {change.name}: {change.problem}.",
                "Senders that honour DANE do not deliver to us: correct the records, gatepost cert records prints them."
                if now_refused
                else "gatepost cert records prints what to publish; until then the certificate does not change.",
            )
    yield from of_people(facts.people_problems or {})
    for domain, problem in sorted((facts.policy_problems or {}).items()):
        policy = (facts.policies or {}).get(domain)
        binding = policy is not None and policy.mode == "enforce"
        yield Concern(
            f"mta-sts:{domain}",
            Level.CRITICAL if binding else Level.WARNING,
            f"The MTA-STS policy of {domain} ({policy.mode if policy else 'none'}): {problem}.",
            "Senders that honour it may hold mail back until that is right." if binding
            else f"It does not become binding before that is right: gatepost dns {domain}.",
        )  # fmt: skip


def of_people(problems: Mapping[str, str]) -> Iterator[Concern]:
    """Accounts do not follow the directory: whoever left there may still come in here."""
    for problem in problems.values():
        yield Concern(
            "people",
            Level.WARNING,
            f"Accounts do not follow the directory: {problem.rstrip('.')}.",
            "gatepost user sync --dry-run tells what it would do now; gatepost user disable shuts somebody out at once.",
        )


def of_keys(keys: Sequence[KeyFacts], now: float) -> Iterator[Concern]:
    """Nothing signs, or a key waits for its record."""
    for domain in sorted({one.domain for one in keys}):
        own = [one for one in keys if one.domain == domain]
        if not any(one.state is KeyState.SIGNING for one in own):
            yield Concern(
                f"unsigned:{domain}",
                Level.WARNING,
                f"Nothing signs the mail of {domain}: none of its keys is published.",
                f"gatepost key records {domain} prints what to publish; then gatepost key check {domain}.",
            )
    for one in keys:
        if one.state is KeyState.CREATED and now - one.since > UNPUBLISHED_S:
            yield Concern(
                f"unpublished:{key_name(one.domain, one.selector)}",
                Level.WARNING,
                f"The key {key_name(one.domain, one.selector)} waits to be published: {one.problem or 'not looked up yet'}.",
                f"gatepost key records {one.domain} prints the record.",
            )
