"""What mail clients make clickable in plain text: URLs, hosts that begin with www., bare domains, mail addresses never.

Rules as observed with common clients, there is no standard. Everything is found by plain searching, so that time is
linear in the text.
"""

from __future__ import annotations

import re

MAX_URL = 2000

# A URL goes up to a blank, a quote, an angle bracket or ideographic punctuation.
REST = re.compile(
    r"""[^\s<>"\x00-\x1f\u00ab\u00bb\u200b\u2018-\u201f\u3000-\u3002\u3008-\u3011\uff08\uff09\uff0c\uff1b\uff1e]{1,2000}+"""
)
# The same where all is ASCII, which is quicker.
ASCII_REST = re.compile(r"[!#-;=?-~]{1,2000}+")
SCHEME_BEFORE = re.compile(r"(?:https?|hxxps?|ftp)\Z", re.IGNORECASE)
LAST_OF_SCHEME = frozenset("psPS")
ENDING = re.compile(r"\.([A-Za-z]{2,18})(?![\w@-]|\.\w)(?::\d{1,5}(?!\d))?")
HOST_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-."
LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?")
TRAILING = ".,;:!?'*_~|"
OPENING = {")": "(", "]": "[", "}": "{"}

# Top-level domains linked without a scheme: all countries, and those that are in use or abused.
_COUNTRIES = (
    "ac ad ae af ag ai al am ao aq ar as at au aw ax az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf"
    " cg ch ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gd ge gf"
    " gg gh gi gl gm gn gp gq gr gs gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki"
    " km kn kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx"
    " my mz na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc"
    " sd se sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us"
    " uy uz va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_OTHERS = (
    "com net org info biz edu gov mil app dev xyz online site shop store top club live icu vip win link click cloud space"
    " website tech fun life world email agency center company digital group solutions services support today global"
    " finance bank mobi asia jobs travel tel cfd sbs buzz monster cyou bond lat quest cam blog news systems network wiki"
    " ltd llc gmbh inc pro"
)
# Endings of file names more often than of domains.
_FILES = "ai cc gs md ml mm pl ps py rs sh so"
COUNTRIES, OTHERS, FILES = (frozenset(each.split()) for each in (_COUNTRIES, _OTHERS, _FILES))


def clickable(text: str, limit: int = 500) -> list[str]:
    """URLs in order of appearance, ``http://`` before those without a scheme; at most `limit`."""
    found: dict[int, tuple[int, str]] = {}
    colon, dot = ":" in text, "." in text
    if colon:
        _with_scheme(text, "://", found, limit)
        if ":\\\\" in text:
            _with_scheme(text, ":\\\\", found, limit)
    marked = colon or (dot and ("www" in text or "WWW" in text or "Www" in text))
    lowered = text.lower() if marked else ""
    if len(lowered) == len(text):
        for mark, before in (("www.", "http://"), ("mailto:", ""), ("tel:", "")):
            _with_mark(text, lowered, (mark, before), found, limit)
    if dot:
        _bare(text, found, limit)
    return [url for _, (_, url) in sorted(found.items())][:limit]


def _with_scheme(text: str, mark: str, found: dict[int, tuple[int, str]], limit: int) -> None:
    at = text.find(mark)
    while at >= 0 and len(found) < limit:
        scheme = (
            SCHEME_BEFORE.search(text, max(0, at - 5), at) if text[at - 1 : at] in LAST_OF_SCHEME else None
        )
        after = at + len(mark)
        rest = _rest(text).match(text, after) if scheme is not None else None
        if scheme is not None and rest is not None:
            url = text[scheme.start() : at] + mark + _trimmed(rest[0])
            if url[:4].lower() == "hxxp":
                url = "http" + url[4:]
            found[scheme.start()] = (rest.end(), url)
            after = rest.end()
        at = text.find(mark, after)


def _with_mark(
    text: str, lowered: str, mark: tuple[str, str], found: dict[int, tuple[int, str]], limit: int
) -> None:
    at = lowered.find(mark[0])
    while at >= 0 and len(found) < limit:
        after = at + len(mark[0])
        before = text[at - 1 : at]
        inside = before.isalnum() or before in {"/", "@", ".", "-", "_"}
        rest = None if inside else _rest(text).match(text, after)
        if rest is not None:
            found.setdefault(at, (rest.end(), mark[1] + text[at:after] + _trimmed(rest[0])))
            after = rest.end()
        at = lowered.find(mark[0], after)


def _bare(text: str, found: dict[int, tuple[int, str]], limit: int) -> None:
    """Domains without anything before them."""
    taken = sorted((start, end) for start, (end, _) in found.items())
    place = 0
    for match in ENDING.finditer(text):
        ending = match[1].lower()
        if ending not in COUNTRIES and ending not in OTHERS:
            continue
        dot = match.start()
        head = text[max(0, dot - 80) : dot]
        host = head[len(head.rstrip(HOST_LETTERS)) :]
        start = dot - len(host)
        before = text[start - 1 : start]
        if before.isalnum() or before in {"@", "_", "/", "\\", "=", ":", "%", "&", "#", "?", "$"}:
            continue
        if not host or not all(LABEL.fullmatch(label) for label in host.split(".")):
            continue
        while place < len(taken) and taken[place][1] <= start:
            place += 1
        if place < len(taken) and taken[place][0] <= start:
            continue
        end = match.end()
        rest = _rest(text).match(text, end) if text[end : end + 1] in {"/", "?", "#"} else None
        if rest is None and ending in FILES and "." not in host:
            continue
        found[start] = (end, "http://" + _trimmed(text[start : rest.end() if rest is not None else end]))
        if len(found) >= limit:
            break


def _rest(text: str) -> re.Pattern[str]:
    return ASCII_REST if text.isascii() else REST


def _trimmed(url: str) -> str:
    """Without the punctuation of the sentence, and without a bracket that was opened before the URL."""
    for _ in range(min(20, len(url))):
        last = url[-1]
        unopened = last in OPENING and url.count(last) > url.count(OPENING[last])
        if not unopened and last not in TRAILING:
            break
        url = url[:-1]
    return url
