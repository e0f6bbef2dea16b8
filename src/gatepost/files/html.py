"""Web pages and SVG pictures as attachments: script that builds files, forms that ask for passwords, where it leads.

A page in an attachment runs on the reader's computer, out of reach of whatever filters the web; so what would be
usual on a web site is worth a fact here.
"""

from __future__ import annotations

import re
from typing import Any

from gatepost.files.notes import Notes
from gatepost.files.script import (
    decoded,
    hiding_in,
    judge_script,
    note_urls,
    take_data_url,
    take_packed,
)
from gatepost.mail.address import printable

MAX_PAGE = 6 << 20
MAX_NODES = 20_000

_BUILDS = re.compile(
    r"createObjectURL|msSaveOrOpenBlob|msSaveBlob|new\s+Blob\s*\(|new\s+File\s*\(|showSaveFilePicker",
    re.IGNORECASE,
)
_HANDS_OUT = re.compile(
    r"createObjectURL|msSaveOrOpenBlob|msSaveBlob|\.download\b|setAttribute\(\s*['\"]download|\.click\s*\(|location(?:\.href)?\s*=",
    re.IGNORECASE,
)
_UNPACKS = re.compile(
    r"\batob\s*\(|fromCharCode|charCodeAt|Uint8Array|TextDecoder|FromBase64|unescape\s*\(|\bpako\b|\bJSZip\b",
    re.IGNORECASE,
)
_LEADS_ON = re.compile(
    r"(?:\b(?:window|document|top|self|parent)\.)?\blocation(?:\.href)?\s*=[^=]|\blocation\.(?:replace|assign)\s*\(|window\.open\s*\(",
    re.IGNORECASE,
)
_SENDS = re.compile(
    r"XMLHttpRequest|\bfetch\s*\(|\$\.(?:ajax|post|get)\s*\(|sendBeacon|axios|api\.telegram\.org|emailjs|WebSocket\s*\(",
    re.IGNORECASE,
)
_REFRESH = re.compile(
    r"^\s*\d*\.?\d*\s*[;,]?\s*(?:url\s*=)?\s*['\"]?([^'\"\s].*?)['\"]?\s*$", re.IGNORECASE | re.DOTALL
)
_PREFIXED = re.compile(r"<[\w-]{1,30}:(script|foreignobject)[\s>/]", re.IGNORECASE)
_CHARSET = re.compile(rb"charset\s*=\s*[\"']?([\w-]{2,30})", re.IGNORECASE)
_ASKS = frozenset({"text", "email", "tel", "password", ""})


def read_html(notes: Notes) -> None:
    """A page, or a picture that is one (SVG)."""
    from selectolax.lexbor import LexborHTMLParser

    charset = _CHARSET.search(notes.octets[:2048])
    page = decoded(notes.octets[:MAX_PAGE], charset[1].decode("ascii") if charset else "")
    if len(notes.octets) > MAX_PAGE:
        notes.fact("truncated", f"only the first {MAX_PAGE} octets of the page were read")
    tree = LexborHTMLParser(page.replace("\0", ""))
    scripts = _scripts(notes, tree)
    _judge_scripts(notes, scripts, page)
    _elements(notes, tree)
    _forms(notes, tree, scripts)
    if notes.kind == "svg":
        _picture(notes, tree, page)
    for node in tree.css("script, style, noscript, template"):
        node.decompose()
    body = tree.body
    notes.read(re.sub(r"\s+", " ", body.text(separator=" "))[: notes.limits.max_text] if body else "")


def _scripts(notes: Notes, tree: Any) -> str:
    pieces: list[str] = []
    for node in tree.css("script")[:500]:
        source = _attribute(node, "src") or _attribute(node, "href") or _attribute(node, "xlink:href")
        if source.lower().startswith(("http:", "https:", "//")):
            notes.fact("remote-script", f"it loads script from {printable(source, 120)}")
            notes.link(source)
        elif source.lower().startswith("data:"):
            take_data_url(notes, source, "script.js")
        kind = _attribute(node, "type").lower()
        if kind not in {"application/ld+json", "application/json", "text/template", "text/x-template"}:
            pieces.append(node.text(deep=True) or "")
    handlers = 0
    for count, node in enumerate(tree.css("*")):
        if count >= MAX_NODES:
            break
        for name, value in node.attributes.items():
            low = (value or "").lstrip().lower()
            if name.startswith("on") or (
                name in {"href", "src", "action", "xlink:href", "to", "values"}
                and low.startswith(("javascript:", "vbscript:"))
            ):
                handlers += 1
                pieces.append(value or "")
    scripts = "\n".join(pieces)
    if scripts.strip():
        notes.fact("script", "it holds script", {"characters": len(scripts), "handlers": handlers})
    return scripts


