"""TLS in: STARTTLS and implicit, nothing smuggled across the handshake, certificates replaced under open sessions."""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import hashlib
import os
import smtplib
import socket
import ssl

import pytest
import trustme
import uvloop
from gate import MAIL, certificate, gate

from gatepost.net.limits import Listener
from gatepost.net.tls import (
    NamedCertificate,
    ServerTls,
    TlsSettings,
    TlsUnusable,
    certificate_expires_at,
    certificate_names,
    key_of,
    server_context,
    watch,
)
from gatepost.smtp.dialect import Dialect
from gatepost.smtp.limits import SmtpLimits


@pytest.fixture(params=["uvloop", "asyncio"])
def run(request):
    return uvloop.run if request.param == "uvloop" else asyncio.run


def smtplib_starttls(port: int, context: ssl.SSLContext) -> bytes:
    """A session under STARTTLS; the certificate's serial number it saw."""
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client._host = "mx.example.net"
        client.starttls(context=context)
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        client.sendmail("a@example.org", ["ana@example.net"], MAIL)
        return client.sock.getpeercert(binary_form=True)


def test_mail_under_starttls(run, tmp_path):
    settings, context = certificate(tmp_path)

    async def story():
        async with gate(tls=ServerTls(settings)) as g:
            await asyncio.to_thread(smtplib_starttls, g.ports[0], context)
            client, _, octets, _ = g.handler.mails[0]
            assert octets == MAIL
            assert client.tls is not None
            assert (client.tls.version, client.tls.server_name) == ("TLSv1.3", "mx.example.net")
            assert client.tls.cipher

    run(story())


def test_mail_under_tls_from_the_first_octet(run, tmp_path):
    settings, context = certificate(tmp_path)

    async def story():
        async with gate(Listener(address="127.0.0.1:0", role=Dialect.SUBMISSIONS, relay_for=("127.0.0.1",)), tls=ServerTls(settings)) as g:  # fmt: skip
            peer = await g.hello(tls=context)
            assert (await peer.send_mail()).startswith("250")
            client = g.handler.mails[0][0]
            assert (client.role, client.tls is not None) == ("submissions", True)

    run(story())


def test_nothing_learnt_before_tls_survives(run, tmp_path):
    settings, context = certificate(tmp_path)

    async def story():
        async with gate(tls=ServerTls(settings)) as g:
            peer = await g.hello()
            assert (await peer.say("STARTTLS")).startswith("220 ")
            await peer.writer.start_tls(context, server_hostname="mx.example.net")
            assert (await peer.say("MAIL FROM:<>")).startswith("503 ")
            assert "STARTTLS" not in await peer.say("EHLO again.example.org")
            await peer.send_mail()
            assert g.handler.mails[0][0].hello == "again.example.org"

    run(story())


@pytest.mark.parametrize(
    "injected", [b"RSET\r\n", b"MAIL FROM:<a@example.org>\r\nRCPT TO:<ana@example.net>\r\n"]
)
def test_commands_behind_starttls_are_a_violation(run, tmp_path, injected):
    settings, _ = certificate(tmp_path)

    async def story():
        async with gate(tls=ServerTls(settings)) as g:
            g.handler.reference = "2N50XR3CZPCTX"
            peer = await g.hello()
            said = await peer.say(b"STARTTLS\r\n" + injected)
            assert said.startswith("554 ")
            assert said.rstrip().endswith("[ref 2N50XR3CZPCTX]")
            assert await peer.ended()
            assert g.handler.reasons == ["starttls-injection"]
            assert g.handler.attempts == []

    run(story())


