"""May a host present a certificate now, as far as the DNS goes? Asked before a key changes, and of the key in use.

While TLSA records are published for a host, a certificate that fits none of them would make every DANE sender stop
(RFC 7672 §3.1.3, RFC 7671 §8.1).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gatepost.dns.answer import Resolver, Status
from gatepost.store import ownpolicies
from gatepost.store.database import Database
from gatepost.store.ownpolicies import KeyChange
from gatepost.tlspolicy.dane import in_use, judge, read_tlsa

TTL_LEAST_S = 300


@dataclass(slots=True, kw_only=True)
class TlsaGuard:
    """May a host present this certificate now, as far as the DNS goes?"""

    database: Database
    resolver: Resolver
    clock: Callable[[], float]

    async def problem(
        self,
        host: str,
        chain: Sequence[bytes],
        tlsa: str,
        *,
        instead_of: Sequence[bytes] = (),
        whose: str = "the next key",
    ) -> str:
        """Why not yet, one sentence; empty when it may. `chain`: DER, its own first; `tlsa`: the record for its key.

        `instead_of` is the chain in use: where it fits no published record either, there is nothing to lose.
        """
        now = self.clock()
        known = self.database.read(lambda connection: ownpolicies.key_change(connection, host))
        if known is not None and known.next_spki != tlsa:
            known = None
        answer = await self.resolver.lookup(tlsa_name(host), "TLSA")
        seen_since = known.seen_since if known else None
        ttl_s = max(answer.ttl_s, known.ttl_s if known else 0, TTL_LEAST_S)
        if answer.status is Status.FAILED:
            problem = f"{tlsa_name(host)} could not be looked up, and TLSA records may be there"
        elif answer.status is not Status.FOUND:
            problem, seen_since, ttl_s = "", None, 0
        elif (
            instead_of
            and not fits(instead_of, answer.records, host, now)
            and not fits(chain, answer.records, host, now)
        ):
            problem, seen_since = "", None
        elif not fits(chain, answer.records, host, now):
            problem, seen_since = (
                f"no TLSA record at {tlsa_name(host)} fits {whose}; publish {tlsa}",
                None,
            )
        else:
            seen_since = now if seen_since is None else seen_since
            left = seen_since + 2 * ttl_s - now
            problem = ""
            if left > 0:
                problem = f"the TLSA record for the next key has not been published for long enough; {left:.0f} s are left"
        change = KeyChange(
            name=host, next_spki=tlsa, seen_since=seen_since, ttl_s=ttl_s, checked_at=now, problem=problem
        )
        await self.database.commit(lambda connection: ownpolicies.put_key_change(connection, change))
        return problem


def fits(chain: Sequence[bytes], records: Sequence[str], host: str, now: float) -> bool:
    """Would a DANE sender be content with this chain?"""
    return judge(chain, in_use(read_tlsa(records)), names=(host,), now=now) is None


def tlsa_name(host: str) -> str:
    """Where the records for our MX stand (RFC 7672 §2.2.3)."""
    return f"_25._tcp.{host}"
