"""Letters that tell people what was done to their account: a sign-in from a new place, a new way in, a link for it.

Whoever takes an account over cannot keep its owner from hearing of it. Queued in the transaction of the act.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate
from enum import StrEnum

from gatepost.mail.address import parse_address, printable
from gatepost.office.office import Office
from gatepost.store import accounts
from gatepost.store.accounts import Account
from gatepost.store.database import Connection
from gatepost.store.records import Notice
from gatepost.store.ref import new_ref
from gatepost.store.taking import add_notice


class Tiding(StrEnum):
    """What happened."""

    NEW_PLACE = "new-place"
    RECOVERY = "recovery"
    PASSKEY = "passkey"
    PASSWORD = "password"  # noqa: S105 - a kind of letter
    APP_PASSWORD = "app-password"  # noqa: S105
    LINK = "link"
    FORGOTTEN = "forgotten"
    ROLES = "roles"
    ADDRESSES = "addresses"
    IDENTITY = "identity"
    TOKEN = "token"  # noqa: S105
    DISABLED = "disabled"
    SECOND = "second"
    """Of two people: somebody is asked to agree."""
    AGREED = "agreed"
    POWER = "power"
    """For owners: somebody else was given power."""


WORDS = {
    "en": {
        Tiding.NEW_PLACE: (
            "New sign-in",
            "Somebody signed in to {login} from a place or browser not seen before.",
        ),
        Tiding.RECOVERY: ("A recovery code was used", "Somebody used a recovery code of {login}."),
        Tiding.PASSKEY: ("A passkey was added", "A passkey was added to {login}."),
        Tiding.PASSWORD: (
            "Your sign-in was changed",
            "The password or the one-time codes of {login} were set.",
        ),
        Tiding.APP_PASSWORD: ("An app password was made", "An app password was made for {login}."),
        Tiding.LINK: (
            "An enrolment link was made",
            "A link was made with which a new way to sign in to {login} can be added.",
        ),
        Tiding.FORGOTTEN: (
            "Your ways to sign in were removed",
            "All passkeys, the password and the codes of {login} were removed, and a link for new ones was made.",
        ),
        Tiding.ROLES: ("Your roles were changed", "The roles of {login} were changed."),
        Tiding.ADDRESSES: ("Your addresses were changed", "The addresses of {login} were changed."),
        Tiding.IDENTITY: (
            "Your single sign-on was changed",
            "Who {login} is at the identity provider was changed.",
        ),
        Tiding.TOKEN: ("An API token was made", "A token for programs was made for {login}."),
        Tiding.DISABLED: ("Your account was disabled", "The account {login} was disabled."),
        Tiding.SECOND: (
            "A second person is asked for",
            'Somebody needs your agreement. Sign in to the console and open "Break the glass" to agree or refuse.',
        ),
        Tiding.AGREED: (
            "Somebody agreed",
            "What you asked for was agreed to: do it within an hour.",
        ),
        Tiding.POWER: (
            "Somebody was given rights",
            "An account here was given rights, or a way into it was made. You are told as an owner.",
        ),
    },
    "ja": {
        Tiding.NEW_PLACE: (
            "新しい場所からのサインイン",
            "{login} に、これまでにない場所またはブラウザーからサインインがありました。",
        ),
        Tiding.RECOVERY: ("回復コードが使われました", "{login} の回復コードが使われました。"),
        Tiding.PASSKEY: ("パスキーが追加されました", "{login} にパスキーが追加されました。"),
        Tiding.PASSWORD: (
            "サインイン方法が変更されました",
            "{login} のパスワードまたはワンタイムコードが設定されました。",
        ),
        Tiding.APP_PASSWORD: (
            "アプリパスワードが作成されました",
            "{login} のアプリパスワードが作成されました。",
        ),
        Tiding.LINK: (
            "登録用リンクが作成されました",
            "{login} に新しいサインイン方法を追加できるリンクが作成されました。",
        ),
        Tiding.FORGOTTEN: (
            "サインイン方法が削除されました",
            "{login} のパスキー、パスワード、コードがすべて削除され、登録用リンクが作成されました。",
        ),
        Tiding.ROLES: ("役割が変更されました", "{login} の役割が変更されました。"),
        Tiding.ADDRESSES: ("アドレスが変更されました", "{login} のアドレスが変更されました。"),
        Tiding.IDENTITY: (
            "シングルサインオンが変更されました",
            "ID プロバイダーでの {login} の対応付けが変更されました。",
        ),
        Tiding.TOKEN: ("API トークンが作成されました", "{login} のプログラム用トークンが作成されました。"),
        Tiding.DISABLED: ("アカウントが無効にされました", "アカウント {login} が無効にされました。"),
        Tiding.SECOND: (
            "二人目の承認が求められています",
            "承認が必要な操作があります。コンソールにサインインし、「緊急閲覧」で承認または拒否してください。",
        ),
        Tiding.AGREED: ("承認されました", "依頼が承認されました。1 時間以内に操作を行ってください。"),
        Tiding.POWER: (
            "権限が与えられました",
            "アカウントに権限が与えられたか、アカウントへの入口が作られました。所有者としてお知らせします。",
        ),
    },
}
FRAME = {
    "en": (
        "When",
        "Where",
        "Browser",
        "What",
        "By",
        "If you do not know of this, tell whoever looks after mail here at once.",
    ),
    "ja": (
        "日時",
        "場所",
        "ブラウザー",
        "内容",
        "実行者",
        "心当たりがない場合は、すぐにメールの管理者にご連絡ください。",
    ),
}


def tell(
    connection: Connection,
    office: Office,
    account: Account,
    tiding: Tiding,
    *,
    network: str = "",
    agent: str = "",
    what: str = "",
    by: str = "",
    link: str = "",
) -> None:
    """Queue a letter to the account's login, in its language; before the act it tells of.

    Nothing where the office writes no letters, and nothing to an account that nobody can sign in to yet, such as a device;
    but with a `link`, which is what the letter is for.
    """
    whom = parse_address(account.login, smtputf8=True)
    enrolled = account.has_codes or bool(accounts.passkeys(connection, account.id))
    if office.finals is None or whom is None or not (enrolled or link):
        return
    now = office.clock()
    language = account.language if account.language in WORDS else "en"
    when, where, browser, which, who, advice = FRAME[language]
    moment = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%d %H:%M UTC")
    subject, sentence = WORDS[language][tiding]
    facts = [(when, moment), (where, network), (browser, agent), (which, what), (who, by)]
    lines = [sentence.format(login=account.login), ""]
    lines += [f"{name}: {_said(value)}" for name, value in facts if value]
    lines += ["", link] if link else []
    ref = new_ref(now, office.random(8))
    octets = _letter(
        subject, [*lines, "", advice], to=account.login, hostname=office.hostname, ref=ref, now=now
    )
    for number, final in enumerate(office.finals(whom)):
        own = ref if number == 0 else new_ref(now, office.random(8))
        add_notice(connection, Notice(ref=own, recipient=final, octets=octets, at=now))


def _letter(subject: str, lines: list[str], *, to: str, hostname: str, ref: str, now: float) -> bytes:
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit", utf8=not to.isascii()))
    message["From"] = f"Gatepost <mailer-daemon@{hostname}>"
    message["To"] = f"<{to}>"
    message["Subject"] = subject
    message["Date"] = formatdate(now)
    message["Message-ID"] = f"<{ref}@{hostname}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content("\n".join(lines) + "\n")
    return message.as_bytes()


def _said(text: str) -> str:
    """Words of a stranger's program, as one printable line of which no mail program makes a link."""
    return printable(text, 200).replace("://", ":\u200b//").replace("www.", "www\u200b.")