def test_plain_octets_instead_of_a_handshake_end_the_connection(run, tmp_path):
    """Injected a moment later, they reach the handshake and never the commands."""
    settings, _ = certificate(tmp_path)

    async def story():
        async with gate(tls=ServerTls(settings)) as g:
            peer = await g.hello()
            assert (await peer.say("STARTTLS")).startswith("220 ")
            peer.writer.write(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<ana@example.net>\r\n")
            rest = await asyncio.wait_for(peer.reader.read(), 10)
            assert b"250" not in rest
            while g.reception.sessions:
                await asyncio.sleep(0.01)
            assert g.handler.reasons == ["tls-handshake"]
            assert g.handler.attempts == []

    run(story())


@pytest.mark.parametrize("role", [Dialect.MX, Dialect.SUBMISSIONS])
def test_handshake_that_does_not_come_ends(run, tmp_path, role):
    settings, _ = certificate(tmp_path)

    async def story():
        async with gate(
            Listener(address="127.0.0.1:0", role=role),
            tls=ServerTls(settings),
            smtp_limits=SmtpLimits(handshake_s=0.1),
        ) as g:
            peer = await g.connect()
            if role is Dialect.MX:
                await peer.reply()
                await peer.say("EHLO x")
                await peer.say("STARTTLS")
            assert await peer.ended()
            while g.reception.sessions:
                await asyncio.sleep(0.01)
            assert g.handler.reasons == ["tls-handshake"]

    run(story())


def test_client_that_vanishes_in_the_handshake_leaves_nothing(run, tmp_path):
    settings, _ = certificate(tmp_path)

    async def story():
        async with gate(tls=ServerTls(settings)) as g:
            peer = await g.hello()
            await peer.say("STARTTLS")
            peer.writer.transport.abort()
            while g.reception.sessions:
                await asyncio.sleep(0.01)
            assert g.acceptor.census.total == 0

    run(story())


def test_tls_1_2_is_the_oldest_and_keeps_its_secrets(run, tmp_path):
    settings, context = certificate(tmp_path)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    assert server_context().minimum_version == ssl.TLSVersion.TLSv1_2

    async def story():
        async with gate(
            Listener(address="127.0.0.1:0", role=Dialect.SUBMISSIONS), tls=ServerTls(settings)
        ) as g:
            peer = await g.hello(tls=context)
            assert peer.writer.get_extra_info("cipher")[0].startswith("ECDHE-")

    run(story())


def test_certificate_is_replaced_while_a_session_is_open(run, tmp_path):
    ca = trustme.CA()
    settings, context = certificate(tmp_path, ca=ca)
    tls = ServerTls(settings)

    async def story():
        async with gate(tls=tls) as g:
            old = await asyncio.to_thread(smtplib_starttls, g.ports[0], context)
            peer = await g.hello()
            await peer.say("STARTTLS")
            await peer.writer.start_tls(context, server_hostname="mx.example.net")
            certificate(tmp_path, ca=ca)
            assert tls.reload() is None
            new = await asyncio.to_thread(smtplib_starttls, g.ports[0], context)
            assert new != old
            await peer.say("EHLO still.here")
            assert (await peer.send_mail()).startswith("250")

    run(story())


def test_bad_new_files_keep_the_old_certificate(tmp_path):
    settings, _ = certificate(tmp_path)
    tls = ServerTls(settings)
    before = tls.context
    (tmp_path / "key.pem").write_text("nonsense")
    assert "key.pem" in (tls.reload() or "")
    assert tls.context is before
    (tmp_path / "key.pem").unlink()
    assert "No such file" in (tls.reload() or "")
    other = tmp_path / "other"
    other.mkdir()
    certificate(other)
    (tmp_path / "key.pem").write_bytes((other / "key.pem").read_bytes())
    assert "does not belong" in (tls.reload() or "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become someone else")
def test_reload_that_may_not_read_the_key_says_so(tmp_path):
    settings, _ = certificate(tmp_path)
    (tmp_path / "key.pem").chmod(0o600)
    tmp_path.chmod(0o755)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            tls = ServerTls(settings, folder=tmp_path)
            os.setuid(65534)
            os.write(writing, (tls.reload() or "read").encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        answer = pipe.read().decode()
    os.waitpid(pid, 0)
    assert "not readable" in answer
    assert "LoadCredential" in answer


def test_credentials_directory(tmp_path, monkeypatch):
    certificate(tmp_path)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    ServerTls(TlsSettings(certificate="%d/chain.pem", key="%d/key.pem"))
    monkeypatch.delenv("CREDENTIALS_DIRECTORY")
    with pytest.raises(TlsUnusable, match="LoadCredential"):
        ServerTls(TlsSettings(certificate="%d/chain.pem", key="%d/key.pem"))


def test_key_with_a_passphrase_is_refused_without_asking(tmp_path):
    from cryptography.hazmat.primitives import serialization

    settings, _ = certificate(tmp_path)
    key = serialization.load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    with pytest.raises(TlsUnusable, match="passphrase"):
        ServerTls(settings)


def test_certificate_is_chosen_by_name(run, tmp_path):
    ca = trustme.CA()
    settings, context = certificate(tmp_path, ca=ca)
    other = tmp_path / "other"
    other.mkdir()
    more, _ = certificate(other, "*.other.example", ca)
    settings = TlsSettings(
        certificate=settings.certificate,
        key=settings.key,
        more=(NamedCertificate(certificate=more.certificate or "", key=more.key or ""),),
    )

    def names(port: int, name: str) -> tuple[tuple[str, str], ...]:
        with socket.create_connection(("127.0.0.1", port), 10) as sock, context.wrap_socket(sock, server_hostname=name) as tls:  # fmt: skip
            return tls.getpeercert()["subjectAltName"]

    async def story():
        async with gate(
            Listener(address="127.0.0.1:0", role=Dialect.SUBMISSIONS), tls=ServerTls(settings)
        ) as g:
            assert await asyncio.to_thread(names, g.ports[0], "mail.other.example") == (
                ("DNS", "*.other.example"),
            )
            assert await asyncio.to_thread(names, g.ports[0], "mx.example.net") == (
                ("DNS", "mx.example.net"),
            )

    run(story())


def test_when_a_certificate_ends_and_whom_it_is_for(tmp_path):
    ends = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
    issued = trustme.CA().issue_cert("MX.example.net", "mx2.example.net", not_after=ends)
    path = tmp_path / "chain.pem"
    path.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    assert certificate_expires_at(path) == ends.timestamp()
    assert certificate_names(path) == ["mx.example.net", "mx2.example.net"]
    path.write_text("nonsense")
    with pytest.raises(TlsUnusable):
        certificate_expires_at(path)


@pytest.mark.parametrize("settings", [TlsSettings(), TlsSettings(certificate="x.pem")])
def test_settings_without_files_are_unusable(settings):
    with pytest.raises(TlsUnusable):
        ServerTls(settings)


def test_changed_files_are_taken_up_but_a_key_that_may_not_be_used_yet_waits(tmp_path):
    """What every process does beside its sessions."""
    first, second = (_made(tmp_path, name) for name in ("first", "second"))
    tls = ServerTls(TlsSettings(certificate=str(tmp_path / "c.pem"), key=str(tmp_path / "k.pem")))
    refusals: list[str] = ["its TLSA record is not published"]
    asked: list[str] = []

    async def may_change(key: str) -> str:
        asked.append(key)
        return refusals[-1]

    async def go() -> None:
        task = asyncio.create_task(watch(lambda: tls, may_change, 0.005))

        async def until(true) -> None:
            async with asyncio.timeout(10):
                while not true():
                    await asyncio.sleep(0.005)

        old = tls.key_in_use
        second()
        await until(lambda: len(asked) >= 2)
        assert tls.key_in_use == old
        refusals.append("")
        await until(lambda: tls.key_in_use != old)
        assert asked[-1] == tls.key_in_use == key_of(tmp_path / "c.pem")
        count = len(asked)
        (tmp_path / "c.pem").write_text("half writ")
        await until(tls.changed)
        first()
        refusals.append("not yet")
        await until(lambda: len(asked) > count)
        assert tls.key_in_use == asked[count - 1]
        task.cancel()

    assert first is not second
    asyncio.run(go())


def _made(folder, name):
    """A certificate of that name; calling what is returned puts it in place."""
    made = trustme.CA().issue_cert(f"{name}.example.net")

    def put() -> None:
        made.private_key_pem.write_to_path(str(folder / "k.pem"))
        made.cert_chain_pems[0].write_to_path(str(folder / "c.pem"))

    if not (folder / "c.pem").exists():
        put()
    return put


def with_client_authority(tmp_path, **more):
    """Settings that ask for client certificates, a trusting context with one, and what its fingerprint is."""
    settings, context = certificate(tmp_path)
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "devices.pem"))
    device = authority.issue_cert("scanner.example.net", common_name="scanner")
    device.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "device.pem"))
    context.load_cert_chain(tmp_path / "device.pem")
    der = ssl.PEM_cert_to_DER_cert(device.cert_chain_pems[0].bytes().decode())
    asking = dataclasses.replace(settings, client_authorities=str(tmp_path / "devices.pem"), **more)
    return asking, context, hashlib.sha256(der).hexdigest()


