"""Who is signed in: sessions begin, are looked up by the token in a cookie, proved anew, and end.

A token is 256 random bits and only its hash is kept. It changes with every rise of what it is good for, so that
nobody can be made to sign in under a token somebody else knows.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from gatepost.access import networks, tokens
from gatepost.access.networks import IpAddress
from gatepost.access.rights import Actor, Right, rights_of
from gatepost.access.standing import Admission, Strength, admission, is_over, life
from gatepost.mail.address import parse_address, printable
from gatepost.office.office import NotAllowed, Office
from gatepost.office.tidings import Tiding, tell
from gatepost.store import accounts, journal, signins
from gatepost.store.accounts import Account
from gatepost.store.database import Connection
from gatepost.store.signins import Session, SignIn

LOGIN_LONGEST = 320
"""Characters."""
SEEN_S = 60.0
"""That somebody is still there is written at most so often."""


class SignInRefused(Exception):
    """Nobody is signed in; `str()` says what to do, and says the same of accounts that are not there."""

    def __init__(self, sentence: str, *, wait_s: float = 0.0) -> None:
        super().__init__(sentence)
        self.wait_s = wait_s
        """Nothing is looked at before that; 0: at once."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Where somebody comes from."""

    ip: IpAddress | None
    agent: str = ""
    """What the browser calls itself."""
    device: str = field(default="", repr=False)
    """The token this browser was given to be known by; empty: it has none."""

    @property
    def network(self) -> str:
        """As much of the address as is kept."""
        return networks.prefix(self.ip)

    @property
    def program(self) -> str:
        """As much of the browser's words as is kept, harmless."""
        return printable(self.agent, 200)


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody signed in."""

    token: str = field(repr=False)
    """For the cookie."""
    account: Account
    admission: Admission
    """ENROL: the session is good for enrolment and nothing else."""
    device: str = field(default="", repr=False)
    """A new token for this browser to be known by, for a cookie that outlives the session; empty: it is known."""
    new_place: bool = False
    """Neither the browser nor the network is known to the account: its owner should be told."""


@dataclass(frozen=True, slots=True)
class Visit:
    """A request in somebody's session."""

    session: Session
    account: Account
    admission: Admission
    actor: Actor
    """Without any right while the session is for enrolment only."""


async def start(
    office: Office, account: Account, *, strength: Strength, ip: IpAddress | None, agent: str = ""
) -> str:
    """Sign somebody in who was proved elsewhere, such as by an identity provider; the token.

    Raises SignInRefused when this proof does not do for the account, or the account is disabled.
    """
    return (await admit(office, account, strength, visitor=Visitor(ip, agent))).token


async def admit(office: Office, account: Account, strength: Strength, *, visitor: Visitor) -> Admitted:
    """The same, with what else there is to know."""
    token, device = fresh(office), fresh(office)

    def work(connection: Connection) -> Admitted | str:
        return enter(connection, office, account.id, strength, visitor, token=token, device=device)

    return settled(await office.store.database.commit(work))


def settled(entered: Admitted | str) -> Admitted:
    """Raises SignInRefused."""
    if isinstance(entered, str):
        raise SignInRefused(entered)
    return entered


