"""The kinds of file that policy cares about, by name: their family, a title for sentences, the endings and types they go by."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple


class Kind(NamedTuple):
    """A kind of file."""

    family: str
    """``program``, ``script``, ``shortcut``, ``installer``, ``archive``, ``disk-image``, ``document``, ``macro-document``,
    ``notebook``, ``page``, ``picture``, ``media``, ``message``, ``text``, ``data``."""
    title: str
    """For a sentence: "a Windows program"."""
    extensions: frozenset[str]
    """Endings of names it goes by, lower case, the usual one among them."""
    types: frozenset[str] = frozenset()
    """Content types it is declared as, besides application/octet-stream."""


def _kind(family: str, title: str, extensions: str, types: str = "") -> Kind:
    return Kind(family, title, frozenset(extensions.split()), frozenset(types.split()))


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "pe": _kind("program", "a Windows program", "exe dll scr com sys cpl ocx pif drv xll ax efi mui"),
        "dos": _kind("program", "a DOS program", "exe com"),
        "elf": _kind("program", "a Linux program", "so elf bin o out run axf ko appimage"),
        "mach-o": _kind("program", "a macOS program", "dylib macho bundle app"),
        "class": _kind("program", "a Java class", "class"),
        "jar": _kind("program", "a Java program", "jar war ear"),
        "apk": _kind("program", "an Android program", "apk xapk aab"),
        "dex": _kind("program", "Android program code", "dex"),
        "swf": _kind("program", "a Flash film", "swf"),
        "pyc": _kind("program", "compiled Python", "pyc pyo"),
        "msi": _kind("installer", "a Windows installer", "msi msp mst"),
        "msix": _kind("installer", "a Windows app package", "msix appx msixbundle appxbundle"),
        "appinstaller": _kind("installer", "a Windows app installer file", "appinstaller"),
        "deb": _kind("installer", "a Debian package", "deb"),
        "rpm": _kind("installer", "an RPM package", "rpm"),
        "xar": _kind("installer", "a macOS installer", "pkg xar mpkg"),
        "javascript": _kind(
            "script", "JavaScript", "js jse mjs", "text/javascript application/javascript application/x-javascript"
        ),
        "vbscript": _kind("script", "VBScript", "vbs vbe vb"),
        "wsf": _kind("script", "a Windows script file", "wsf wsc sct"),
        "hta": _kind("script", "an HTML application", "hta", "application/hta"),
        "batch": _kind("script", "a batch file", "bat cmd btm"),
        "powershell": _kind("script", "a PowerShell script", "ps1 psm1 psd1 ps1xml"),
        "shell": _kind("script", "a shell script", "sh bash zsh ksh csh command tool run", "application/x-sh text/x-sh"),
        "python": _kind("script", "a Python script", "py pyw pyz", "text/x-python"),
        "perl": _kind("script", "a Perl script", "pl pm"),
        "autoit": _kind("script", "an AutoIt script", "au3 a3x"),
        "applescript": _kind("script", "an AppleScript", "scpt scptd applescript"),
        "registry": _kind("script", "a registry file", "reg"),
        "inf": _kind("script", "a Windows set-up information file", "inf"),
        "msc": _kind("script", "a management console file", "msc"),
        "settings-ms": _kind("shortcut", "a Windows settings shortcut", "settingcontent-ms"),
        "library-ms": _kind("shortcut", "a Windows library or search file", "library-ms search-ms searchconnector-ms"),
        "lnk": _kind("shortcut", "a Windows shortcut", "lnk"),
        "url": _kind("shortcut", "an internet shortcut", "url website", "application/internet-shortcut"),
        "webloc": _kind("shortcut", "a macOS internet shortcut", "webloc inetloc fileloc"),
        "desktop": _kind("shortcut", "a Linux desktop shortcut", "desktop"),
        "rdp": _kind("shortcut", "a remote desktop connection", "rdp"),
        "iqy": _kind("shortcut", "an Excel web query", "iqy oqy dqy rqy"),
        "slk": _kind("document", "a SYLK spreadsheet", "slk sylk"),
        "theme": _kind("shortcut", "a Windows theme", "theme themepack deskthemepack"),
        "mobileconfig": _kind("shortcut", "an Apple configuration profile", "mobileconfig"),
        "clickonce": _kind("installer", "a ClickOnce application", "application appref-ms"),
        "jnlp": _kind("installer", "a Java Web Start file", "jnlp"),
        "chm": _kind("script", "compiled Windows help", "chm"),
        "iso": _kind("disk-image", "a CD image", "iso img", "application/x-iso9660-image"),
        "udf": _kind("disk-image", "a DVD image", "iso img udf"),
        "vhd": _kind("disk-image", "a virtual disk", "vhd"),
        "vhdx": _kind("disk-image", "a virtual disk", "vhdx"),
        "vmdk": _kind("disk-image", "a virtual disk", "vmdk"),
        "dmg": _kind("disk-image", "a macOS disk image", "dmg"),
        "disk": _kind("disk-image", "a disk image", "img ima vfd raw dd vdi qcow2 qcow squashfs sqsh sfs cramfs"),
        "wim": _kind("disk-image", "a Windows image", "wim esd swm"),
        "zip": _kind("archive", "a zip archive", "zip zipx", "application/zip application/x-zip-compressed"),
        "7z": _kind("archive", "a 7z archive", "7z", "application/x-7z-compressed"),
        "rar": _kind("archive", "a RAR archive", "rar r00 cbr", "application/vnd.rar application/x-rar-compressed application/x-rar"),
        "cab": _kind("archive", "a cabinet archive", "cab", "application/vnd.ms-cab-compressed"),
        "tar": _kind("archive", "a tar archive", "tar gem ova", "application/x-tar"),
        "gz": _kind("archive", "a gzip file", "gz tgz gzip svgz", "application/gzip application/x-gzip"),
        "bz2": _kind("archive", "a bzip2 file", "bz2 tbz tbz2 bz", "application/x-bzip2"),
        "xz": _kind("archive", "an xz file", "xz txz", "application/x-xz"),
        "lzma": _kind("archive", "an lzma file", "lzma tlz"),
        "lzip": _kind("archive", "an lzip file", "lz tlz"),
        "zstd": _kind("archive", "a zstd file", "zst zstd tzst", "application/zstd"),
        "lz4": _kind("archive", "an lz4 file", "lz4"),
        "compress": _kind("archive", "a compress file", "z taz"),
        "lzh": _kind("archive", "an LHA archive", "lzh lha"),
        "arj": _kind("archive", "an ARJ archive", "arj"),
        "ace": _kind("archive", "an ACE archive", "ace"),
        "applesingle": _kind("archive", "an AppleSingle file", "as", "application/applefile"),
        "sit": _kind("archive", "a StuffIt archive", "sit sitx sea"),
        "zoo": _kind("archive", "a Zoo archive", "zoo"),
        "ar": _kind("archive", "an ar archive", "a ar lib"),
        "cpio": _kind("archive", "a cpio archive", "cpio"),
        "alz": _kind("archive", "an ALZip archive", "alz egg"),
        "uue": _kind("archive", "uuencoded text", "uue uu xxe"),
        "word": _kind("document", "a Word document", "doc dot wiz", "application/msword"),
        "excel": _kind("document", "an Excel workbook", "xls xlt xla xlw", "application/vnd.ms-excel"),
        "powerpoint": _kind("document", "a PowerPoint file", "ppt pps pot ppa", "application/vnd.ms-powerpoint"),
        "ole": _kind("document", "an OLE compound file", "ole vsd pub mpp hwp db wps wri vss vst"),
        "docx": _kind("document", "a Word document", "docx dotx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        "xlsx": _kind("document", "an Excel workbook", "xlsx xltx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        "pptx": _kind("document", "a PowerPoint file", "pptx ppsx potx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        "docm": _kind("macro-document", "a Word document with macros", "docm dotm", "application/vnd.ms-word.document.macroenabled.12"),
        "xlsm": _kind("macro-document", "an Excel workbook with macros", "xlsm xltm xlam", "application/vnd.ms-excel.sheet.macroenabled.12"),
        "xlsb": _kind("document", "a binary Excel workbook", "xlsb", "application/vnd.ms-excel.sheet.binary.macroenabled.12"),
        "pptm": _kind("macro-document", "a PowerPoint file with macros", "pptm ppsm potm ppam", "application/vnd.ms-powerpoint.presentation.macroenabled.12"),
        "ooxml": _kind("document", "an Office package", "vsdx vsdm xps oxps thmx sldx"),
        "flat-opc": _kind("document", "an Office document as XML", "xml", "application/xml text/xml"),
        "odf": _kind("document", "an OpenDocument file", "odt ods odp odg ott ots otp odf odb odm fodt fods fodp", "application/vnd.oasis.opendocument.text application/vnd.oasis.opendocument.spreadsheet application/vnd.oasis.opendocument.presentation"),
        "epub": _kind("document", "an e-book", "epub", "application/epub+zip"),
        "rtf": _kind("document", "an RTF document", "rtf doc", "application/rtf text/rtf application/msword"),
        "pdf": _kind("document", "a PDF", "pdf ai fdf xfdf", "application/pdf application/x-pdf"),
        "postscript": _kind("document", "a PostScript file", "ps eps ai", "application/postscript"),
        "mdb": _kind("macro-document", "an Access database", "mdb accdb mde accde ade adp"),
        "onenote": _kind("notebook", "a OneNote notebook", "one onetoc2 onepkg"),
        "html": _kind("page", "a web page", "html htm shtml xhtml xht shtm", "text/html application/xhtml+xml"),
        "mht": _kind("page", "a web page archive", "mht mhtml"),
        "svg": _kind("page", "an SVG picture", "svg", "image/svg+xml"),
        "xml": _kind("text", "XML", "xml xsd xsl xslt rss atom kml gpx plist config xaml dmarc", "application/xml text/xml"),
        "png": _kind("picture", "a PNG picture", "png", "image/png"),
        "jpeg": _kind("picture", "a JPEG picture", "jpg jpeg jpe jfif", "image/jpeg image/jpg image/pjpeg"),
        "gif": _kind("picture", "a GIF picture", "gif", "image/gif"),
        "webp": _kind("picture", "a WebP picture", "webp", "image/webp"),
        "bmp": _kind("picture", "a bitmap picture", "bmp dib", "image/bmp image/x-ms-bmp"),
        "tiff": _kind("picture", "a TIFF picture", "tif tiff", "image/tiff"),
        "heic": _kind("picture", "a HEIC or AVIF picture", "heic heif avif", "image/heic image/heif image/avif"),
        "ico": _kind("picture", "an icon", "ico cur", "image/x-icon image/vnd.microsoft.icon"),
        "psd": _kind("picture", "a Photoshop picture", "psd"),
        "wmf": _kind("picture", "a Windows metafile", "wmf emf"),
        "mp4": _kind("media", "a film", "mp4 m4a m4v mov 3gp"),
        "audio": _kind("media", "a sound", "mp3 wav ogg flac aac wma opus amr m4a"),
        "video": _kind("media", "a film", "avi mkv webm wmv mpg mpeg asf"),
        "eml": _kind("message", "a mail message", "eml msg mbox emlx", "message/rfc822"),
        "msg": _kind("message", "an Outlook item", "msg oft", "application/vnd.ms-outlook"),
        "tnef": _kind("message", "an Outlook winmail.dat", "dat tnef", "application/ms-tnef application/vnd.ms-tnef"),
        "ics": _kind("message", "a calendar entry", "ics ical vcs", "text/calendar application/ics"),
        "vcf": _kind("message", "a contact card", "vcf vcard", "text/vcard text/x-vcard text/directory"),
        "pst": _kind("message", "an Outlook mailbox", "pst ost"),
        "pgp": _kind("data", "an OpenPGP message", "asc pgp gpg sig", "application/pgp-encrypted application/pgp-signature application/pgp-keys"),
        "pkcs7": _kind("data", "a signature or sealed mail", "p7s p7m p7b p7c", "application/pkcs7-signature application/x-pkcs7-signature application/pkcs7-mime application/x-pkcs7-mime"),
        "certificate": _kind("data", "a certificate or key", "pem crt cer key csr der pfx p12"),
        "sqlite": _kind("data", "an SQLite database", "sqlite db sqlite3"),
        "font": _kind("data", "a font", "ttf otf woff woff2 eot"),
        "text": _kind("text", "plain text", "txt csv tsv log md json ini conf yaml yml toml diff patch srt tex c h cpp java css ts sql text asc", "text/plain text/csv application/json text/markdown text/css text/x-patch text/x-diff"),
    }
)  # fmt: skip

RISKY = frozenset(
    {"program", "script", "shortcut", "installer", "disk-image", "macro-document", "notebook", "page"}
)
"""Families that run something, or open like something that does."""
