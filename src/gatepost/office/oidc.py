"""Signing in to the console by the identity provider: the browser goes there and comes back with a code.

Whoever has not shown the provider more than a password gives a one-time code of ours besides. The flow's token belongs into a
cookie of that browser (SameSite=Lax: it comes back from another site), and the page that answers the provider must not
redirect: a cookie with SameSite=Strict is not sent along a chain that another site began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pysqlite3 import dbapi2

from gatepost.access import codes, oidc, tokens
from gatepost.access.oidc import Flow, Identity, NotProved
from gatepost.access.rights import ADMINISTRATORS, Actor, Right
from gatepost.access.standing import Strength
from gatepost.office import second, throttle
from gatepost.office.charge import there
from gatepost.office.office import Impossible, Office
from gatepost.office.provider import Provider
from gatepost.office.sessions import Admitted, SignInRefused, Visitor, enter, fresh, origin, record, settled
from gatepost.office.tidings import Tiding, tell
from gatepost.store import accounts, identities, signins
from gatepost.store.accounts import Account
from gatepost.store.database import Connection
from gatepost.tools import Unavailable

KIND, CODE_KIND = "provider", "provider-code"
TRIES = 5
"""Wrong codes after which one must begin anew."""
OVER = "This took too long, or was finished before: begin again."
NOT_HERE = "The identity provider's account does not belong to one here: ask whoever looks after people."
MORE = (
    "The identity provider asked for a password alone, and this account has no one-time codes here. Sign in with a passkey,"
    " or ask for an enrolment link."
)


@dataclass(frozen=True, slots=True)
class Begun:
    """Where to send the browser, and what it must bring back in a cookie."""

    url: str
    flow: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CodeWanted:
    """The provider proved a password alone: a one-time code of ours comes besides."""

    pending: str = field(repr=False)
    """For a hidden field of the form."""


async def begin(
    office: Office,
    provider: Provider,
    *,
    visitor: Visitor,
    redirect_uri: str,
    hint: str = "",
    anew: bool = False,
) -> Begun:
    """Begin a sign-in; `redirect_uri` is the console's page that `finish` is called for. Raises SignInRefused.

    `anew`: whoever is signed in there must prove it there once more, as before a sensitive act.
    """
    try:
        about = await provider.metadata()
    except Unavailable as why:
        raise SignInRefused(f"The identity provider cannot be asked now: {why}.") from None
    flow, kept = fresh(office), Flow(fresh(office), fresh(office), fresh(office), anew)
    await _keep(office, flow, visitor, kept.octets(), kind=KIND)
    url = oidc.authorization_url(
        about.authorization_endpoint, provider.settings, kept, redirect_uri, hint=hint[:320]
    )
    return Begun(url, flow)


async def finish(
    office: Office,
    provider: Provider,
    flow: str,
    query: Mapping[str, str],
    *,
    visitor: Visitor,
    redirect_uri: str,
) -> Admitted | CodeWanted:
    """The browser came back: `flow` from its cookie, `query` from the address. Raises SignInRefused."""
    kept = await _take(office, flow, KIND)
    if kept is None:
        raise SignInRefused(OVER)
    try:
        under_way = Flow.read(kept[1])
        identity = await _identity(office, provider, under_way, query, redirect_uri)
    except NotProved as why:
        await _refuse(office, 0, visitor, str(why))
        raise SignInRefused("The identity provider's answer proves nothing: begin again.") from None
    except Unavailable as why:
        await _refuse(office, 0, visitor, str(why))
        raise SignInRefused(f"The identity provider cannot be asked now: {why}.") from None
    account = await office.store.database.commit(lambda connection: _account(connection, office, identity))
    if account is None:
        await _refuse(office, 0, visitor, f"nobody here is {identity.address or identity.subject}")
        raise SignInRefused(NOT_HERE)
    if identity.more_than_password:
        return await _let_in(office, account, visitor, identity.proved_at)
    if not account.has_codes or account.roles & ADMINISTRATORS:
        await _refuse(office, account, visitor, "the identity provider asked for a password alone")
        raise SignInRefused(MORE)
    pending = fresh(office)
    await _keep(office, pending, visitor, b"0", kind=CODE_KIND, account=account.id)
    return CodeWanted(pending)


async def finish_with_code(
    office: Office, pending: str, code: str, *, visitor: Visitor
) -> Admitted | CodeWanted:
    """The code that `CodeWanted` asked for; a wrong one may be tried again a few times. Raises SignInRefused."""
    kept = await _take(office, pending, CODE_KIND)
    account = (
        office.store.database.read(lambda connection: accounts.find(connection, id=kept[0])) if kept else None
    )
    if kept is None or account is None or account.seed is None or account.seal is None:
        raise SignInRefused(OVER)
    charged = await throttle.charge(office, account.login, account, visitor)
    seed = office.store.keys.open(accounts.sealed_as(account.id), account.seal, account.seed)
    step = codes.fitting_step(seed, code, now=office.clock(), after=account.seed_step)

    def work(connection: Connection) -> bool:
        if step is None or not accounts.take_step(connection, account.id, step):
            return False
        throttle.refund(connection, charged)
        return True

    if await office.store.database.commit(work):
        return await _let_in(office, account, visitor, office.clock())
    await _refuse(office, account, visitor, "wrong code after the identity provider", counted=True)
    tried = int(kept[1]) + 1
    if tried >= TRIES:
        raise SignInRefused("This code is wrong, too: begin again.")
    again = fresh(office)
    await _keep(office, again, visitor, str(tried).encode(), kind=CODE_KIND, account=account.id)
    return CodeWanted(again)


async def link(
    office: Office, actor: Actor, login: str, issuer: str, subject: str, *, reason: str = ""
) -> None:
    """Say by hand who somebody is at the provider, in place of whoever they were there before.

    Raises NotAllowed, Impossible when the identity is another account's.
    """
    office.insist(actor, Right.PEOPLE)
    office.insist_on_person(actor)

    def allowed(connection: Connection) -> Account:
        account = there(connection, login)
        if account.roles & ADMINISTRATORS:
            office.insist(actor, Right.ROLES)
            office.insist_on_proof(actor)
        return account

    about = office.store.database.read(allowed)
    told = f"{subject} at {issuer}"
    await second.insist(office, actor, f"identity {about.login}: {told}", about=about, reason=reason)

    def work(connection: Connection) -> None:
        account = allowed(connection)
        owner = identities.account_of(connection, issuer, subject)
        if owner is not None and owner.id != account.id:
            raise Impossible(f"This identity is {owner.login}'s already.")
        identities.unlink(connection, account.id)
        identities.link(connection, issuer, subject, account.id, at=office.clock())
        tell(connection, office, account, Tiding.IDENTITY, by=actor.who, what=told)
        why = f"{told}; {reason}" if reason else told
        record(connection, office, account, who=actor.who, what=f"account identity {account.login}", why=why)

    await office.store.database.commit(work)


async def unlink(office: Office, actor: Actor, login: str, *, reason: str = "") -> bool:
    """The provider's word counts for this account no more, until somebody is linked to it anew; False when it did not.

    Raises NotAllowed, Impossible.
    """
    office.insist(actor, Right.PEOPLE)

    def work(connection: Connection) -> bool:
        account = there(connection, login)
        if not identities.unlink(connection, account.id):
            return False
        record(
            connection,
            office,
            account,
            who=actor.who,
            what=f"account identity {account.login} removed",
            why=reason,
        )
        return True

    return await office.store.database.commit(work)


async def _identity(
    office: Office, provider: Provider, flow: Flow, query: Mapping[str, str], redirect_uri: str
) -> Identity:
    """Raises NotProved, Unavailable."""
    about = await provider.metadata()
    code = oidc.answered(query, flow, provider.settings.issuer, says_issuer=about.says_issuer)
    answer = await provider.exchange(code, flow.verifier, redirect_uri)
    token, access = answer.get("id_token"), answer.get("access_token")
    if not isinstance(token, str):
        raise NotProved("the provider gave no ID token")
    claims = await provider.claims(token)
    identity = oidc.identity_of(
        claims, provider.settings, nonce=flow.nonce, now=office.clock(), anew=flow.anew
    )
    if identity.address or not isinstance(access, str) or not access.isascii() or not access.isprintable():
        return identity
    more = await provider.userinfo(access)
    if more.get("sub") != identity.subject:  # Core §5.3.2
        return identity
    return replace(identity, address=oidc.named(more, provider.settings.link_claims))


def _account(connection: Connection, office: Office, identity: Identity) -> Account | None:
    """Whose identity it is; found by a verified address the first time, and by the provider's number from then on."""
    known = identities.account_of(connection, identity.issuer, identity.subject)
    if known is not None or not identity.address:
        return known
    account = accounts.find(connection, login=identity.address) or accounts.owner_of(
        connection, identity.address
    )
    if account is None or not account.usable or account.roles & ADMINISTRATORS:
        return None
    try:
        identities.link(connection, identity.issuer, identity.subject, account.id, at=office.clock())
    except dbapi2.IntegrityError:  # the account is somebody else's there
        return None
    record(
        connection, office, account, what="account identity", why=f"{identity.subject} at {identity.issuer}"
    )
    return account


