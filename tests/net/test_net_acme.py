"""Certificates from an authority on loopback that asks us back, by each of the three ways."""

from __future__ import annotations

import asyncio
import base64
import datetime
import json
import ssl
import stat
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gatepost.net.acme import Acme, certificate_id, fresh_key
from gatepost.net.authority import AcmeFailed, is_safe
from gatepost.net.certfiles import CertificateFolder, pem_of, spki_of, tlsa_of, tlsa_of_file
from gatepost.net.policyhost import PolicyHost, Proofs, listen
from gatepost.net.tls import ServerTls, TlsSettings, certificate_fault, server_context
from net.acme_server import AcmeServer

NAMES = ("mx.example.net", "mail.example.net")
POLICY = "version: STSv1\r\nmode: testing\r\nmx: mx.example.net\r\nmax_age: 86400\r\n"


@pytest.fixture
def authority() -> Iterator[AcmeServer]:
    with AcmeServer() as server:
        yield server


def with_servers(
    authority: AcmeServer, work: Callable[[Proofs], object], tls: ssl.SSLContext | None = None
) -> object:
    """Run `work` in a thread while our proofs are served."""

    async def go() -> object:
        proofs = Proofs()
        servers = [
            PolicyHost(listen("127.0.0.1:0"), proofs=proofs),
            PolicyHost(
                listen("127.0.0.1:0"), proofs=proofs, tls=lambda: tls or server_context(),
                policy=lambda domain: POLICY if domain == "example.net" else None,
            ),
        ]  # fmt: skip
        authority.http_port, authority.tls_port = (one.port for one in servers)
        for one in servers:
            one.start()
        try:
            return await asyncio.to_thread(work, proofs)
        finally:
            for one in servers:
                await one.stop()

    return asyncio.run(go())


