"""Who sends mail: AUTH on the submission listeners, by app password, token or client certificate (RFC 4954).

Never by the account's password, which is not even looked at: whoever tries it hears what to do instead. A right app
password always signs in; wrong ones are counted by the same lockout as in the console, and not looked at for a while.
"""

from __future__ import annotations

import hashlib
import logging
import math
from typing import Protocol

from gatepost.access.networks import prefix
from gatepost.mail.client import Client, SignedIn
from gatepost.office import apppasswords, certificates, throttle
from gatepost.office.apppasswords import Fault, Good, Scope
from gatepost.office.office import Office
from gatepost.office.sessions import SignInRefused, Visitor, normal_login, origin, record
from gatepost.smtp.reply import Reply
from gatepost.smtp.sasl import Credentials, External, Password, ScramKeys, Token
from gatepost.store import accounts, signins
from gatepost.store.accounts import Account
from gatepost.store.database import Connection
from gatepost.tools import Unavailable

log = logging.getLogger("gatepost.office")

BY_PASSWORD = ("PLAIN", "LOGIN")
BY_TOKEN = ("OAUTHBEARER", "XOAUTH2")
BY_CERTIFICATE = ("EXTERNAL",)

REFUSALS = {
    Fault.NONE: Reply(
        535,
        "5.7.8",
        "The account's password is not taken here: make an app password in Gatepost under Security and use that",
    ),
    Fault.UNKNOWN: Reply(
        535,
        "5.7.8",
        "This app password is not known or was revoked: make another one in Gatepost under Security",
    ),
    Fault.ENDED: Reply(
        535, "5.7.8", "This app password has ended: make another one in Gatepost under Security"
    ),
    Fault.ELSEWHERE: Reply(535, "5.7.8", "This app password is not good from the network you are in"),
    Fault.SCOPE: Reply(535, "5.7.8", "This app password is not for sending mail: make one that is"),
    Fault.NOBODY: Reply(
        535, "5.7.8", "This app password may not write as any address any more: make another one in Gatepost"
    ),
    Fault.DISABLED: Reply(535, "5.7.13", "This account is disabled: ask whoever looks after mail here"),
}
TOKEN_WRONG = Reply(535, "5.7.8", "This token is not good here: sign in anew in your mail program")
TOKEN_OF_NOBODY = Reply(
    535, "5.7.8", "Your sign-in is good, but no account here belongs to it: ask whoever looks after mail here"
)
TOKEN_OF_ANOTHER = Reply(
    535,
    "5.7.8",
    "This token belongs to another account than the user name in your mail program: correct that name",
)
TOKEN_UNSURE = Reply(454, "4.7.0", "The identity provider cannot be asked now, try again later")
NO_CERTIFICATE = Reply(535, "5.7.8", "Your program presented no client certificate")
CERTIFICATE_UNKNOWN = Reply(
    535, "5.7.8", "This certificate signs nobody in here: have it added with gatepost user certificate"
)
NOT_SOMEBODY_ELSE = Reply(535, "5.7.8", "Signing in as one and acting as another is not offered here")


class TokenVerifier(Protocol):
    """Asks the identity provider about bearer tokens."""

    async def verify(self, token: str) -> tuple[str, ...] | None:
        """The addresses or logins the token proves, the account's first; None when it proves nothing.

        Raises tools.Unavailable when the provider cannot be asked.
        """
        ...


