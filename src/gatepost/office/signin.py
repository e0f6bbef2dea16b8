"""Signing in: by passkey; by password and code; by recovery code or enrolment link, which lead to enrolment only.

Nothing signs in with a password alone. An account that is not there costs the same work as a wrong password, is
counted the same and hears the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gatepost.access import codes, passwords, tokens
from gatepost.access.standing import Admission, Strength
from gatepost.office import hashing, passkeys, throttle
from gatepost.office.office import Office
from gatepost.office.passkeys import Asked, RelyingParty
from gatepost.office.sessions import (
    Admitted,
    SignInRefused,
    Visit,
    Visitor,
    enter,
    fresh,
    normal_login,
    origin,
    record,
    renew,
    settled,
    visit_of,
)
from gatepost.office.throttle import Charged
from gatepost.store import accounts, signins
from gatepost.store.accounts import Account, Passkey
from gatepost.store.database import Connection

WRONG = "Login, password and code do not fit together."
NO_SEED = bytes(codes.SEED_OCTETS)


class PasswordSource(Protocol):
    """Somewhere else that passwords are kept, such as a directory."""

    async def matches(self, login: str, account: Account | None, password: str) -> bool:
        """Is it the password? Without an account: nobody's, at the same cost. Raises SignInRefused when it cannot say."""
        ...


async def passkey_options(office: Office, party: RelyingParty, *, visitor: Visitor) -> Asked:
    """What a browser is asked to sign in with a passkey: the same whoever it is."""
    return await passkeys.ask_to_sign_in(office, party, visitor.network)


async def by_passkey(
    office: Office, party: RelyingParty, flow: str, answer: str, *, visitor: Visitor
) -> Admitted:
    """Sign in with a passkey. Raises SignInRefused. No wait is ever asked for: there is nothing to guess."""
    challenge = await passkeys.take(office, flow, kind="sign-in", account=0)
    account, passkey, uses = await _proved(office, party, answer, challenge, visitor)
    token, device = fresh(office), fresh(office)

    def work(connection: Connection) -> Admitted | str:
        used = accounts.used_passkey(
            connection, passkey.id, before=passkey.uses, uses=uses, at=office.clock()
        )
        if not used:
            return passkeys.NOT_PROVED
        return enter(connection, office, account.id, Strength.PASSKEY, visitor, token=token, device=device)

    return settled(await office.store.database.commit(work))


async def by_password(
    office: Office,
    login: str,
    password: str,
    code: str,
    *,
    visitor: Visitor,
    sources: Mapping[str, PasswordSource] | None = None,
) -> Admitted:
    """Sign in with a password and a one-time code, both at once. Raises SignInRefused.

    `sources`: who knows the passwords of accounts from elsewhere, by `Account.source`.
    """
    name = normal_login(login)
    account = _account(office, name)
    charged = await throttle.charge(office, name, account, visitor)
    right = await _password_is_right(office, name, account, password, sources or {})
    step = _step(office, account, code)
    if account is None or not right or step is None:
        await _failed(office, account, charged, visitor, "wrong password or code")
        raise SignInRefused(WRONG)
    token, device = fresh(office), fresh(office)
    # An account whose password costs another amount to check would stand out from those that are not there.
    old = account.password is not None and passwords.outdated(account.password, office.access.password_cost)
    renewed = await hashing.hash_of(office, password) if old else None

    def work(connection: Connection) -> Admitted | str:
        if not accounts.take_step(connection, account.id, step):
            return WRONG
        if renewed is not None:
            accounts.set_password(connection, account.id, renewed)
        throttle.refund(connection, charged)
        return enter(
            connection, office, account.id, Strength.TWO_FACTORS, visitor, token=token, device=device
        )

    return settled(await office.store.database.commit(work))


async def by_recovery(office: Office, login: str, password: str, code: str, *, visitor: Visitor) -> Admitted:
    """Use up a recovery code: leads to enrolment. Where the account has a password, that is asked for, too.

    Raises SignInRefused.
    """
    name = normal_login(login)
    account = _account(office, name)
    charged = await throttle.charge(office, name, account, visitor)
    kept = account.password if account else None
    right = await hashing.is_right(office, kept, password)
    token, device, digest = (
        fresh(office),
        fresh(office),
        tokens.recovery_digest(account.id if account else 0, code),
    )

    def work(connection: Connection) -> Admitted | str:
        if account is None or not (right or kept is None):
            return WRONG
        if not accounts.take_recovery(connection, account.id, digest, office.clock()):
            return WRONG
        throttle.refund(connection, charged)
        return enter(connection, office, account.id, Strength.RECOVERY, visitor, token=token, device=device)

    entered = await office.store.database.commit(work)
    if entered == WRONG:
        await _failed(office, account, charged, visitor, "wrong recovery code")
    return settled(entered)


async def by_link(office: Office, link: str, *, visitor: Visitor) -> Admitted:
    """Use up an enrolment link: leads to enrolment. To be called for a POST: scanners follow links. Raises SignInRefused."""
    token, device, now = fresh(office), fresh(office), office.clock()

    def work(connection: Connection) -> Admitted | str:
        account = accounts.take_link(connection, tokens.digest(link), now)
        if account is None:
            return "This link was used, or has run out: ask for another one."
        return enter(connection, office, account.id, Strength.LINK, visitor, token=token, device=device)

    return settled(await office.store.database.commit(work))


