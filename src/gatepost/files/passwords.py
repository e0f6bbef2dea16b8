"""Passwords for locked attachments that the mail itself names: senders of malware lock it, and tell the reader how to open it.

In the languages such mail is written in. Pure; a locked file is tried with few passwords, so the likeliest come first.
"""

from __future__ import annotations

import re

from gatepost.mail.content import Content

MAX_PASSWORDS = 20
MAX_READ = 50_000
"""Characters of text that are searched."""
MAX_NAMES = 50
USUAL = ("infected", "1234", "12345", "123456", "password")
"""Tried when the mail names none, or none that fits."""

_WORDS = (
    r"pass\s?(?:word|code|wort|phrase)s?|passwd|pass|pwd|p/w|pw|pin(?: code)?|code|key|kennwort|passwort|zugangscode|mot de passe|"
    r"contrase[nñ]a|clave|senha|palavra-passe|has[lł]o|heslo|lozinka|wachtwoord|l[oö]senord|adgangskode|salasana|jelsz[oó]|"
    r"parol[aăe]?|şifre|sifre|пароль|пароля|mật khẩu|パスワード|パス|暗証番号|暗号|解凍キー|密码|密碼|口令|解压码|解壓碼|提取码|"
    r"비밀번호|암호|패스워드|كلمة (?:السر|المرور)|סיסמה|κωδικός"
)
_NAMED = re.compile(
    rf"(?:{_WORDS})[^\S\n]*(?:\([^)\n]{{0,30}}\)|(?:for|to|zum|f[uü]r|pour|para|per)[^:：=\n]{{0,40}}(?=[:：=]))?"
    rf"\s*(?:is|are|ist|lautet|est|es|é|è|to|は|が|为|是|[:：=>\-–—])*\s*[\"'“”„‚‘’«»「」『』【】<>\[\]()]*"
    rf"(?P<word>[^\s\"“”„«»「」『』【】]{{1,64}})",
    re.IGNORECASE,
)
_AROUND = "\"'“”„‚‘’«»「」『』【】()[]<>.,;:!?。、，"
_NO_PASSWORD = frozenset(
    [
        "is",
        "are",
        "the",
        "a",
        "to",
        "for",
        "of",
        "and",
        "or",
        "your",
        "my",
        "our",
        "in",
        "on",
        "has",
        "was",
        "protected",
        "reset",
        "change",
        "email",
        "account",
        "attachment",
        "file",
    ]
)


def passwords_in(content: Content) -> list[str]:
    """What subject, text and the names of files call a password, in their order, then what is usual; at most MAX_PASSWORDS."""
    names = "\n".join(_in_words(part.filename) for part in content.attachments[:MAX_NAMES])
    return passwords_in_text(f"{content.subject}\n{content.text[:MAX_READ]}\n{names}")


def _in_words(name: str) -> str:
    """``password_Xy77.png`` as one would say it."""
    base, dot, ending = name.rpartition(".")
    return re.sub(r"[_+.]", " ", base if dot and len(ending) < 6 else name)


def passwords_in_text(text: str) -> list[str]:
    """The same of any text."""
    found: dict[str, None] = {}
    for match in _NAMED.finditer(text):
        word = match["word"]
        for candidate in (word.strip(_AROUND), word.rstrip(".,;。、"), word):
            if candidate and candidate.lower() not in _NO_PASSWORD:
                found[candidate] = None
        if len(found) >= MAX_PASSWORDS - len(USUAL):
            break
    named = list(found)[: MAX_PASSWORDS - len(USUAL)]
    return [*named, *(one for one in USUAL if one not in found)]
