"""What the check `attachments` may report, and what each is worth by default; and which fact of a file becomes which.

Weights are log-odds by experience: what only malware does is worth a quarantine by itself, what also happens in
honest mail is worth little. A plain document, a picture, or an archive is worth nothing.
"""

from __future__ import annotations

from gatepost.checks.check import Emits
from gatepost.mail.verdict import Action

HERE = "operating guide, “Attachments and malware”"


def _fact(
    name: str, weight: float, about: str, *, measured: bool = False, group: str = "attachment"
) -> Emits:
    return Emits(
        name=f"attachments.{name}",
        about=about,
        reference=HERE,
        weight=weight,
        group=group,
        measured=measured,
    )


PROGRAM = _fact("program", 4.0, "A program is attached, or in an archive that is.")
SCRIPT = _fact("script", 3.0, "A script is attached, or in an archive that is.")
SHORTCUT = _fact("shortcut", 2.5, "A shortcut is attached, or in an archive that is.")
INSTALLER = _fact("installer", 4.0, "An installer or app package is attached.")
DISK_IMAGE = _fact(
    "disk-image", 3.0, "A disk image is attached: what is in one escapes the marks of the web."
)
NOTEBOOK = _fact("notebook", 1.0, "A OneNote notebook is attached.")
PAGE = _fact("page", 0.5, "A web page is attached as a file.")
MACRO_DOCUMENT = _fact("macro-document", 0.3, "A document of a type that holds macros is attached.")

NAME = _fact(
    "deceptive-name", 5.0, "The name of a file hides that it runs: two endings, turned or unseen characters."
)
ODD_NAME = _fact("odd-name", 1.0, "The name of a file holds invisible characters or a misleading end.")
DISGUISED = _fact("disguised", 5.0, "A file that runs has the name of a document, picture or text.")
MISMATCH = _fact("type-mismatch", 0.7, "A file is not what its name or declared type says.")
POLYGLOT = _fact("polyglot", 2.5, "A file is two kinds at once, depending on who reads it.")

BOMB = _fact("bomb", 4.0, "A file unpacks to far more than anybody sends.")
AMBIGUOUS = _fact("ambiguous-archive", 2.0, "Two programs could unpack different files from an archive.")
ESCAPE = _fact(
    "path-escape", 4.0, "An archive's member would be written outside the folder it is unpacked into."
)
ENCRYPTED = _fact("encrypted", 1.0, "A file is locked, and nothing in the mail opened it.")
UNLOCKED = _fact(
    "unlocked", 2.5, "A locked file was opened with a password from the mail: it is locked against us."
)
UNREADABLE = _fact("unreadable", 0.5, "A file, or part of one, could not be looked into.")
FAILED = _fact("failed", 1.0, "The look into a file failed: it is broken, or made to break whoever reads it.")

MACRO = _fact("macro", 0.7, "A document holds macros.")
MACRO_AUTO = _fact("macro-autoexec", 1.7, "A macro runs by itself when the document is opened.")
MACRO_SUSPICIOUS = _fact(
    "macro-suspicious", 2.5, "A macro starts programs, fetches from the net or hides what it does."
)
MACRO_DANGEROUS = _fact(
    "macro-dangerous", 7.0, "A macro runs by itself, and starts programs, fetches or hides."
)
REMOTE_TEMPLATE = _fact(
    "remote-template", 4.5, "A document loads a template or object from elsewhere when it is opened."
)
DDE = _fact("dde", 4.5, "A field of a document starts a program.")
EXPLOIT = _fact("exploit", 5.0, "A document calls a component that is known for its holes.")
ACTIVE_OBJECT = _fact("active-object", 1.0, "A document holds controls or embedded files.")

PDF_LAUNCH = _fact("pdf-launch", 5.0, "A PDF starts a program.")
PDF_SCRIPT = _fact("pdf-script", 0.7, "A PDF holds script, or does something by itself when it is opened.")

