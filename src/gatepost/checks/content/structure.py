"""Is the message built so that programs and people see different things?

Ambiguities of MIME, parts nobody can look into, text that is hidden, and character sets that are not what they say.
Honest programs err as well, so most facts weigh little; what cannot be inspected at all is held.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gatepost.checks.check import BOTH_WAYS, Check, Emits
from gatepost.mail.client import Mail
from gatepost.mail.content import Content, content_of
from gatepost.mail.finding import Evidence, Finding, Mode
from gatepost.mail.part import AMBIGUITIES
from gatepost.mail.verdict import Action
from gatepost.tools import Tools

TRUNCATED = Emits(
    name="structure.too_many_parts",
    about="There are more parts, or deeper ones, than can be looked at.",
    reference="RFC 2046 §5.1",
    group="content",
    action=Action.QUARANTINE,
)
PARTIAL = Emits(
    name="structure.fragment",
    about="It is a fragment of a message: nobody can see what the whole is.",
    reference="RFC 2046 §5.2.2",
    group="content",
    action=Action.QUARANTINE,
)
EXTERNAL = Emits(
    name="structure.external_body",
    about="The content is not in the message but somewhere else.",
    reference="RFC 2046 §5.2.3",
    weight=1.0,
    group="content",
)
EVASIVE = Emits(
    name="structure.ambiguous",
    about="Programs disagree about what is in the message, as evasion would have it.",
    reference="RFC 2045, RFC 2046 §5.1.1",
    weight=1.5,
    group="content",
)
ODD = Emits(
    name="structure.odd",
    about="The message breaks rules of MIME, as careless programs do too.",
    reference="RFC 2045, RFC 2046",
    weight=0.3,
    group="content",
)
TOO_MUCH = Emits(
    name="structure.too_much_to_read",
    about="There are more links, or more HTML, than are read with care.",
    reference="configuration reference, [checks.structure]",
    weight=0.5,
    group="content",
)
HIDDEN = Emits(
    name="structure.hidden_text",
    about="There is text that a reader cannot see.",
    reference="configuration reference, [checks.structure]",
    weight=0.2,
    group="content",
)
MUCH_HIDDEN = Emits(
    name="structure.much_hidden_text",
    about="There is more text that a reader cannot see than text that they can.",
    reference="configuration reference, [checks.structure]",
    weight=0.8,
    group="content",
)
SPLIT_WORDS = Emits(
    name="structure.split_words",
    about="Words are cut by characters that nobody sees.",
    reference="configuration reference, [checks.structure]",
    weight=1.5,
    group="content",
)
BIDI = Emits(
    name="structure.reordered_text",
    about="Text is made to be seen in another order than it is written in.",
    reference="configuration reference, [checks.structure]",
    weight=1.5,
    group="content",
)
CHARSET = Emits(
    name="structure.wrong_charset",
    about="Text is not in the character set it is declared to be in.",
    reference="RFC 2046 §4.1.2",
    weight=0.3,
    group="content",
)
UTF7 = Emits(
    name="structure.utf7",
    about="Text is in UTF-7, which only some programs read.",
    reference="RFC 2152",
    weight=1.5,
    group="content",
)

# What honest programs hardly ever write, and what shows one thing to a filter and another to a reader.
AS_EVASION = frozenset({
    "second-content-type", "second-encoding", "header-ends-early", "several-boundaries", "after-close",
    "encoded-multipart", "base64-inner-padding", "filenames-disagree", "leading-blank",
})  # fmt: skip
# Known for what they are, and looked into.
UNREMARKABLE = frozenset({
    "uuencode", "yenc", "missing-close", "undeclared-multipart", "around-parts", "message-partial", "external-body",
    "sealed",
})  # fmt: skip
OVERRIDES = "\u202d\u202e"
# Honest newsletters hide a line of preview, and pad it.
HONEST_HIDDEN = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureSettings:
    """How the message is built."""

    mode: Mode = Mode.ENFORCE
    """off, observe or enforce."""


async def structure(mail: Mail, tools: Tools, settings: StructureSettings) -> Sequence[Finding]:
    """What is odd about the parts and the texts."""
    del tools, settings
    content = content_of(mail.message)
    return [*_of_parts(content), *_of_texts(content)]


def _of_parts(content: Content) -> list[Finding]:
    found = []
    tree = content.tree
    if tree.truncated:
        text = f"the message has too many parts, or too deep ones: {len(tree.parts)} were looked at"
        found.append(TRUNCATED.found(text, {"parts": len(tree.parts)}))
    if not tree.ambiguities:
        return found
    names = dict.fromkeys(one.name for one in tree.ambiguities)
    if "message-partial" in names:
        found.append(
            PARTIAL.found("the message is a fragment of another; what is in the whole cannot be seen")
        )
    if "external-body" in names:
        found.append(EXTERNAL.found("the content of a part is somewhere else"))
    for fact, kinds in ((EVASIVE, AS_EVASION), (ODD, AMBIGUITIES.keys() - AS_EVASION - UNREMARKABLE)):
        seen = [name for name in names if name in kinds]
        if seen:
            found.append(fact.found("; ".join(AMBIGUITIES[name] for name in seen), {"ambiguities": seen}))
    return found


def _of_texts(content: Content) -> list[Finding]:
    found = []
    how = {each for one in content.texts for each in one.hidden_how}
    if how - {"comment", "zero-width"}:
        hidden, visible = sum(len(one.hidden) for one in content.texts), len(content.text)
        much = hidden > HONEST_HIDDEN and hidden > 2 * visible
        evidence: Evidence = {"hidden": hidden, "visible": visible, "how": sorted(how)}
        text = f"{hidden} characters of text cannot be seen, {visible} can ({', '.join(sorted(how))})"
        if hidden:
            found.append((MUCH_HIDDEN if much else HIDDEN).found(text, evidence))
    too_much = ["links"] if content.too_many_links else []
    too_much += ["HTML"] if any(one.coarse for one in content.texts) else []
    if too_much:
        what = " and ".join(too_much)
        found.append(TOO_MUCH.found(f"there is more {what} than is read with care", {"of": too_much}))
    if "zero-width" in how:
        found.append(SPLIT_WORDS.found("words are cut by characters that nobody sees"))
    if any(one in content.text for one in OVERRIDES):
        found.append(BIDI.found("text is made to be seen in another order than it is written in"))
    for one in content.texts:
        if one.charset_lie == "utf-7":
            found.append(UTF7.found("text is in UTF-7, which only some programs read"))
            break
    lies = sorted({one.charset for one in content.texts if one.charset_lie == "not-as-declared"})
    if lies:
        text = f"text is not in the character set it is declared to be in (read as {', '.join(lies)})"
        found.append(CHARSET.found(text, {"read_as": lies}))
    return found


STRUCTURE = Check(
    name="structure",
    subject=Mail,
    settings=StructureSettings,
    run=structure,
    ways=BOTH_WAYS,
    emits=(
        TRUNCATED, PARTIAL, EXTERNAL, EVASIVE, ODD, TOO_MUCH, HIDDEN, MUCH_HIDDEN, SPLIT_WORDS, BIDI, CHARSET, UTF7,
    ),
    asks=False,
)  # fmt: skip
