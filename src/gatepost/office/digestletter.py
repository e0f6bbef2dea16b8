"""The letter of a digest: plain text and HTML of the same words, in English or Japanese. Pure.

What strangers wrote (author, subject) stands in it as text: printable, escaped, and never as a link.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from functools import partial
from html import escape

from gatepost.mail.address import printable

LONGEST_TEXT = 200
WORDS = {
    "en": {
        "subject": "{many} messages are held for you",
        "subject one": "1 message is held for you",
        "greeting": "These messages to {to} were held, because something about them is suspicious. Nothing needs to be done:"
        " they are deleted by themselves after some time.",
        "from": "From",
        "held": "held",
        "release": "Deliver it",
        "request": "Ask for it",
        "asked": "asked for; somebody decides",
        "block": "Block the sender",
        "delete": "Delete it",
        "none": "(no subject)",
        "more": "{more} more are not named here.",
        "console": "Everything that is held for you",
        "links": "Each link opens a page that asks first. The links end after some days.",
        "stop": "No more of these letters",
        "done": "Done by links in these letters, by somebody who was not signed in. If it was nobody you know, tell whoever looks"
        " after mail here:",
        "subject done": "What was done with mail held for you",
        "nothing new": "Nothing new is held for {to}.",
        "released": "delivered {at}, from {network}",
        "deleted": "deleted {at}, from {network}",
    },
    "ja": {
        "subject": "{many} 件のメールを保留しています",
        "subject one": "1 件のメールを保留しています",
        "greeting": "{to} あての次のメールは、不審な点があるため保留されています。何もしなければ、一定期間の後に自動的に削除されます。",
        "from": "差出人",
        "held": "保留日時",
        "release": "受け取る",
        "request": "受け取りを依頼する",
        "asked": "依頼済み（担当者が判断します）",
        "block": "差出人を拒否する",
        "delete": "削除する",
        "none": "（件名なし）",
        "more": "ほかに {more} 件あります。",
        "console": "保留中のメールをすべて見る",
        "links": "リンクを開くと確認のページが表示されます。リンクには有効期限があります。",
        "stop": "このお知らせを受け取らない",
        "done": "次の操作は、お知らせのリンクから、サインインしていない人が行いました。心当たりがない場合は、メールの管理者に連絡してください:",
        "subject done": "保留中のメールに対して行われた操作",
        "nothing new": "{to} あてに新しく保留したメールはありません。",
        "released": "{at} に配信（接続元 {network}）",
        "deleted": "{at} に削除（接続元 {network}）",
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One held message."""

    author: str
    sender: str
    subject: str
    held_at: float
    category: str
    asked: bool
    """Asked for already."""
    may: str
    """release or request."""
    go: str
    """The URL that lets it go, or asks."""
    block: str
    delete: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """What a link did that nobody signed in for."""

    author: str
    subject: str
    state: str
    """released, deleted or another that a copy ends in."""
    at: float
    network: str


def letter(
    rows: Sequence[Row],
    *,
    done: Sequence[Done] = (),
    more: int,
    to: str,
    hostname: str,
    ref: str,
    date: str,
    language: str,
    console: str,
    stop: str,
) -> bytes:
    """The whole message, CRLF ended; 7 bits."""
    words = WORDS.get(language, WORDS["en"])
    many = len(rows) + more
    message = EmailMessage(policy=SMTP.clone(cte_type="7bit", utf8=any(ord(one) > 127 for one in to)))
    message["From"] = f"Gatepost <mailer-daemon@{hostname}>"
    message["To"] = f"<{to}>"
    subject = "subject one" if many == 1 else "subject" if many else "subject done"
    message["Subject"] = words[subject].format(many=many)
    message["Date"] = date
    message["Message-ID"] = f"<{ref}@{hostname}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = language
    message.set_content(
        "\n".join(plain(rows, words, done=done, more=more, to=to, console=console, stop=stop))
    )
    page = html(rows, words, done=done, more=more, to=to, console=console, stop=stop, language=language)
    message.add_alternative(page, subtype="html")
    return message.as_bytes()


def plain(
    rows: Sequence[Row],
    words: dict[str, str],
    *,
    done: Sequence[Done],
    more: int,
    to: str,
    console: str,
    stop: str,
) -> list[str]:
    """The text part's lines."""
    lines = [words["greeting" if rows else "nothing new"].format(to=to), ""]
    for row in rows:
        lines += [
            f"* {said(row.subject) or words['none']}",
            f"  {words['from']}: {said(row.author)}{other(row)}",
            f"  {words['held']}: {when(row.held_at)}",
        ]
        lines += [f"  ({words['asked']})"] if row.asked else [f"  {words[row.may]}: {row.go}"]
        lines += [f"  {words['block']}: {row.block}"] if row.sender else []
        lines += [f"  {words['delete']}: {row.delete}", ""]
    lines += [words["more"].format(more=more), ""] if more > 0 else []
    if done:
        lines += [words["done"], *(f"* {was}" for was in map(partial(did, words=words), done)), ""]
    return [*lines, words["links"], f"{words['console']}: {console}", f"{words['stop']}: {stop}", ""]


def html(
    rows: Sequence[Row], words: dict[str, str], *, done: Sequence[Done], more: int, to: str, console: str, stop: str,
    language: str,
) -> str:  # fmt: skip
    """The HTML part: a list and links, no pictures, nothing from elsewhere."""
    items = []
    for row in rows:
        acts = [] if row.asked else [link(row.go, words[row.may])]
        acts += [link(row.block, words["block"])] if row.sender else []
        acts.append(link(row.delete, words["delete"]))
        asked = f"<br>({escape(words['asked'])})" if row.asked else ""
        items.append(
            f"<li><p><b>{escape(said(row.subject) or words['none'])}</b><br>{escape(words['from'])}:"
            f" {escape(said(row.author) + other(row))}<br>{escape(words['held'])}: {when(row.held_at)}{asked}</p>"
            f"<p>{' &#183; '.join(acts)}</p></li>"
        )
    rest = f"<p>{escape(words['more'].format(more=more))}</p>" if more > 0 else ""
    if done:
        told = "".join(f"<li>{escape(did(one, words=words))}</li>" for one in done)
        rest += f"<p>{escape(words['done'])}</p><ul>{told}</ul>"
    greeting = words["greeting" if rows else "nothing new"].format(to=to)
    return (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8"></head>'
        f"<body><p>{escape(greeting)}</p><ul>{''.join(items)}</ul>{rest}"
        f"<p>{escape(words['links'])}</p><p>{link(console, words['console'])}</p>"
        f"<p><small>{link(stop, words['stop'])}</small></p></body></html>"
    )


def link(url: str, words: str) -> str:
    """An anchor to a URL of ours."""
    return f'<a href="{escape(url, quote=True)}">{escape(words)}</a>'


def said(text: str) -> str:
    """What a stranger wrote, as one printable line; not so that a mail program makes a link of it."""
    return printable(text, LONGEST_TEXT).replace("://", ":\u200b//").replace("www.", "www\u200b.")


def other(row: Row) -> str:
    """The envelope's sender, where the author is another."""
    return f" ({said(row.sender)})" if row.sender and row.sender.lower() not in row.author.lower() else ""


def did(one: Done, *, words: dict[str, str]) -> str:
    """One line."""
    was = words["released" if one.state == "released" else "deleted"].format(
        at=when(one.at), network=one.network
    )
    return f"{said(one.subject) or words['none']} ({said(one.author)}): {was}"


def when(at: float) -> str:
    """In UTC, which both languages read."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