def enter(
    connection: Connection,
    office: Office,
    number: int,
    strength: Strength,
    visitor: Visitor,
    *,
    token: str,
    device: str,
) -> Admitted | str:
    """All rows of one sign-in, in the caller's transaction; a sentence when the proof does not do."""
    now, network = office.clock(), visitor.network
    account = accounts.find(connection, id=number)
    if account is None:
        return "This account is not there any more."
    admitted = admission(strength, account.roles, has_passkey=bool(accounts.passkeys(connection, account.id)))
    refusal = (
        "This account is disabled. Whoever looks after people here can enable it."
        if not account.usable
        else "Administrators sign in with a passkey: use yours, or ask for an enrolment link."
        if admitted is Admission.REFUSE
        else ""
    )
    signed_in = refusal == ""
    since = now - office.access.known_s
    known = signins.knows_network(connection, account.id, network, since=since)
    signins.note(
        connection, account.id, at=now, how=strength.value, succeeded=signed_in, network=network,
        agent=visitor.program,
    )  # fmt: skip
    what = f"sign-in {strength.value}" if signed_in else f"sign-in refused {strength.value}"
    record(connection, office, account, what=what, why=origin(visitor, refusal))
    if not signed_in:
        return refusal
    signins.open_session(
        connection, digest=tokens.digest(token), account=account.id, strength=strength, at=now, network=network,
        agent=visitor.program,
    )  # fmt: skip
    known_by = tokens.digest(visitor.device)
    has_device = visitor.device != "" and signins.knows_device(connection, account.id, known_by)
    new_place = not known and not has_device
    if strength is Strength.RECOVERY or (
        new_place and admitted is Admission.ENTER and strength is not Strength.DEMO
    ):
        tiding = Tiding.RECOVERY if strength is Strength.RECOVERY else Tiding.NEW_PLACE
        tell(connection, office, account, tiding, network=network, agent=visitor.program)
    if admitted is Admission.ENTER:
        signins.know_device(connection, account.id, known_by if has_device else tokens.digest(device), now)
    return Admitted(
        token=token,
        account=account,
        admission=admitted,
        device="" if has_device or admitted is not Admission.ENTER else device,
        new_place=new_place,
    )


async def visit_of(office: Office, token: str, *, via: str = "console") -> Visit | None:
    """Whose session this token is for; None when there is none, it is over, or the account may not sign in any more."""
    visit = office.store.database.read(lambda connection: look(connection, office, token, via=via))
    if visit is not None and office.clock() - visit.session.seen_at >= SEEN_S:
        number, now = visit.session.number, office.clock()
        await office.store.database.commit(lambda connection: signins.seen(connection, number, now))
    return visit


async def actor_of(office: Office, token: str) -> Actor | None:
    """Who is acting under this token; None when nobody is, or the session is for enrolment only."""
    visit = await visit_of(office, token)
    return visit.actor if visit is not None and visit.admission is Admission.ENTER else None


def look(connection: Connection, office: Office, token: str, *, via: str = "console") -> Visit | None:
    """The same within a transaction, without noting that somebody is there."""
    session = signins.session(connection, tokens.digest(token)) if token else None
    account = accounts.find(connection, id=session.account) if session else None
    if session is None or account is None or not account.usable:
        return None
    # A session for enrolment stays one, though meanwhile there may be a passkey.
    has_passkey = any(one.made_in != session.number for one in accounts.passkeys(connection, account.id))
    admitted = admission(session.strength, account.roles, has_passkey=has_passkey)
    limits = life(admitted, account.roles, office.access)
    if admitted is Admission.REFUSE or is_over(
        limits, started_at=session.started_at, seen_at=session.seen_at, now=office.clock()
    ):
        return None
    return Visit(
        session, account, admitted, actor_from(connection, office, account, session, admitted, via=via)
    )


def actor_from(
    connection: Connection,
    office: Office,
    account: Account,
    session: Session,
    admitted: Admission,
    *,
    via: str = "console",
) -> Actor:
    """Who acts in this session."""
    granted = rights_of(account.roles, help_desk_sees_subjects=office.access.help_desk_sees_subjects)
    return Actor(
        account=account.id,
        login=account.login,
        name=account.name,
        roles=account.roles,
        rights=granted if admitted is Admission.ENTER else frozenset(),
        addresses=accounts.addresses(connection, account.id, delegated=False),
        via=via,
        proved_at=session.proved_at,
        language=account.language,
    )


async def renew(office: Office, token: str) -> str:
    """The person behind this token proved anew who they are: another token for the same session.

    Raises SignInRefused when the session is over.
    """
    new, now = fresh(office), office.clock()

    def work(connection: Connection) -> bool:
        visit = look(connection, office, token)
        if visit is None or visit.admission is not Admission.ENTER:
            return False
        record(connection, office, visit.account, what="sign-in proved again")
        return signins.renew(connection, tokens.digest(token), tokens.digest(new), proved_at=now)

    if not await office.store.database.commit(work):
        raise SignInRefused("Your session is over: sign in again.")
    return new