SMUGGLING = _fact("html-smuggling", 6.0, "Script in an attached page builds a file on the reader's computer.")
PASSWORD_FORM = _fact("password-form", 5.0, "An attached page asks for a password.")
OBFUSCATED = _fact(
    "obfuscated-page", 3.5, "Script in an attached page or picture is written so that nobody can read it."
)
ACTIVE_PAGE = _fact(
    "active-page", 1.5, "An attached page or picture holds script, or leads the reader on by itself."
)
COMMAND = _fact(
    "command-line", 4.0, "A shortcut, script or notebook starts programs that fetch or run others."
)

YARA = _fact(
    "yara", 1.0, "One of the operator's YARA rules matches; the rule says what it is worth.",
    measured=True, group="malware",
)  # fmt: skip

RULES_NOT_RUN = _fact(
    "rules-not-run",
    0.0,
    "No child could be had to run the operator's YARA rules over a message without attachments.",
)

REFUSED = Emits(
    name="attachments.refused", about="A type of attachment that the postmaster refuses.", reference=HERE,
    group="attachment", action=Action.REFUSE,
)  # fmt: skip
QUARANTINED = Emits(
    name="attachments.quarantined", about="A type of attachment that is held for somebody to look at.",
    reference=HERE, group="attachment", action=Action.QUARANTINE,
)  # fmt: skip
STRIP = Emits(
    name="attachments.strip", about="A type of attachment that is taken out before delivery; the original is kept.",
    reference=HERE,
)  # fmt: skip

BY_FAMILY = {
    "program": PROGRAM, "script": SCRIPT, "shortcut": SHORTCUT, "installer": INSTALLER, "disk-image": DISK_IMAGE,
    "notebook": NOTEBOOK, "page": PAGE, "macro-document": MACRO_DOCUMENT,
}  # fmt: skip
"""By the family of `files.kinds`; the others say nothing by themselves."""

BY_FACT = {
    "double-extension": NAME, "rtl-override": NAME, "padded-name": NAME, "trailing-dot": ODD_NAME,
    "control-in-name": ODD_NAME, "name-mismatch": MISMATCH, "declared-mismatch": MISMATCH, "disguised": DISGUISED,
    "polyglot": POLYGLOT, "bomb": BOMB, "ambiguous-archive": AMBIGUOUS, "path-escape": ESCAPE, "link-member": AMBIGUOUS,
    "encrypted": ENCRYPTED, "password-found": UNLOCKED, "unreadable": UNREADABLE, "truncated": UNREADABLE,
    "failed": FAILED, "macro": MACRO, "macro-autoexec": MACRO_AUTO, "macro-suspicious": MACRO_SUSPICIOUS,
    "macro-dangerous": MACRO_DANGEROUS, "macro-stomped": MACRO_SUSPICIOUS, "excel4-macro": MACRO_SUSPICIOUS,
    "remote-template": REMOTE_TEMPLATE, "external-object": REMOTE_TEMPLATE, "embedded-object": ACTIVE_OBJECT,
    "activex": ACTIVE_OBJECT, "dde": DDE, "equation-editor": EXPLOIT, "pdf-javascript": PDF_SCRIPT,
    "pdf-open-action": PDF_SCRIPT, "pdf-xfa": PDF_SCRIPT, "pdf-launch": PDF_LAUNCH, "html-smuggling": SMUGGLING,
    "html-smuggled-file": SMUGGLING, "password-form": PASSWORD_FORM, "obfuscated-script": OBFUSCATED,
    "script": ACTIVE_PAGE, "form-elsewhere": ACTIVE_PAGE, "meta-refresh": ACTIVE_PAGE, "remote-script": ACTIVE_PAGE,
    "foreign-object": ACTIVE_PAGE, "command-line": COMMAND, "suspicious-command": COMMAND,
    "onenote-file": ACTIVE_OBJECT,
}  # fmt: skip
"""By the fact's name in `files.facts`; the others only add to what is known of a file."""

EMITS = tuple(
    dict.fromkeys((*BY_FAMILY.values(), *BY_FACT.values(), YARA, RULES_NOT_RUN, REFUSED, QUARANTINED, STRIP))
)
