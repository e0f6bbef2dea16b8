"""The demo's attacks: harmless copies of what is sent today. Names end in .example and lead nowhere; nothing here runs.

The test file of the anti-virus makers stands here in two halves, so that no scanner takes this program for it.
"""

from __future__ import annotations

import io
import zipfile

from gatepost.demo.story import Attached, Case, at_ours

EICAR = (rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$", b"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*")
"""https://www.eicar.org/download-anti-malware-testfile/"""
QR_LINK = "http://post-service.example/release?parcel=48213"

YARA_RULES = """\
rule eicar_test_file
{
    meta:
        description = "the test file of the anti-virus makers: harmless, and found by everybody who looks"
        weight = 10.0
    strings:
        $first = "X5O!P%@AP[4\\\\PZX54(P^)7CC)7}$"
        $second = "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!"
    condition:
        all of them
}
"""
"""A rule of the operator's own, as it lies in the demo's folder `yara`."""


def zipped(files: dict[str, bytes]) -> bytes:
    """A zip archive of these files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, octets in files.items():
            archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), octets)
    return buffer.getvalue()


def eicar() -> tuple[Attached, ...]:
    """The test file, in a zip in a zip."""
    inner = zipped({"notes.txt": b"see the other file", "eicar.com": b"".join(EICAR)})
    return (Attached("tools.zip", "application/zip", zipped({"deeper.zip": inner})),)


def macro_workbook() -> tuple[Attached, ...]:
    """A workbook with a macro sheet that would run a program when it is opened."""
    parts = {
        "[Content_Types].xml": b'<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "xl/workbook.xml": b'<workbook><definedNames><definedName name="_xlnm.Auto_Open">Macro1!$A$1</definedName></definedNames></workbook>',
        "xl/macrosheets/sheet1.xml": b'<xm:macrosheet xmlns:xm="http://schemas.microsoft.com/office/excel/2006/main"><f>EXEC(&quot;notepad.exe&quot;)</f><f>HALT()</f></xm:macrosheet>',
    }
    return (Attached("invoice-48213.xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12", zipped(parts)),)


def smuggled_page() -> tuple[Attached, ...]:
    """A page that builds a file out of its own script, so that no gateway sees it as an attachment."""
    page = b"""<!doctype html>
<html><body><p>Your document is being prepared &hellip;</p>
<script>
var packed = "VGhpcyBpcyBvbmx5IHRoZSBkZW1vLg==";
var octets = Uint8Array.from(atob(packed), function (c) { return c.charCodeAt(0); });
var blob = new Blob([octets], {type: "application/octet-stream"});
var link = document.createElement("a");
link.href = window.URL.createObjectURL(blob);
link.download = "document.iso";
link.click();
</script></body></html>
"""
    return (Attached("shared-document.html", "text/html", page),)


def qr_picture() -> tuple[Attached, ...]:
    """A picture whose code leads where no link in the text does."""
    import zxingcpp
    from PIL import Image

    code = zxingcpp.create_barcode(QR_LINK, zxingcpp.BarcodeFormat.QRCode)
    buffer = io.BytesIO()
    Image.fromarray(zxingcpp.write_barcode_to_image(code, scale=6)).save(buffer, "PNG")
    return (Attached("code.png", "image/png", buffer.getvalue()),)


ATTACKS: tuple[Case, ...] = (
    Case(
        name="phishing", about="the link shows the bank's address and leads elsewhere; the sender is proved, and still a stranger",
        client="203.0.113.80", hello="mail.account-check.example", sender="security@account-check.example", to=at_ours("ben"),
        author="Bank Security Team <security@account-check.example>", subject="Unusual sign-in: verify your account",
        text="Dear customer,\r\n\r\nwe noticed unusual activity and have limited your account. Verify your identity within 24 hours,"
        " or your account will be closed:\r\n\r\nhttps://www.bank.example/verify\r\n\r\nSecurity department\r\n",
        html='<p>Dear customer,</p><p>we noticed unusual activity and have limited your account. Verify your identity within'
        ' 24 hours, or your account will be closed:</p><p><a href="http://account-check.example/bank.example/login?user=ben@harbour.example">'
        "https://www.bank.example/verify</a></p><p>Security department</p>",
    ),
    Case(
        name="lookalike", about="our own domain with a nought for an o, and the managing director's name: a transfer, today",
        client="203.0.113.81", hello="mail.harb0ur.example", sender="ana@harb0ur.example", to=at_ours("ben"),
        author="Ana Moreno <ana@harb0ur.example>", subject="Re: payment today",
        text="Ben,\r\n\r\nare you at your desk? I need an urgent wire transfer of 24,800 EUR to a new supplier today. I am in a meeting and"
        " cannot talk; keep this confidential and send me the confirmation by mail. The new bank details follow.\r\n\r\nAna Moreno\r\n"
        "Managing director\r\nSent from my phone\r\n",
        extra=(("Reply-To", "Ana Moreno <ana.moreno.office@mailbox.example>"),),
    ),
    Case(
        name="qr-lure", about="no link in the text at all: the picture holds a QR code, and that leads to a stranger's page",
        client="203.0.113.82", hello="mail.post-service.example", sender="info@post-service.example", to=at_ours("chie"),
        author="Parcel service <info@post-service.example>", subject="Parcel held at customs: scan to release",
        text="Dear customer,\r\n\r\nyour parcel 48213 is held because of unpaid customs duties of 1.99 EUR. Scan the code with your telephone"
        " to pay, or it is returned to the sender within 24 hours.\r\n\r\nDelivery team\r\n",
        files=qr_picture,
    ),
    Case(
        name="eicar", about="the anti-virus makers' test file, in a zip in a zip: the sandboxed child digs it out, a YARA rule names it",
        client="203.0.113.83", hello="mail.freeware.example", sender="tools@freeware.example", to=at_ours("ben"),
        author="Tools <tools@freeware.example>", subject="The tools you asked for",
        text="Hello,\r\n\r\nthe tools are in the archive.\r\n", files=eicar,
    ),
    Case(
        name="macro", about="an invoice as a workbook, with a macro sheet that runs by itself when it is opened",
        client="203.0.113.84", hello="mail.invoices.example", sender="billing@invoices.example", to=at_ours("ana"),
        author="Billing <billing@invoices.example>", subject="Overdue invoice 48213",
        text="Dear Sir or Madam,\r\n\r\nplease find the overdue invoice attached. Enable the content to see the amount.\r\n",
        files=macro_workbook,
    ),
    Case(
        name="smuggled", about="an HTML file whose script builds a disk image in the reader's browser: no gateway saw it pass",
        client="203.0.113.85", hello="mail.share.example", sender="noreply@share.example", to=at_ours("ana"),
        author="Document share <noreply@share.example>", subject="A document has been shared with you",
        text="A document has been shared with you. Open the attached page to see it.\r\n", files=smuggled_page,
    ),
    Case(
        name="pills", about="plain spam from a clean host: nothing but its words speaks against it, and the classifier knows them",
        client="203.0.113.86", hello="mail.wellness.example", sender="offers@wellness.example", to=at_ours("ana"),
        author="Wellness <offers@wellness.example>", subject="Only today: lose 12 pounds in a week",
        text="Dear friend,\r\n\r\nour natural pills melt the fat while you sleep. Buy now and save 70% on all medication, no prescription"
        " needed, shipped in plain packaging.\r\n\r\nOrder today, this offer ends at midnight: http://wellness.example/buy\r\n",
    ),
    Case(
        name="museum", about="a newsletter with links and pictures: not all that advertises is unwanted",
        client="192.0.2.70", hello="mail.museum.example", sender="news@museum.example", to=at_ours("chie"),
        author="Harbour Museum <news@museum.example>", subject="News from the museum, November",
        text="Dear friends of the house,\r\n\r\nin November we show twelve ship models that have not left the depot for a generation. The"
        " opening is on Thursday.\r\n\r\nThe whole programme: https://museum.example/programme\r\n\r\nYou receive this letter because"
        " you are a member.\r\n",
        html='<p>Dear friends of the house,</p><p>in November we show twelve ship models that have not left the depot for a generation.'
        ' The opening is on Thursday.</p><p>The whole programme: <a href="https://museum.example/programme">https://museum.example/programme</a>'
        "</p><p>You receive this letter because you are a member.</p>",
        sign="museum.example",
        extra=(("List-Unsubscribe", "<https://museum.example/leave>"),),
    ),
)  # fmt: skip