class MailSignIn:
    """Implements `net.service.Authenticator`."""

    def __init__(
        self, office: Office, *, verifier: TokenVerifier | None = None, by_certificate: bool = False
    ) -> None:
        self.office = office
        self.verifier = verifier
        self.mechanisms: tuple[str, ...] = (
            BY_PASSWORD
            + (BY_TOKEN if verifier is not None else ())
            + (BY_CERTIFICATE if by_certificate else ())
        )
        """What is offered: tokens only where somebody can check them, certificates only where they are asked for."""

    async def sign_in(self, client: Client, mechanism: str, credentials: Credentials) -> SignedIn | Reply:  # noqa: ARG002
        """Who signed in, or why not, in words."""
        if isinstance(credentials, Password):
            return await self._by_password(client, credentials)
        if isinstance(credentials, Token):
            return await self._by_token(client, credentials)
        if isinstance(credentials, External):
            return await self._by_certificate(client, credentials)
        return REFUSALS[Fault.UNKNOWN]

    async def keys(self, client: Client, mechanism: str, user: str) -> ScramKeys:  # noqa: ARG002
        """Never asked for, as SCRAM is not offered: keys of nobody."""
        nobody = hashlib.sha256(user.encode("utf-8", "replace")).digest()
        return ScramKeys(nobody[:16], 4096, nobody, nobody, nonce=self.office.random(18).hex())

    async def _by_password(self, client: Client, given: Password) -> SignedIn | Reply:
        if given.authorize_as not in ("", given.user):
            return NOT_SOMEBODY_ELSE
        found = await apppasswords.check(
            self.office, given.user, given.password, scope=Scope.SMTP, ip=client.ip
        )
        if isinstance(found, Good):
            return SignedIn(user=found.account.login, sends_as=found.sends_as, device=found.device)
        return await self._wrong(client, given.user, REFUSALS[found], f"app password {found.value}")

    async def _by_token(self, client: Client, given: Token) -> SignedIn | Reply:
        if self.verifier is None:
            return TOKEN_WRONG
        try:
            names = await self.verifier.verify(given.token)
        except Unavailable as why:
            log.warning("a token could not be checked: %s", why)
            return TOKEN_UNSURE
        account = self._named(names or ())
        if account is None or not account.usable:
            nobody = TOKEN_WRONG if names is None else TOKEN_OF_NOBODY
            refusal = nobody if account is None else REFUSALS[Fault.DISABLED]
            return await self._wrong(
                client, given.user, refusal, "token" if names is None else "token of nobody here"
            )

        def work(connection: Connection) -> tuple[str, ...] | None:
            if given.user and not apppasswords.is_user(connection, account, given.user):
                return None
            return apppasswords.senders(connection, account, ())

        sends_as = self.office.store.database.read(work)
        if sends_as is None:
            return await self._wrong(client, given.user, TOKEN_OF_ANOTHER, "somebody else's token")
        return SignedIn(user=account.login, sends_as=sends_as, device="token")

    async def _by_certificate(self, client: Client, given: External) -> SignedIn | Reply:
        fingerprint = client.tls.peer_fingerprint if client.tls is not None else None
        if client.tls is None or fingerprint is None:
            return NO_CERTIFICATE
        subject = client.tls.peer_subject or ""
        found = await certificates.check(
            self.office, given.authorize_as, fingerprint=fingerprint, subject=subject, ip=client.ip
        )
        if isinstance(found, Good):
            return SignedIn(user=found.account.login, sends_as=found.sends_as, device=found.device)
        refusal = CERTIFICATE_UNKNOWN if found in (Fault.UNKNOWN, Fault.ENDED) else REFUSALS[found]
        return await self._wrong(client, subject or fingerprint, refusal, f"certificate {found.value}")

    def _named(self, names: tuple[str, ...]) -> Account | None:
        """The account that the first name known here belongs to."""

        def work(connection: Connection) -> Account | None:
            for name in names:
                key = normal_login(name)
                account = accounts.find(connection, login=key) or accounts.owner_of(connection, key)
                if account is not None:
                    return account
            return None

        return self.office.store.database.read(work)

    async def _wrong(self, client: Client, user: str, refusal: Reply, why: str) -> Reply:
        """Count a failure and note it; too many from there are told to wait, and leave nothing behind."""
        office, visitor = self.office, Visitor(client.ip, "")
        name = normal_login(user)
        account = self._named((name,))
        try:
            charged = await throttle.charge(office, name, account, visitor)
        except SignInRefused as wait:
            minutes = max(1, math.ceil(wait.wait_s / 60))
            return Reply(
                454, "4.7.0", f"Too many attempts failed from your network, try again in {minutes} min"
            )

        def work(connection: Connection) -> None:
            if account is not None:
                signins.note(
                    connection, account.id, at=office.clock(), how=f"mail: {why}", succeeded=False,
                    network=prefix(client.ip), agent="",
                )  # fmt: skip
            more = (
                f"{why}; {charged.turned_away} more were turned away before" if charged.turned_away else why
            )
            record(connection, office, account or 0, what="sign-in failed mail", why=origin(visitor, more))

        await office.store.database.commit(work)
        return refusal