@pytest.mark.parametrize(
    ("role", "asked"), [(Dialect.SUBMISSION, True), (Dialect.SUBMISSIONS, True), (Dialect.MX, False)]
)
def test_client_certificates_are_asked_for_where_people_send_and_nowhere_else(run, tmp_path, role, asked):
    settings, context, fingerprint = with_client_authority(tmp_path)

    async def story():
        listener = Listener(address="127.0.0.1:0", role=role, relay_for=("127.0.0.1",))
        async with gate(listener, tls=ServerTls(settings)) as g:
            if role is Dialect.SUBMISSIONS:
                peer = await g.hello(tls=context)
            else:
                peer = await g.hello()
                assert (await peer.say("STARTTLS")).startswith("220 ")
                await peer.writer.start_tls(context, server_hostname="mx.example.net")
                await peer.say("EHLO again.example.org")
            await peer.send_mail()
            facts = g.handler.mails[0][0].tls
            assert facts is not None
            assert facts.peer_fingerprint == (fingerprint if asked else None)
            assert (facts.peer_subject is not None and "CN=scanner" in facts.peer_subject) is asked

    run(story())


def test_a_client_certificate_is_known_under_another_certificate_of_ours_too(run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    made, _ = certificate(other, "second.example.net")
    more = (NamedCertificate(certificate=str(made.certificate), key=str(made.key)),)
    settings, _, fingerprint = with_client_authority(tmp_path, more=more)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.load_cert_chain(tmp_path / "device.pem")

    async def story():
        listener = Listener(address="127.0.0.1:0", role=Dialect.SUBMISSION, relay_for=("127.0.0.1",))
        async with gate(listener, tls=ServerTls(settings)) as g:
            peer = await g.hello()
            await peer.say("STARTTLS")
            await peer.writer.start_tls(context, server_hostname="second.example.net")
            await peer.say("EHLO again.example.org")
            await peer.send_mail()
            facts = g.handler.mails[0][0].tls
            assert facts is not None
            assert (facts.server_name, facts.peer_fingerprint) == ("second.example.net", fingerprint)

    run(story())


@pytest.mark.parametrize(("text", "why"), [(None, "No such file"), ("no certificate", "devices.pem")])
def test_authorities_that_cannot_be_used_are_named(tmp_path, text, why):
    settings, _, _ = with_client_authority(tmp_path)
    (tmp_path / "devices.pem").unlink()
    if text is not None:
        (tmp_path / "devices.pem").write_text(text)
    with pytest.raises(TlsUnusable, match=why):
        ServerTls(settings)
