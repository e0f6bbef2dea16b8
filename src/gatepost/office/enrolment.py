"""Enrolment: adding a passkey, or a password with one-time codes; recovery codes; and what becomes of the session then."""

from __future__ import annotations

from dataclasses import dataclass, field

from pysqlite3 import dbapi2

from gatepost.access import codes, passwords, tokens
from gatepost.access.rights import ADMINISTRATORS, Actor, Right
from gatepost.access.standing import Admission, Strength
from gatepost.mail.address import printable
from gatepost.office import hashing, passkeys
from gatepost.office.office import Impossible, Office
from gatepost.office.passkeys import Asked, RelyingParty
from gatepost.office.sessions import (
    Admitted,
    SignInRefused,
    Visit,
    Visitor,
    enter,
    fresh,
    look,
    record,
    settled,
)
from gatepost.office.tidings import Tiding, tell
from gatepost.store import accounts, signins
from gatepost.store.accounts import Account, Passkey
from gatepost.store.database import Connection
from gatepost.store.sealing import Seal

MOST_PASSKEYS = 20
LINK_PATH = "/enrol"


@dataclass(frozen=True, slots=True)
class CodesOffer:
    """A seed for an authenticator app, to be proved with a code."""

    flow: str = field(repr=False)
    """Comes back with the code."""
    secret: str = field(repr=False)
    """As a person types it."""
    uri: str = field(repr=False)
    """For a QR code."""


@dataclass(frozen=True, slots=True)
class Finished:
    """Enrolled, and signed in."""

    admitted: Admitted
    recovery_codes: tuple[str, ...] = field(repr=False)
    """To be shown now and never again; none when the account still has some."""


def link_at(console: str, token: str) -> str:
    """Where a link leads: the console's address, this path and the token. Looking there uses nothing up."""
    return f"{console.rstrip('/')}{LINK_PATH}/{token}"


async def passkey_options(office: Office, party: RelyingParty, visit: Visit) -> Asked:
    """What a browser is asked to make a passkey. Raises ProveAgain in a session that is not for enrolment."""
    _insist(office, visit)
    known = office.store.database.read(lambda connection: accounts.passkeys(connection, visit.account.id))
    if len(known) >= MOST_PASSKEYS:
        raise Impossible(f"An account has at most {MOST_PASSKEYS} passkeys: remove one first.")
    return await passkeys.ask_to_register(office, party, visit.account, known, visit.session.network)


async def register_passkey(
    office: Office, party: RelyingParty, visit: Visit, flow: str, answer: str, *, name: str = ""
) -> int:
    """Keep the passkey that a browser made; its number. Raises Impossible when the answer does not hold."""
    _insist(office, visit)
    challenge = await passkeys.take(office, flow, kind="register", account=visit.account.id)
    if challenge is None:
        raise Impossible("This took too long, or was answered before: begin again.")
    made = passkeys.registered(party, answer, challenge)
    called = printable(name.strip(), 60) or "Passkey"

    def work(connection: Connection) -> int:
        tell(connection, office, visit.account, Tiding.PASSKEY, what=called, network=visit.session.network)
        number = accounts.add_passkey(
            connection, visit.account.id, credential=made.credential, public_key=made.public_key,
            uses=made.uses, name=called, synced=made.synced, at=office.clock(),
            session=visit.session.number,
        )  # fmt: skip
        record(connection, office, visit.account, what="enrol passkey", why=called)
        return number

    try:
        return await office.store.database.commit(work)
    except dbapi2.IntegrityError:
        raise Impossible("This passkey is registered already.") from None


