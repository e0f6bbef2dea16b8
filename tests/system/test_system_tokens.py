"""Mail programs sign in to a whole gate with an identity provider's tokens and with client certificates, on both doors."""

from __future__ import annotations

import smtplib
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import trustme
from whole import Gate, mail, running, tls_for, until

from conftest import real_program
from provider_samples import TestProvider, provider

pytestmark = pytest.mark.peers
DOORS = ("submission", "submissions")
LISTENERS = """
[[listeners]]
address = "127.0.0.1:0"
role = "submission"
[[listeners]]
address = "127.0.0.1:0"
role = "submissions"
"""
TABLES = """
client_authorities = "devices.pem"
[identity_provider]
issuer = "{issuer}"
client_id = "gatepost"
client_secret_file = "id/secret"
trust_anchors = "id/ca.pem"
private_network = true
mail_audience = "mail"
mail_cached = "0s"
"""


@dataclass
class Office:
    """A gate, the provider of its people, and mail programs."""

    gate: Gate
    other: TestProvider
    networks: Iterator[int] = field(default_factory=lambda: iter(range(1, 200)))

    @property
    def elsewhere(self) -> str:
        """An address in a network that nobody failed from before."""
        return f"127.0.{next(self.networks)}.1"

    @property
    def usual(self) -> dict[str, Any]:
        """What a good token of ana's claims."""
        return self.other.usual(aud="mail", email="ana@example.net", email_verified=True)

    def port(self, door: str) -> int:
        return next(port for name, port in self.gate.ports.items() if name.rstrip("0123456789") == door)

    def session(self, door: str, certificate: str = "", source: str = "127.0.0.1") -> smtplib.SMTP:
        """Under TLS, either way."""
        context = ssl.create_default_context(cafile=str(self.gate.folder / "ca.pem"))
        if certificate:
            context.load_cert_chain(self.gate.folder / certificate)
        if door == "submissions":
            return smtplib.SMTP_SSL(
                "127.0.0.1",
                self.port(door),
                "laptop.lan",
                timeout=20,
                context=context,
                source_address=(source, 0),
            )
        session = smtplib.SMTP(
            "127.0.0.1", self.port(door), "laptop.lan", timeout=20, source_address=(source, 0)
        )
        session.starttls(context=context)
        return session

    def refused(
        self, token: str, *, user: str = "ana@example.net", mechanism: str = "OAUTHBEARER"
    ) -> tuple[int, str]:
        """What is said to who signs in with that."""
        first = {
            "OAUTHBEARER": f"n,a={user},\x01auth=Bearer {token}\x01\x01",
            "XOAUTH2": f"user={user}\x01auth=Bearer {token}\x01\x01",
        }[mechanism]
        nod = {"OAUTHBEARER": "\x01", "XOAUTH2": ""}[mechanism]
        with self.session("submission", source=self.elsewhere) as session:
            session.ehlo()
            with pytest.raises(smtplib.SMTPAuthenticationError) as refusal:
                session.auth(mechanism, lambda challenge=None: first if challenge is None else nod)
        return refusal.value.smtp_code, refusal.value.smtp_error.decode()

    def curl(
        self, door: str, subject: str, *more: str, author: str = "ana@example.net"
    ) -> subprocess.CompletedProcess[str]:
        """One message by curl; STARTTLS is asked for where TLS does not come first."""
        file = self.gate.folder / "letter"
        file.write_bytes(mail(subject, author=author))
        scheme = "smtps" if door == "submissions" else "smtp"
        return subprocess.run(
            [real_program("curl"), "-sS", "-v", "--ssl-reqd", "--cacert", f"{self.gate.folder}/ca.pem", *more,
             "--interface", self.elsewhere, f"{scheme}://127.0.0.1:{self.port(door)}/laptop.lan", "--mail-from", author, "--mail-rcpt", "ben@example.net",
             "-T", str(file)], capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    def msmtp(
        self, door: str, subject: str, *more: str, user: str = "ana@example.net"
    ) -> subprocess.CompletedProcess[str]:
        """The same by msmtp."""
        starts = "off" if door == "submissions" else "on"
        return subprocess.run(
            [real_program("msmtp"), "--host=127.0.0.1", f"--port={self.port(door)}", "--tls=on", f"--tls-starttls={starts}",
             f"--tls-trust-file={self.gate.folder}/ca.pem", f"--user={user}", f"--from={user}", *more, "ben@example.net"],
            input=mail(subject, author=user).decode().replace("\r\n", "\n"),
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip

    def arrived(self, word: str) -> None:
        until(lambda: any(word.encode() in one for one in self.gate.boxes("ben@example.net")), self.gate.log)


@pytest.fixture(scope="module", params=["keys", "introspection"])
def office(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """The provider's tokens are proved by its published keys, or by asking it about each."""
    folder = tmp_path_factory.mktemp("office")
    (folder / "id").mkdir()
    devices = trustme.CA()
    devices.cert_pem.write_to_path(str(folder / "devices.pem"))
    device = devices.issue_cert("scanner.example.net", common_name="scanner")
    device.private_key_and_cert_chain_pem.write_to_path(str(folder / "scanner.pem"))
    with provider(folder / "id") as other:
        more = tls_for(folder) + TABLES.format(issuer=other.issuer)
        if request.param == "introspection":
            more += "mail_introspect = true\n"
        with running(folder, listeners=LISTENERS, more=more) as gate:
            gate.run("user", "add", "ana@example.net", "--no-link")
            gate.run("user", "add", "scan@example.net", "--no-link")
            gate.run(
                "user",
                "certificate",
                "add",
                "scan@example.net",
                "--name",
                "scanner",
                "--file",
                f"{folder}/scanner.pem",
            )
            yield Office(gate, other)


def token(office: Office, **claims: Any) -> str:
    """One that is signed; what introspection says of it is the same."""
    whole = office.usual | claims
    text = office.other.signed(whole)
    office.other.active[text] = whole | {"active": True}
    return text


@pytest.mark.parametrize("door", DOORS)
def test_curl_sends_with_a_bearer_token(office: Office, door: str) -> None:
    done = office.curl(
        door, f"curl at {door}", "--oauth2-bearer", token(office), "--user", "ana@example.net:"
    )
    assert done.returncode == 0, done.stderr
    assert "AUTH OAUTHBEARER" in done.stderr
    office.arrived(f"curl.at.{door}")


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("mechanism", ["oauthbearer", "xoauth2"])
def test_msmtp_sends_with_a_bearer_token(office: Office, door: str, mechanism: str) -> None:
    done = office.msmtp(
        door, f"msmtp {mechanism} {door}", f"--auth={mechanism}", f"--passwordeval=echo {token(office)}"
    )
    assert done.returncode == 0, done.stderr
    office.arrived(f"msmtp.{mechanism}.{door}")


@pytest.mark.parametrize("mechanism", ["OAUTHBEARER", "XOAUTH2"])
def test_a_refused_token_says_in_words_what_to_do(office: Office, mechanism: str) -> None:
    def said(text: str, user: str = "ana@example.net") -> str:
        code, words = office.refused(text, user=user, mechanism=mechanism)
        assert code == 535, words
        return words

    for wrong in (
        token(office, exp=1),
        token(office, aud="other"),
        token(office, iss="https://else.example"),
        "opaque-and-unknown",
    ):
        assert "sign in anew in your mail program" in said(wrong)
    assert "correct that name" in said(token(office), user="scan@example.net")
    nobody = token(office, email="nobody@example.net", sub="u-99")
    assert "no account here belongs to it" in said(nobody, user="nobody@example.net")
    office.gate.run("user", "disable", "ana@example.net", "--why", "left")
    try:
        assert "This account is disabled" in said(token(office))
    finally:
        office.gate.run("user", "enable", "ana@example.net")


def test_a_token_that_may_not_send_as_somebody_else_is_told_as_whom(office: Office) -> None:
    done = office.curl("submission", "in another's name", "--oauth2-bearer", token(office), "--user", "ana@example.net:",
                       author="scan@example.net")  # fmt: skip
    assert done.returncode != 0
    assert "may send as ana@example.net" in done.stderr


def test_curl_shows_what_a_refused_token_is_told(office: Office) -> None:
    done = office.curl(
        "submissions", "refused", "--oauth2-bearer", token(office, exp=1), "--user", "ana@example.net:"
    )
    assert done.returncode == 67, done.stderr
    assert "535 5.7.8 This token is not good here: sign in anew in your mail program" in done.stderr


def test_a_provider_that_does_not_answer_asks_to_come_back(office: Office) -> None:
    good = token(office)
    assert office.gate.stop() == 0  # what it knew of the provider is gone
    office.other.answers = dict.fromkeys(("/keys", "/introspect"), (503, b""))
    office.gate.start()
    code, words = office.refused(good)
    assert (code, "try again later" in words) == (454, True), words
    office.other.answers = {}

    def taken() -> bool:  # it is left alone for a few seconds
        sent = office.curl("submission", "back again", "--oauth2-bearer", good, "--user", "ana@example.net:")
        return sent.returncode == 0

    until(taken, office.gate.log)


@pytest.mark.parametrize("door", DOORS)
def test_a_device_sends_by_its_certificate(office: Office, door: str) -> None:
    certificate = f"{office.gate.folder}/scanner.pem"
    word = f"scanned at {door}"
    done = office.curl(
        door, word, "--cert", certificate, "--user", "scan@example.net:", "--login-options", "AUTH=EXTERNAL",
        author="scan@example.net",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "AUTH EXTERNAL" in done.stderr
    office.arrived(word.replace(" ", "."))
    keys = f"--tls-cert-file={certificate}", f"--tls-key-file={certificate}"
    done = office.msmtp(door, f"msmtp at {door}", "--auth=external", *keys, user="scan@example.net")
    assert done.returncode == 0, done.stderr
    office.arrived(f"msmtp.at.{door}")


def test_without_a_certificate_external_is_not_offered(office: Office) -> None:
    for door in DOORS:
        with office.session(door) as session:
            session.ehlo()
            assert set(session.esmtp_features["auth"].split()) == {"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"}
        with office.session(door, "scanner.pem") as session:
            session.ehlo()
            assert "EXTERNAL" in session.esmtp_features["auth"]
