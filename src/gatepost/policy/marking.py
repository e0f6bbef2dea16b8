"""Which changes a recipient's copy is delivered with: tag, banner, attachments taken out. Pure.

A tag or a banner breaks a signature that covers the subject or the text. Where the author's domain has signed, or a
forwarder has sealed, whoever gets the copy from us may rely on it; so they are left out there unless the settings say otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from gatepost.mail.address import Address
from gatepost.mail.authresults import AuthResults
from gatepost.mail.verdict import Action, Change, Verdict
from gatepost.policy.judge import Policy
from gatepost.policy.settings import Language, Mark, MarkingSettings, MarkOverride

BANNERS = {
    Language.EN: "Caution: there are signs that this message is not what it seems. Do not open links or attachments before"
    " you have asked the sender in another way.",
    Language.JA: "注意: このメールには不審な点があります。別の方法で差出人に確認するまで、リンクや添付ファイルを開かないでください。",
}
NOTES = {
    Language.EN: "An attachment was taken out of this message before it was delivered: {files}. The whole message is kept."
    " If you need it, ask your postmaster for {ref}.",
    Language.JA: "このメールの添付ファイルは配送前に取り除かれました: {files}。元のメールは保管されています。必要な場合は、管理者に"
    "照会番号 {ref} を伝えてください。",
}
STRIP = "attachments.strip"
"""The fact that asks for parts to be taken out; evidence ``parts`` and ``files``."""
CATEGORIES = {
    "links": "phishing", "lookalike": "phishing", "phishing": "phishing", "blocked": "blocked", "attachment": "attachment",
    "content": "spam", "reputation": "spam",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Marking:
    """The settings, ready to be asked for each recipient."""

    settings: MarkingSettings = field(default_factory=MarkingSettings)
    by_recipient: Mapping[str, MarkOverride] = field(default_factory=dict)
    active: bool = False
    """Is anything marked at all?"""

    @classmethod
    def of(cls, settings: MarkingSettings) -> Marking:
        """Later overrides of the same recipient win."""
        table = {name.lower().lstrip("@"): one for one in settings.overrides for name in one.recipients}
        marks = [settings.junk, settings.deliver]
        marks += [mark for one in settings.overrides for mark in (one.junk, one.deliver) if mark is not None]
        return cls(settings, table, any(mark.tag or mark.banner for mark in marks))

    def for_recipient(self, address: Address) -> MarkingSettings:
        """What holds for an address: its own override, else its domain's, else everybody's."""
        found = self.by_recipient.get(address.key.lower()) or self.by_recipient.get(address.domain.lower())
        if found is None:
            return self.settings
        ours = self.settings
        return replace(
            ours,
            junk=ours.junk if found.junk is None else found.junk,
            deliver=ours.deliver if found.deliver is None else found.deliver,
            language=ours.language if found.language is None else found.language,
        )


def marks(
    verdict: Verdict, settings: MarkingSettings, auth: AuthResults, *, sent_on: bool = False
) -> tuple[Change, ...]:
    """Tag and banner for a copy that is delivered or goes to Junk. Of one that is `sent_on` to another domain no signature is
    broken whatever the settings say: the next host would refuse it for that."""
    mark = _mark(verdict, settings)
    if mark is None or not (mark.tag or mark.banner):
        return ()
    relied_on = None if mark.despite_signatures and not sent_on else signature_relied_on(auth)
    if relied_on is not None:
        return (Change(kind="kept", text=f"no tag or banner, because it would break {relied_on}"),)
    found = [Change(kind="tag", text=mark.tag)] if mark.tag else []
    if mark.banner:
        text = settings.banner_text or BANNERS[settings.language]
        found.append(Change(kind="banner", text=f"{text}\n{BANNERS[Language.EN]}"))
    return tuple(found)


def _mark(verdict: Verdict, settings: MarkingSettings) -> Mark | None:
    if verdict.action is Action.JUNK:
        return settings.junk
    if verdict.action is not Action.DELIVER:
        return None
    named = settings.deliver_facts
    seen = bool(named) and any(
        one.finding.name in named and one.excused_by is None for one in verdict.weighed
    )
    return settings.deliver if seen or verdict.score >= settings.deliver_from else None


def signature_relied_on(auth: AuthResults) -> str | None:
    """What somebody behind us may verify again, in words."""
    author = auth.dmarc.author_domain or ""
    for one in auth.dkim:
        if one.result == "pass" and (
            author == one.domain or author.endswith("." + one.domain) or one.domain.endswith("." + author)
        ):
            return f"the signature of {one.domain}"
    if auth.arc.result == "pass" and auth.arc.sealers:
        return f"the seal of {auth.arc.sealers[-1]}"
    return None


def strip(verdict: Verdict, settings: MarkingSettings, ref: str) -> Change | None:
    """The parts to be taken out of a copy that goes on; None when nothing asks for that, or the fact only observes."""
    if verdict.action not in (Action.DELIVER, Action.JUNK):
        return None
    for one in verdict.weighed:
        if one.finding.name == STRIP and one.mode == "enforce" and one.excused_by is None:
            parts, files = one.finding.evidence.get("parts"), one.finding.evidence.get("files")
            numbers = [int(text) for text in parts if text.isdecimal()] if isinstance(parts, list) else []
            names = ", ".join(name[:100] for name in files[:5]) if isinstance(files, list) else ""
            text = NOTES[settings.language].format(files=names or "?", ref=ref)
            return Change(kind="strip", text=text, parts=tuple(numbers))
    return None


def category(verdict: Verdict, policy: Policy) -> str:
    """What a held copy is held as. Malware whatever decided, and whether it was enforced: letting it go takes more."""
    groups = {
        policy.rule_of(one.finding).group
        for one in verdict.weighed
        if one.weight > 0 or policy.rule_of(one.finding).action
    }
    if "malware" in groups:
        return "malware"
    rule = policy.rules.get(verdict.rule)
    if rule is not None:
        check = verdict.rule.partition(".")[0]
        return CATEGORIES.get(rule.group) or (
            "authentication" if check in ("dmarc", "spf", "dkim") else check
        )
    for group in ("phishing", "lookalike", "links", "attachment"):
        if group in groups:
            return CATEGORIES[group]
    return "spam"