async def begin_codes(office: Office, visit: Visit, password: str | None = None) -> CodesOffer:
    """Offer a seed for one-time codes, with a new password or beside the one there is.

    Nothing changes before a code proves that the seed arrived: no account ever has a password alone.
    Raises Impossible when the password is too easy to guess.
    """
    _insist(office, visit)
    account = visit.account
    if password is None and account.password is None and not account.source:
        raise Impossible("Choose a password as well: a code alone does not sign in.")
    if password is not None and account.source:
        raise Impossible("Your password is kept where your account comes from: change it there.")
    kept = await _kept_password(office, account, password) if password is not None else ""
    seed, flow = office.random(codes.SEED_OCTETS), fresh(office)
    seal, sealed = office.store.keys.seal(accounts.sealed_as(account.id), seed)
    waiting = "\n".join((kept, seal.key_id, seal.wrapped_key.hex(), sealed.hex())).encode()
    await passkeys.wait_for(
        office, flow, kind="codes", account=account.id, network=visit.session.network, value=waiting
    )
    secret, uri = codes.shown(seed, login=account.login, issuer=office.hostname)
    return CodesOffer(flow, secret, uri)


async def confirm_codes(office: Office, visit: Visit, flow: str, code: str) -> None:
    """Prove the seed with a code: from now on it, and the password offered with it, sign in. Raises Impossible.

    A wrong code costs the offer: begin again.
    """
    _insist(office, visit)
    account = visit.account
    waiting = await passkeys.take(office, flow, kind="codes", account=account.id)
    if waiting is None:
        raise Impossible("This took too long, or a code was wrong: begin again.")
    kept, key_id, wrapped, sealed = waiting.decode().split("\n")
    seal, octets = Seal(key_id, bytes.fromhex(wrapped)), bytes.fromhex(sealed)
    seed = office.store.keys.open(accounts.sealed_as(account.id), seal, octets)
    step = codes.fitting_step(seed, code, now=office.clock(), after=0)
    if step is None:
        raise Impossible("This code is wrong. Is the clock of your telephone right? Begin again.")

    def work(connection: Connection) -> None:
        tell(connection, office, account, Tiding.PASSWORD, network=visit.session.network)
        if kept:
            accounts.set_password(connection, account.id, kept)
        accounts.set_seed(connection, account.id, octets, seal, session=visit.session.number, step=step)
        record(connection, office, account, what="enrol password and codes" if kept else "enrol codes")

    await office.store.database.commit(work)


async def change_password(office: Office, visit: Visit, password: str) -> None:
    """Another password beside the codes there are. Raises Impossible, ProveAgain."""
    _insist(office, visit)
    account = visit.account
    if account.source:
        raise Impossible("Your password is kept where your account comes from: change it there.")
    if not account.has_codes:
        raise Impossible("A password needs one-time codes beside it: set up both together.")
    kept = await _kept_password(office, account, password)

    def work(connection: Connection) -> None:
        tell(connection, office, account, Tiding.PASSWORD, network=visit.session.network)
        accounts.set_password(connection, account.id, kept)
        record(connection, office, account, what="enrol password")

    await office.store.database.commit(work)


async def forget_codes(office: Office, visit: Visit) -> None:
    """No password and no one-time codes any more: passkeys only. Raises ProveAgain, Impossible for the last way in."""
    _insist(office, visit)
    account = visit.account

    def work(connection: Connection) -> None:
        if not accounts.passkeys(connection, account.id):
            raise Impossible("This is your only way to sign in: add a passkey first.")
        tell(connection, office, account, Tiding.PASSWORD, network=visit.session.network)
        accounts.set_password(connection, account.id, None)
        accounts.set_seed(connection, account.id, None, None, session=None, step=0)
        record(connection, office, account, what="enrol codes removed")

    await office.store.database.commit(work)


async def new_recovery_codes(office: Office, visit: Visit) -> tuple[str, ...]:
    """Ten new ones; older ones end. To be shown once. Raises ProveAgain."""
    _insist(office, visit)
    made = _recovery_codes(office)

    def work(connection: Connection) -> None:
        _set_recovery(connection, office, visit.account, made)

    await office.store.database.commit(work)
    return made


