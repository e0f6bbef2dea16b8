"""The demo's folder: keys, a certificate, the zone, the configuration and a stricter candidate for `gatepost plan`."""

from __future__ import annotations

import os
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

from gatepost.demo.attacks import YARA_RULES
from gatepost.demo.world import OUR_DOMAIN, PEOPLE, SIGNERS, zone_text

PREFIX = "gatepost-demo-"
CONFIG = """\
# The demo's own configuration. Change it and send the process a SIGHUP, or try a change first: gatepost plan FILE
hostname = "mx.{domain}"
mode = "enforce"                 # "observe" would deliver everything and record what would have happened
state = "var"
workers = 0

[[listeners]]
address = "127.0.0.1:{smtp_port}"
role = "mx"
xclient_from = ["127.0.0.1"]     # so that the demo can play many clients

[[listeners]]
address = "127.0.0.1:{submission_port}"
role = "submission"              # our own people sign in here and send

[tls]
certificate = "tls/certificate.pem"
key = "tls/key.pem"

[dns]
servers = ["127.0.0.1:{dns_port}"]   # the demo's own answers
trust_ad = true

[console]
address = "127.0.0.1:{console_port}"
url = "http://localhost:{console_port}"

[[domains]]
name = "{domain}"
recipients = [{people}]
deliver = "maildir:mail"

[people]
partners = ["bank.example", "books.example"]

[[people.protected]]
name = "Ana Moreno"              # a name worth stealing
role = "managing director"

[learning]
report_spam = "spam@{domain}"    # forward to it what should not have reached you, as an attachment
report_ham = "ham@{domain}"

[checks.attachments]
rules_folder = "yara"            # the operator's own YARA rules
types = {{ macro-autoexec = "quarantine" }}   # here nobody sends workbooks that run by themselves

[policy]
junk_at = {junk_at}
quarantine_at = 7.0
refuse_at = 10.0

[marking]
junk = {{ tag = "[Junk?]", banner = true }}   # see the shop's message in the mailbox of ben

[checks.dataloss]
mode = "enforce"                 # card numbers and the like wait for approval on their way out

[arc]
trusted_sealers = ["forwarder.example"]

[[checks.dnsbl.lists]]
zone = "bl.example"
mode = "{list_mode}"
weight = 3.0

[[checks.dnsbl.lists]]
zone = "zen.example"
mode = "{list_mode}"
weight = 3.5

[[checks.dnsbl.lists]]
zone = "tired.example"           # answers 127.255.255.254, "you may not ask": never a listing
mode = "observe"
weight = 3.0

[[checks.dnsbl.lists]]
zone = "welcome.example"
kind = "welcome"
mode = "enforce"
weight = -2.0
"""


def prepare(folder: Path, *, smtp_port: int, submission_port: int) -> str:
    """Fill the folder but for the configuration, which needs the DNS port; the zone's text is returned."""
    (folder / "keys").mkdir(mode=0o700)
    (folder / "tls").mkdir(mode=0o700)
    keys = {}
    for domain in SIGNERS:
        keys[domain] = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        private = keys[domain].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        write_secret(folder / "keys" / f"{domain}.pem", private)
    certificate(folder / "tls", f"mx.{OUR_DOMAIN}")
    (folder / "yara").mkdir(mode=0o700)
    (folder / "yara" / "eicar.yar").write_text(YARA_RULES)
    (folder / "smtp-port").write_text(str(smtp_port))
    (folder / "submission-port").write_text(str(submission_port))
    (folder / "pid").write_text(str(os.getpid()))
    text = zone_text(keys)
    (folder / "world.zone").write_text(text)
    return text


def configure(
    folder: Path, *, smtp_port: int, submission_port: int, dns_port: int, console_port: int
) -> Path:
    """Write gatepost.toml and stricter.toml; the path of the first."""
    people = ", ".join(f'"{name}@{OUR_DOMAIN}"' for name in PEOPLE)
    common = {
        "domain": OUR_DOMAIN, "smtp_port": smtp_port, "submission_port": submission_port, "dns_port": dns_port,
        "people": people, "console_port": console_port,
    }  # fmt: skip
    path = folder / "gatepost.toml"
    path.write_text(CONFIG.format(junk_at="4.0", list_mode="observe", **common))
    (folder / "stricter.toml").write_text(CONFIG.format(junk_at="2.0", list_mode="enforce", **common))
    return path


def signing_key(folder: Path, domain: str) -> rsa.RSAPrivateKey:
    """The demo's private key of one signer."""
    key = load_pem_private_key((folder / "keys" / f"{domain}.pem").read_bytes(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("the demo signs with RSA")
    return key


def certificate(folder: Path, name: str) -> None:
    """A self-signed certificate for a week, so that STARTTLS can be tried."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=40))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    write_secret(folder / "key.pem", key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def write_secret(path: Path, octets: bytes) -> None:
    """A file only its owner reads, from its first octet."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)


def marker() -> Path:
    """Where a running demo says which folder is its own; per user."""
    return Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / f"gatepost-demo-{os.getuid()}"


def running_demo() -> Path | None:
    """The folder of the demo that runs as this user, None without one."""
    folder = marked_folder()
    return folder if folder is not None and lives(folder) else None


def marked_folder() -> Path | None:
    """The folder that the marker names, of a demo that runs or was killed. A marker another user made is not believed."""
    try:
        descriptor = os.open(marker(), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    with os.fdopen(
        descriptor, "rb"
    ) as file:  # what is asked about is what is read: nobody can swap it between
        if os.fstat(descriptor).st_uid != os.getuid():
            return None
        folder = Path(os.fsdecode(file.read(4096).strip()))
    return folder if folder.name.startswith(PREFIX) and (folder / "gatepost.toml").is_file() else None


def lives(folder: Path) -> bool:
    """Does the demo's process still run? One that was killed could not take its folder along."""
    try:
        os.kill(int((folder / "pid").read_text()), 0)
    except (OSError, ValueError):
        return False
    return True