@pytest.mark.parametrize("way", ["http-01", "tls-alpn-01"])
def test_names_are_proved_and_the_chain_is_for_our_key(
    way: str, authority: AcmeServer, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    def work(proofs: Proofs) -> bytes:
        acme = Acme(authority.directory, tmp_path, prover=proofs, way=way, contact="ana@example.net")
        chain = acme.obtain(NAMES, key)
        assert proofs.context() is None, "what proved the name is taken away"
        assert not proofs._files
        return chain

    chain = with_servers(authority, work)
    assert isinstance(chain, bytes)
    (first, second) = x509.load_pem_x509_certificates(chain)
    assert spki_of(first.public_key()) == spki_of(key.public_key())
    assert second == authority.root


def test_dns_by_a_command_of_the_operators(authority: AcmeServer, tmp_path: Path) -> None:
    hook, said = tmp_path / "hook", tmp_path / "said"
    hook.write_text(f'#!/bin/sh\necho "$1 $2 $3" >> {said}\n')
    hook.chmod(0o755)

    class Seen(Proofs):
        pass

    key = ec.generate_private_key(ec.SECP256R1())
    acme = Acme(authority.directory, tmp_path, prover=Seen(), way="dns-01", hook=(str(hook),))
    with pytest.raises(AcmeFailed, match="the TXT record is not there"):
        acme.obtain(("mx.example.net",), key)
    added, removed = said.read_text().splitlines()
    assert added.startswith("add _acme-challenge.mx.example.net ")
    assert removed == "remove" + added.removeprefix("add")

    class Publishing(dict[str, str]):
        def get(self, name: str, default: object = None) -> object:  # type: ignore[override]
            last = said.read_text().splitlines()[-1].split()
            return last[2] if last[:2] == ["add", name] else default

    authority.txt = Publishing()
    assert acme.obtain(("mx.example.net",), key).startswith(b"-----BEGIN CERTIFICATE")
    hook.write_text("#!/bin/sh\necho no zone >&2\nexit 3\n")
    with pytest.raises(AcmeFailed, match="ended with 3: no zone"):
        acme.obtain(("mx.example.net",), key)


def test_a_name_that_cannot_be_proved_is_told_with_the_authoritys_words(
    authority: AcmeServer, tmp_path: Path
) -> None:
    authority.http_port = 1
    acme = Acme(authority.directory, tmp_path, prover=Proofs())
    with pytest.raises(AcmeFailed, match=r"could not prove our names: mx\.example\.net: .*refused"):
        acme.obtain(("mx.example.net",), ec.generate_private_key(ec.SECP256R1()))
    authority.refuse = "too many certificates"
    with pytest.raises(AcmeFailed, match="says: too many certificates"):
        acme.obtain(("mx.example.net",), ec.generate_private_key(ec.SECP256R1()))


def test_the_account_is_kept_and_its_key_is_nobody_elses(authority: AcmeServer, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    for _ in range(2):
        with_servers(
            authority, lambda proofs: Acme(authority.directory, tmp_path, prover=proofs).obtain(NAMES, key)
        )
    assert len(authority.accounts) == 1
    assert stat.S_IMODE((tmp_path / "account.json").stat().st_mode) == 0o600


@pytest.mark.parametrize("lost", [False, True], ids=["answered", "the reply is lost"])
def test_the_accounts_key_is_changed_and_the_account_stays(
    authority: AcmeServer, tmp_path: Path, *, lost: bool
) -> None:
    """RFC 8555 §7.3.5; after a lost reply whoever comes next finds out which key counts."""
    key = ec.generate_private_key(ec.SECP256R1())

    def work(proofs: Proofs) -> None:
        ours = Acme(authority.directory, tmp_path, prover=proofs)
        ours.obtain(NAMES, key)
        (where,) = authority.accounts
        old, kept = authority.accounts[where].thumbprint(), (tmp_path / "account.json").read_bytes()
        authority.dies_after_key_change = lost
        if lost:
            with pytest.raises(AcmeFailed):
                ours.change_key()
        else:
            ours.change_key()
        assert list(authority.accounts) == [where]
        assert authority.accounts[where].thumbprint() != old
        for one in (ours, Acme(authority.directory, tmp_path, prover=proofs)):
            assert one.obtain(NAMES, key).startswith(b"-----BEGIN CERTIFICATE")
        assert list(authority.accounts) == [where], "no other account was made"
        assert stat.S_IMODE((tmp_path / "account.json").stat().st_mode) == 0o600
        thief = tmp_path / "thief"
        thief.mkdir()
        (thief / "account.json").write_bytes(kept)
        Acme(authority.directory, thief, prover=proofs).obtain(NAMES, key)
        assert len(authority.accounts) == 2, "the old key is a stranger's"

    with_servers(authority, work)


def test_a_change_of_keys_that_the_authority_never_heard_of_changes_nothing(
    authority: AcmeServer, tmp_path: Path
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())

    def work(proofs: Proofs) -> None:
        Acme(authority.directory, tmp_path, prover=proofs).obtain(NAMES, key)
        (where,) = authority.accounts
        path = tmp_path / "account.json"
        kept = json.loads(path.read_text())
        kept[authority.directory]["next"] = fresh_key().to_json()
        path.write_text(json.dumps(kept))
        Acme(authority.directory, tmp_path, prover=proofs).obtain(NAMES, key)
        assert list(authority.accounts) == [where]
        assert "next" not in json.loads(path.read_text())[authority.directory]

    with_servers(authority, work)


def test_an_authority_that_wants_to_know_us_besides(authority: AcmeServer, tmp_path: Path) -> None:
    secret = bytes(range(200, 232))
    authority.bound_to = ("customer-7", secret)
    file = tmp_path / "account.key"
    file.write_text(base64.urlsafe_b64encode(secret).decode().rstrip("=") + "\n")
    key = ec.generate_private_key(ec.SECP256R1())

    def work(proofs: Proofs) -> None:
        with pytest.raises(AcmeFailed, match="this account is not bound"):
            Acme(authority.directory, tmp_path / "a", prover=proofs).obtain(NAMES, key)
        bound = Acme(authority.directory, tmp_path / "b", prover=proofs, binding=("customer-7", file))
        assert bound.obtain(NAMES, key).startswith(b"-----BEGIN CERTIFICATE")
        lost = Acme(
            authority.directory, tmp_path / "c", prover=proofs, binding=("customer-7", tmp_path / "none")
        )
        with pytest.raises(AcmeFailed, match="No such file"):
            lost.obtain(NAMES, key)

    with_servers(authority, work)


def test_renewal_information_is_asked_for_and_the_order_says_what_it_replaces(
    authority: AcmeServer, tmp_path: Path
) -> None:
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    authority.window = (now + datetime.timedelta(days=3), now + datetime.timedelta(days=4))
    key = ec.generate_private_key(ec.SECP256R1())

    def work(proofs: Proofs) -> None:
        acme = Acme(authority.directory, tmp_path, prover=proofs)
        certificate = x509.load_pem_x509_certificate(acme.obtain(NAMES, key))
        renewal = acme.renewal(certificate)
        assert renewal is not None
        assert authority.window is not None
        assert authority.window[0].timestamp() <= renewal.at <= authority.window[1].timestamp()
        acme.obtain(NAMES, key, replaces=certificate)
        assert authority.orders[-1]["replaces"] == certificate_id(certificate)

    with_servers(authority, work)
    assert "replaces" not in authority.orders[0]


def test_an_authority_that_is_not_there_or_not_safe(tmp_path: Path) -> None:
    acme = Acme("http://127.0.0.1:9/directory", tmp_path, prover=Proofs())
    with pytest.raises(
        AcmeFailed, match=r"http://127\.0\.0\.1:9/directory cannot be used: Connection refused$"
    ):
        acme.obtain(NAMES, ec.generate_private_key(ec.SECP256R1()))
    assert is_safe("https://acme.example/directory")
    assert not is_safe("http://acme.example/directory")


# Files


def test_certificate_and_key_change_in_one_instant_and_keys_are_ours_alone(
    authority: AcmeServer, tmp_path: Path
) -> None:
    folder = CertificateFolder(tmp_path / "mx.example.net")
    folder.make_stopgap(NAMES)
    assert folder.is_stopgap()
    settings = TlsSettings(certificate=str(folder.chain_file), key=str(folder.key_file))
    tls = ServerTls(settings)
    key = folder.next_key()
    assert folder.next_key().private_numbers() == key.private_numbers(), (
        "it is kept, so that its TLSA can be published"
    )
    folder.put_by(authority.issue(list(NAMES), key.public_key()))
    assert not tls.changed()
    folder.switch()
    assert not folder.is_stopgap()
    assert tls.changed()
    assert tls.key_waiting() == tlsa_of(key.public_key()) == tlsa_of_file(folder.chain_file)
    assert tls.reload() is None
    assert tls.key_in_use == tlsa_of(key.public_key())
    assert folder.waiting() is None
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    with pytest.raises(ValueError, match="does not belong"):
        folder.install(
            authority.issue(list(NAMES), key.public_key()), pem_of(ec.generate_private_key(ec.SECP256R1()))
        )
    assert tlsa_of_file(folder.chain_file) == tlsa_of(key.public_key())


def test_what_a_careful_client_finds_wrong_with_a_certificate(authority: AcmeServer, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file, root = tmp_path / "chain.pem", tmp_path / "root.pem"
    file.write_bytes(authority.issue(["mx.example.net"], key.public_key()))
    root.write_bytes(authority.root_pem)
    now = datetime.datetime.now().timestamp()

    def fault(name: str = "mx.example.net", at: float = now, anchors: str = str(root)) -> str:
        return certificate_fault(file, name, trust_anchors=anchors, now=at)

    assert fault() == ""
    assert "would not be trusted" in fault(name="mx.example.org")
    assert "would not be trusted" in fault(at=now + 100 * 86_400)
    assert fault(anchors="") != ""
    file.write_text("nonsense")
    assert "cannot be read" in fault()


# The policy host


async def ask(
    port: int, request: bytes, *, tls: ssl.SSLContext | None = None, name: str = "mta-sts.example.net"
) -> bytes:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, ssl=tls, server_hostname=name if tls else None
    )
    try:
        writer.write(request)
        return await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()


def request(path: str, host: str = "mta-sts.example.net", method: str = "GET", more: str = "") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{more}\r\n".encode()


def test_policies_are_served_by_name_and_nothing_else_is(authority: AcmeServer, tmp_path: Path) -> None:
    names = {name: tmp_path / name for name in ("mx.example.net", "mta-sts.example.net")}
    for name, path in names.items():
        folder, key = CertificateFolder(path), ec.generate_private_key(ec.SECP256R1())
        folder.install(authority.issue([name], key.public_key()), pem_of(key))
    from gatepost.net.tls import NamedCertificate

    main, other = (CertificateFolder(path) for path in names.values())
    server = ServerTls(
        TlsSettings(
            certificate=str(main.chain_file), key=str(main.key_file),
            more=(NamedCertificate(certificate=str(other.chain_file), key=str(other.key_file)),),
        )
    )  # fmt: skip
    (tmp_path / "root.pem").write_bytes(authority.root_pem)
    client = ssl.create_default_context(cafile=tmp_path / "root.pem")

    async def go() -> None:
        proofs = Proofs()
        host = PolicyHost(
            listen("127.0.0.1:0"), proofs=proofs, tls=lambda: server.context,
            policy=lambda domain: POLICY if domain == "example.net" else None,
        )  # fmt: skip
        host.start()
        try:
            where = "/.well-known/mta-sts.txt"
            answer = await ask(host.port, request(where), tls=client)
            assert answer.startswith(b"HTTP/1.1 200")
            assert answer.endswith(POLICY.encode())
            assert b"content-type: text/plain" in answer.lower()
            for wrong in (
                request(where, host="mta-sts.example.org"),
                request(where, host="example.net"),
                request("/"),
                request("/.well-known/acme-challenge/../../etc/passwd"),
                request("/.well-known/acme-challenge/unknown"),
            ):
                assert (await ask(host.port, wrong, tls=client)).startswith(b"HTTP/1.1 404"), wrong
            assert (await ask(host.port, request(where, method="POST"), tls=client)).startswith(
                b"HTTP/1.1 405"
            )
            head = await ask(host.port, request(where, method="HEAD"), tls=client)
            assert head.endswith(b"\r\n\r\n")
            for hostile in (
                b"\x00" * 100 + b"\r\n\r\n",
                b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n",
                request(where, more="Content-Length: 10\r\n") + b"x" * 10,
            ):
                answer = await ask(host.port, hostile, tls=client)
                assert answer.startswith(b"HTTP/1.1 400"), answer[:60]
            with pytest.raises(ssl.SSLError):
                await ask(host.port, request(where), tls=client, name="elsewhere.example.org")
            assert (await ask(host.port, request(where), tls=client)).startswith(b"HTTP/1.1 200")
        finally:
            await host.stop()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        asyncio.run(go())


def test_policies_are_fetched_while_a_name_is_being_proved(authority: AcmeServer, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    folder = CertificateFolder(tmp_path)
    folder.install(authority.issue(["mta-sts.example.net"], key.public_key()), pem_of(key))
    server = ServerTls(TlsSettings(certificate=str(folder.chain_file), key=str(folder.key_file)))
    (tmp_path / "root.pem").write_bytes(authority.root_pem)
    client = ssl.create_default_context(cafile=tmp_path / "root.pem")

    def work(proofs: Proofs) -> bytes:
        from gatepost.net.acme import alpn_certificate

        proofs.certificate("mta-sts.example.net", *alpn_certificate("mta-sts.example.net", "token.thumb"))
        return asyncio.run(ask(authority.tls_port, request("/.well-known/mta-sts.txt"), tls=client))

    answer = with_servers(authority, work, server.context)
    assert isinstance(answer, bytes)
    assert answer.endswith(POLICY.encode())