async def _let_in(office: Office, account: Account, visitor: Visitor, proved_at: float) -> Admitted:
    """What takes a fresh proof takes one that the person made then, not the provider's memory of an older one."""
    token, device = fresh(office), fresh(office)

    def work(connection: Connection) -> Admitted | str:
        entered = enter(
            connection, office, account.id, Strength.PROVIDER, visitor, token=token, device=device
        )
        signins.set_proved(connection, tokens.digest(token), proved_at)
        return entered

    return settled(await office.store.database.commit(work))


async def _keep(
    office: Office, token: str, visitor: Visitor, value: bytes, *, kind: str, account: int = 0
) -> None:
    now = office.clock()

    def work(connection: Connection) -> None:
        signins.challenge(
            connection, tokens.digest(token), kind=kind, account=account, network=visitor.network, value=value, now=now,
            expires_at=now + office.access.challenge_s,
        )  # fmt: skip

    await office.store.database.commit(work)


async def _take(office: Office, token: str, kind: str) -> tuple[int, bytes] | None:
    """Account and value of what was kept, once."""
    found = await office.store.database.commit(
        lambda connection: signins.take_challenge(
            connection, tokens.digest(token), kind=kind, now=office.clock()
        )
    )
    return (found.account, found.value) if found is not None else None


async def _refuse(
    office: Office, account: Account | int, visitor: Visitor, why: str, *, counted: bool = False
) -> None:
    """Note a failure, and count it unless it was: too many from there leave nothing behind. Raises SignInRefused then."""
    if not counted:
        whose = account if isinstance(account, Account) else None
        await throttle.charge(office, whose.login if whose else KIND, whose, visitor)

    def work(connection: Connection) -> None:
        if isinstance(account, Account):
            signins.note(
                connection, account.id, at=office.clock(), how=why, succeeded=False, network=visitor.network,
                agent=visitor.program,
            )  # fmt: skip
        record(connection, office, account, what="sign-in failed", why=origin(visitor, why))

    await office.store.database.commit(work)