async def end(office: Office, token: str) -> None:
    """Sign out. What is over already stays so."""

    def work(connection: Connection) -> None:
        session = signins.close_session(connection, tokens.digest(token))
        account = accounts.find(connection, id=session.account) if session else None
        if account is not None:
            record(connection, office, account, what="sign-out")

    await office.store.database.commit(work)


async def end_all(office: Office, actor: Actor, account: int | None = None) -> int:
    """Sign out everywhere, oneself or (with the right) somebody else; how many sessions ended. Raises NotAllowed."""
    return await end_some(office, actor, account)


async def end_one(office: Office, actor: Actor, number: int) -> bool:
    """End one of one's own sessions by its number; False when it is none."""
    return bool(await end_some(office, actor, None, number=number))


async def end_some(office: Office, actor: Actor, account: int | None, *, number: int | None = None) -> int:
    """Sessions of one account: all, or the one with this number."""
    target = own_or_others(office, actor, account)

    def work(connection: Connection) -> int:
        whose = accounts.find(connection, id=target)
        if whose is None:
            return 0
        ended = signins.close_sessions(connection, target, number=number)
        if number is None:
            signins.forget_devices(connection, target)
        if ended:
            what = "sign-out everywhere" if number is None else "sign-out of one session"
            record(connection, office, whose, what=what, who=actor.who)
        return ended

    return await office.store.database.commit(work)


def open_sessions(office: Office, actor: Actor, account: int | None = None) -> list[Session]:
    """Where somebody is signed in, newest first; those that have run out are left out."""
    target = own_or_others(office, actor, account)

    def work(connection: Connection) -> list[Session]:
        whose = accounts.find(connection, id=target)
        if whose is None:
            return []
        return [one for one in signins.sessions(connection, target) if lasts(office, whose, one)]

    return office.store.database.read(work)


def sign_ins(
    office: Office, actor: Actor, account: int | None = None, *, before: int | None = None, limit: int = 50
) -> list[SignIn]:
    """Sign-ins and failures, newest first; `before` is the last number of the page before."""
    target = own_or_others(office, actor, account)
    return office.store.database.read(
        lambda connection: signins.noted(connection, target, before=before, limit=limit)
    )


def own_or_others(office: Office, actor: Actor, account: int | None) -> int:
    """Whose: one's own by default. Raises NotAllowed without the right to others'."""
    if account is None or account == actor.account:
        office.insist(actor, Right.OWN)
        if actor.account == 0:
            raise NotAllowed("A command on the machine has no sessions of its own: name an account.")
        return actor.account
    office.insist(actor, Right.PEOPLE)
    return account


def lasts(office: Office, account: Account, session: Session) -> bool:
    """Is it not over?"""
    admitted = admission(session.strength, account.roles, has_passkey=False)
    limits = life(admitted, account.roles, office.access)
    return not is_over(limits, started_at=session.started_at, seen_at=session.seen_at, now=office.clock())


def normal_login(login: str) -> str:
    """A login as accounts are found by; what is no address stays as it is, bounded: nobody is called that."""
    typed = login.encode("utf-8", "replace").decode().strip()[:LOGIN_LONGEST]
    address = parse_address(typed, smtputf8=True)
    return address.key if address is not None else typed.casefold()


def fresh(office: Office) -> str:
    """A new token."""
    return tokens.token(office.random(tokens.TOKEN_OCTETS))


def record(
    connection: Connection, office: Office, account: Account | int, *, what: str, why: str = "", who: str = ""
) -> None:
    """Write into the journal what was done to an account, by itself where nobody else is named."""
    number = account if isinstance(account, int) else account.id
    by = who or (account.login if isinstance(account, Account) else "unknown")
    journal.append(connection, at=office.clock(), who=by, what=what, why=why, subject=f"account {number}")


def origin(visitor: Visitor, more: str = "") -> str:
    """From where, for the journal."""
    place = f"from {visitor.network}" if visitor.network else "from an unknown network"
    return f"{place}: {more}" if more else place
