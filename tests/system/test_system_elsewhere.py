"""A whole gate whose people come from a real OpenLDAP and whose mail programs sign in with an identity provider's tokens."""

from __future__ import annotations

import smtplib
import ssl
from pathlib import Path

import pytest

from gatepost.store.journalhead import read_heads
from provider_samples import provider
from slapd import BASE, READER, person, slapd
from system.whole import mail, running, tls_for, until

SENDING = """
[[listeners]]
address = "127.0.0.1:0"
role = "submission"
"""
TABLES = """
[identity_provider]
issuer = "{issuer}"
client_id = "gatepost"
client_secret_file = "id/secret"
trust_anchors = "id/ca.pem"
private_network = true
mail_audience = "mail"
[people_source]
servers = ["{ldap}"]
bind_dn = "{reader}"
password_file = "dir/password"
base = "ou=people,{base}"
trust_anchors = "dir/ca.pem"
[journal]
send_head_to = ["./heads"]
"""


def bearer(token: str, user: str) -> str:
    """RFC 7628 §3.1."""
    return f"n,a={user},\x01auth=Bearer {token}\x01\x01"


@pytest.mark.peers
def test_people_of_the_directory_send_with_tokens_of_the_provider(tmp_path: Path) -> None:
    for name in ("id", "dir"):
        (tmp_path / name).mkdir()
    with slapd(tmp_path / "dir", person("ana"), person("ben")) as ldap, provider(tmp_path / "id") as other:
        more = tls_for(tmp_path) + TABLES.format(issuer=other.issuer, ldap=ldap.tls, reader=READER, base=BASE)
        with running(tmp_path, listeners=SENDING, more=more) as gate:
            until(lambda: len(gate.rows("user", "list")) == 2, gate.log)
            context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))

            def sign_in(token: str, user: str = "ana@example.net") -> tuple[smtplib.SMTP, int]:
                session = smtplib.SMTP(
                    "127.0.0.1", gate.ports["submission"], "laptop.example.net", timeout=20
                )
                session.starttls(context=context)
                session.ehlo()
                assert "OAUTHBEARER" in session.esmtp_features["auth"]
                try:
                    session.auth(
                        "OAUTHBEARER",
                        lambda challenge=None: bearer(token, user) if challenge is None else "\x01",
                    )
                except smtplib.SMTPAuthenticationError as refusal:
                    return session, refusal.smtp_code
                return session, 235

            usual = other.usual(aud="mail", email="ana@example.net", email_verified=True)
            session, code = sign_in(other.signed(usual))
            assert code == 235
            with session:
                session.sendmail("ana@example.net", ["ben@example.net"], mail("hi", author="ana@example.net"))
            assert gate.wait_for("ben@example.net")
            for claims, user in (
                (usual | {"aud": "else"}, "ana@example.net"),
                (usual | {"exp": 1}, "ana@example.net"),
                (usual, "ben@example.net"),
                (usual | {"email": "nobody@example.net", "sub": "x"}, "nobody@example.net"),
            ):
                session, code = sign_in(other.signed(claims), user)
                session.close()
                assert code == 535, claims
            ldap.change(f"dn: uid=ana,ou=people,{BASE}\nchangetype: delete\n")
            gate.run("user", "sync")
            session, code = sign_in(other.signed(usual))
            session.close()
            assert code == 535, "who left does not send any more"
            gate.stop()
            gate.start()  # the round that sends heads comes at the start, and then by the clock
            until((tmp_path / "heads").exists, gate.log)
            assert read_heads((tmp_path / "heads").read_text())[0].holds()
            gate.run("journal", "verify", "--head", str(tmp_path / "heads"))