def _judge_scripts(notes: Notes, scripts: str, page: str) -> None:
    builds, hands_out, unpacks = (bool(p.search(scripts)) for p in (_BUILDS, _HANDS_OUT, _UNPACKS))
    packed = take_packed(notes, scripts) if scripts else 0
    if scripts and (unpacks or builds):
        # The octets may stand outside the script, in an attribute or an element it reads.
        packed += take_packed(notes, page) if not packed else 0
    if builds and hands_out and (unpacks or packed):
        notes.fact("html-smuggling", "script in it builds a file on the reader's computer")
    elif packed and unpacks:
        notes.fact("html-smuggling", "script in it unpacks a file that is written into the page")
    if packed:
        notes.fact(
            "html-smuggled-file",
            f"{packed} packed {'file was' if packed == 1 else 'files were'} taken out of it",
        )
    judge_script(notes, scripts)
    note_urls(notes, scripts)
    if _LEADS_ON.search(scripts):
        notes.fact("meta-refresh", "script in it leads the reader on to another page", {"by": "script"})
    if not scripts and (hiding := hiding_in(page[:200_000])):
        notes.fact("obfuscated-script", f"it hides what it does: {', '.join(hiding)}", {"how": hiding})


def _elements(notes: Notes, tree: Any) -> None:
    for node in tree.css("a, area, link, iframe, frame, embed, object, meta, base")[:2000]:
        target = (
            _attribute(node, "href")
            or _attribute(node, "src")
            or _attribute(node, "data")
            or _attribute(node, "xlink:href")
        )
        if node.tag == "meta":
            if _attribute(node, "http-equiv").lower() == "refresh" and (
                found := _REFRESH.match(_attribute(node, "content")[:4000])
            ):
                notes.fact(
                    "meta-refresh", f"it leads the reader on to {printable(found[1], 120)}", {"by": "meta"}
                )
                target = found[1]
            else:
                continue
        elif node.tag == "link":
            continue
        low = target.lstrip().lower()
        if low.startswith("data:"):
            name = _attribute(node, "download")
            content_type = take_data_url(notes, target, name)
            if "download" in node.attributes:
                notes.fact(
                    "html-smuggling",
                    f"a link in it saves a file that is written into the page ({printable(name or content_type, 80)})",
                )
        elif not low.startswith(("javascript:", "#", "about:", "cid:")):
            notes.link(target)
        if "srcdoc" in node.attributes:
            notes.member("srcdoc.html", _attribute(node, "srcdoc").encode("utf-8", "replace"), hidden=True)


def _forms(notes: Notes, tree: Any, scripts: str) -> None:
    passwords = len(tree.css("input[type=password i]")) or bool(
        re.search(r"type\s*[=:]\s*\\?['\"]password", scripts, re.IGNORECASE)
    )
    if passwords:
        notes.fact("password-form", "it asks for a password")
    asks = passwords or any(
        _attribute(node, "type").lower() in _ASKS for node in tree.css("form input")[:200]
    )
    for form in tree.css("form, button[formaction], input[formaction]")[:50]:
        action = _attribute(form, "action") or _attribute(form, "formaction")
        if action.lower().startswith(("http:", "https:", "//")):
            notes.link(action)
            if asks:
                notes.fact(
                    "form-elsewhere",
                    f"what is filled in goes to {printable(action, 120)}",
                    {"action": printable(action, 200)},
                )
        elif action.lower().startswith("mailto:") and asks:
            notes.fact("form-elsewhere", "what is filled in is mailed to somebody")
    if asks and _SENDS.search(scripts):
        notes.fact("form-elsewhere", "script in it sends on what is filled in", {"action": "script"})


def _picture(notes: Notes, tree: Any, page: str) -> None:
    prefixed = {match[1].lower() for match in _PREFIXED.finditer(page)}
    if "script" in prefixed:
        notes.fact("script", "it holds script")
    if (
        "foreignobject" in prefixed
        or tree.css_first("foreignObject, foreignobject")
        or "<foreignobject" in page.lower()
    ):
        notes.fact("foreign-object", "the picture holds a web page")
    if "<!entity" in page[:20_000].lower():
        notes.fact(
            "obfuscated-script", "the picture is written in abbreviations of its own", {"how": ["entities"]}
        )
    for match in re.finditer(r"(?:xlink:)?href\s*=\s*[\"']((?:https?|ftp|file):[^\"']{1,2000})", page):
        notes.link(match[1])


def _attribute(node: Any, name: str) -> str:
    value = node.attributes.get(name)
    return str(value).strip() if value else ""
