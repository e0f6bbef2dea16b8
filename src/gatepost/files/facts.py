"""All facts a look into a file may report, and what each means.

Checks judge them by name; a test holds the parsers to this list.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FACTS: Mapping[str, str] = MappingProxyType(
    {
        # Of the look itself
        "failed": "A parser gave up on it: it is broken, or was made to break parsers.",
        "truncated": "There is more in it than is looked at: too large, too many, or too deep.",
        "unreadable": "Nothing here can open this kind, or this way of packing.",
        "encrypted": "It, or something in it, cannot be read without a password.",
        "password-found": "A password from the mail opened it.",
        # Names
        "double-extension": "The name ends like a document and then like a program.",
        "rtl-override": "The name holds a code point that turns the direction of writing, so that its end is shown elsewhere.",
        "padded-name": "Many blanks push the true ending of the name out of sight.",
        "trailing-dot": "The name ends in a dot or blank, which Windows drops: its ending is not what it seems.",
        "control-in-name": "The name holds control or invisible characters.",
        "name-mismatch": "It is not what the ending of its name says.",
        "disguised": "It runs, or opens like a program or web page, and its name says document, picture or text.",
        "declared-mismatch": "It is not what its declared content type says.",
        "polyglot": "It is two kinds of file at once; which one depends on the reader.",
        # Archives
        "bomb": "It unpacks to far more than anybody sends.",
        "ambiguous-archive": "Two readers of this archive could unpack different files.",
        "path-escape": "A member's name leads out of the folder it is unpacked into.",
        "link-member": "A member is a link to another file.",
        # Office
        "macro": "It holds macros.",
        "macro-autoexec": "A macro runs by itself when it is opened or closed.",
        "macro-suspicious": "A macro starts programs, fetches from the net or hides what it does.",
        "macro-stomped": "A macro's source was removed or replaced; what runs is compiled code only.",
        "excel4-macro": "It holds an Excel 4 macro sheet.",
        "remote-template": "It loads a template from elsewhere when it is opened, macros included.",
        "external-object": "It loads an object or frame from elsewhere when it is opened.",
        "embedded-object": "Another file or object is embedded.",
        "activex": "It holds ActiveX controls.",
        "dde": "A field asks another program for data (DDE), which can start any program.",
        "equation-editor": "It calls the old equation editor, known for its holes.",
        # PDF
        "pdf-javascript": "It holds JavaScript.",
        "pdf-open-action": "It does something by itself when it is opened.",
        "pdf-launch": "It starts a program or opens a file.",
        "pdf-embedded-file": "Another file is embedded.",
        "pdf-form": "It sends what is filled in to a server.",
        "pdf-xfa": "It holds an XFA form, which may hold scripts.",
        # Pictures
        "qr-code": "It shows a QR, Aztec or DataMatrix code.",
        "text-qr": "Letters draw a QR code.",
        # Web pages
        "script": "It holds script.",
        "html-smuggling": "Script in it builds a file on the reader's computer.",
        "html-smuggled-file": "The file that its script would build was taken out; it is reported as a member.",
        "password-form": "It asks for a password.",
        "form-elsewhere": "What is filled in is sent to another place, or by script.",
        "meta-refresh": "It leads the reader on by itself.",
        "obfuscated-script": "Its script is written so that nobody can read it.",
        "remote-script": "It loads script from elsewhere.",
        "foreign-object": "A picture holds a web page.",
        # Shortcuts and notebooks
        "command-line": "A shortcut starts a program with arguments.",
        "shortcut-target": "A shortcut leads to an address or file elsewhere.",
        "onenote-file": "A file is embedded in a notebook.",
        "remote-desktop": "It connects the reader's computer to a server, sharing what the file says.",
        "suspicious-command": "Script text in it calls programs that fetch or run others.",
    }
)