async def finish(office: Office, token: str, *, visitor: Visitor) -> Finished:
    """Leave enrolment with what was enrolled in this session: a session of full standing, under a new token.

    Raises Impossible when nothing was enrolled that the account can sign in with.
    """
    new, device, made = fresh(office), fresh(office), _recovery_codes(office)

    def work(connection: Connection) -> tuple[Admitted | str, bool]:
        visit = look(connection, office, token)
        if visit is None or visit.admission is not Admission.ENROL:
            raise SignInRefused("Your session is over: sign in again.")
        account, here = visit.account, visit.session.number
        strength = (
            Strength.PASSKEY
            if any(one.made_in == here for one in accounts.passkeys(connection, account.id))
            else Strength.TWO_FACTORS
        )
        if strength is Strength.TWO_FACTORS:
            if account.roles & ADMINISTRATORS:
                raise Impossible("Administrators sign in with a passkey: add one.")
            if account.seed_in != here:
                raise Impossible("Add a passkey, or a password with one-time codes.")
        signins.close_session(connection, tokens.digest(token))
        accounts.end_links(connection, account.id)
        entered = enter(connection, office, account.id, strength, visitor, token=new, device=device)
        lacks_codes = accounts.recovery_left(connection, account.id) == 0
        if lacks_codes:
            _set_recovery(connection, office, account, made)
        return entered, lacks_codes

    entered, lacks_codes = await office.store.database.commit(work)
    return Finished(settled(entered), made if lacks_codes else ())


def own_passkeys(office: Office, actor: Actor) -> list[Passkey]:
    """One's own, oldest first."""
    office.insist(actor, Right.OWN)
    return office.store.database.read(lambda connection: accounts.passkeys(connection, actor.account))


async def rename_passkey(office: Office, actor: Actor, number: int, name: str) -> bool:
    """Call one of one's own another name; False when there is none such."""
    office.insist(actor, Right.OWN)
    called = printable(name.strip(), 60) or "Passkey"
    return await office.store.database.commit(
        lambda connection: accounts.rename_passkey(connection, actor.account, number, called)
    )


async def remove_passkey(office: Office, actor: Actor, number: int) -> bool:
    """Take out one of one's own; False when there is none such. Raises ProveAgain, Impossible for the last way in."""
    office.insist(actor, Right.OWN)
    office.insist_on_proof(actor)

    def work(connection: Connection) -> bool:
        account = accounts.find(connection, id=actor.account)
        keys = accounts.passkeys(connection, actor.account)
        if account is None or number not in {one.id for one in keys}:
            return False
        if len(keys) == 1 and (account.roles & ADMINISTRATORS or not account.has_codes):
            raise Impossible("This is your only way to sign in: add another passkey first.")
        accounts.remove_passkey(connection, account.id, number)
        name = next(one.name for one in keys if one.id == number)
        record(connection, office, account, what="enrol passkey removed", why=name)
        return True

    return await office.store.database.commit(work)


def recovery_codes_left(office: Office, actor: Actor) -> int:
    """How many of one's own are not used."""
    office.insist(actor, Right.OWN)
    return office.store.database.read(lambda connection: accounts.recovery_left(connection, actor.account))


def _insist(office: Office, visit: Visit) -> None:
    """A session for enrolment has just been proved; another one must be, again."""
    if visit.admission is Admission.ENTER:
        office.insist_on_proof(visit.actor)


async def _kept_password(office: Office, account: Account, password: str) -> str:
    weak = passwords.weakness(password, account.login, account.name, office.hostname)
    if weak:
        raise Impossible(weak)
    return await hashing.hash_of(office, password)


def _recovery_codes(office: Office) -> tuple[str, ...]:
    return tuple(
        tokens.recovery_code(office.random(tokens.RECOVERY_OCTETS)) for _ in range(tokens.RECOVERY_CODES)
    )


def _set_recovery(connection: Connection, office: Office, account: Account, made: tuple[str, ...]) -> None:
    accounts.set_recovery(connection, account.id, [tokens.recovery_digest(account.id, one) for one in made])
    record(connection, office, account, what="enrol recovery codes")