def whom_link_is_for(office: Office, link: str) -> Account | None:
    """For the page that a link opens, which uses nothing up; None when it cannot be used."""
    return office.store.database.read(
        lambda connection: accounts.link_account(connection, tokens.digest(link), office.clock())
    )


async def prove_options(office: Office, party: RelyingParty, visit: Visit) -> Asked:
    """What a browser is asked so that whoever is signed in proves it once more with a passkey."""
    known = office.store.database.read(lambda connection: accounts.passkeys(connection, visit.account.id))
    return await passkeys.ask_to_sign_in(
        office, party, visit.session.network, account=visit.account.id, known=known
    )


async def prove_by_passkey(
    office: Office, party: RelyingParty, token: str, flow: str, answer: str, *, visitor: Visitor
) -> str:
    """Prove once more: the session's new token. Raises SignInRefused."""
    visit = await _entered(office, token)
    challenge = await passkeys.take(office, flow, kind="prove", account=visit.account.id)
    account, passkey, uses = await _proved(office, party, answer, challenge, visitor)
    used = account.id == visit.account.id and await office.store.database.commit(
        lambda connection: accounts.used_passkey(
            connection, passkey.id, before=passkey.uses, uses=uses, at=office.clock()
        )
    )
    if not used:
        raise SignInRefused(passkeys.NOT_PROVED)
    return await renew(office, token)


async def prove_by_code(office: Office, token: str, code: str, *, visitor: Visitor) -> str:
    """Prove once more with a one-time code, in a session that began with password and code or by the provider: its new token.

    Raises SignInRefused.
    """
    visit = await _entered(office, token)
    account = visit.account
    if visit.session.strength not in (Strength.TWO_FACTORS, Strength.PROVIDER):
        raise SignInRefused("Prove it with the passkey you signed in with.")
    charged = await throttle.charge(office, account.login, account, visitor)
    step = _step(office, account, code)

    def work(connection: Connection) -> bool:
        if step is None or not accounts.take_step(connection, account.id, step):
            return False
        throttle.refund(connection, charged)
        return True

    if not await office.store.database.commit(work):
        await _failed(office, account, charged, visitor, "wrong code")
        raise SignInRefused("This code is wrong or was used: wait for the next one.")
    return await renew(office, token)


def _account(office: Office, login: str) -> Account | None:
    return office.store.database.read(lambda connection: accounts.find(connection, login=login))


async def _entered(office: Office, token: str) -> Visit:
    visit = await visit_of(office, token)
    if visit is None or visit.admission is not Admission.ENTER:
        raise SignInRefused("Your session is over: sign in again.")
    return visit


async def _password_is_right(
    office: Office, login: str, account: Account | None, password: str, sources: Mapping[str, PasswordSource]
) -> bool:
    """The same work for everybody: one hash here, and one question to a source where there is one."""
    own = await hashing.is_right(office, account.password if account else None, password)
    source = sources.get(account.source) if account else next(iter(sources.values()), None)
    if source is None:
        return own
    elsewhere = await source.matches(login, account, password)
    return elsewhere and account is not None


def _step(office: Office, account: Account | None, code: str) -> int | None:
    """The step of the code, if it is one of the account's; the same work without an account."""
    seed = NO_SEED
    if account is not None and account.seed is not None and account.seal is not None:
        seed = office.store.keys.open(accounts.sealed_as(account.id), account.seal, account.seed)
    step = codes.fitting_step(seed, code, now=office.clock(), after=account.seed_step if account else 0)
    return None if seed is NO_SEED else step


async def _proved(
    office: Office, party: RelyingParty, answer: str, challenge: bytes | None, visitor: Visitor
) -> tuple[Account, Passkey, int]:
    """Whose passkey an answer proves, and the authenticator's count. Raises SignInRefused."""
    try:
        told = passkeys.read(answer)
    except ValueError:
        raise SignInRefused(passkeys.NOT_PROVED) from None

    def work(connection: Connection) -> tuple[Account, Passkey] | None:
        passkey = accounts.passkey(connection, told.credential)
        account = accounts.find(connection, id=passkey.account) if passkey else None
        return (account, passkey) if account is not None and passkey is not None else None

    found = office.store.database.read(work)
    if found is None or challenge is None:
        raise SignInRefused(passkeys.NOT_PROVED)
    account, passkey = found
    try:
        if told.handle and told.handle != account.handle:
            raise SignInRefused(passkeys.NOT_PROVED)
        return account, passkey, passkeys.uses_after(party, answer, challenge, passkey)
    except SignInRefused:
        await _failed(office, account, None, visitor, "passkey not proved")
        raise


async def _failed(
    office: Office, account: Account | None, charged: Charged | None, visitor: Visitor, why: str
) -> None:
    """Note a failure. What was typed as a login that is none may be a password: it is not kept."""
    if charged is not None and charged.turned_away:
        why = f"{why}; {charged.turned_away} more were turned away before"

    def work(connection: Connection) -> None:
        if account is not None:
            signins.note(
                connection, account.id, at=office.clock(), how=why, succeeded=False, network=visitor.network,
                agent=visitor.program,
            )  # fmt: skip
        record(connection, office, account or 0, what="sign-in failed", why=origin(visitor, why))

    await office.store.database.commit(work)
