"""A real OpenLDAP server on loopback, in a folder of its own, started and ended by the test."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import trustme

from conftest import real_program

BASE = "dc=example,dc=net"
READER, PASSWORD = f"cn=gatepost,{BASE}", "reads the directory"
CONFIG = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/misc.schema
pidfile {folder}/pid
modulepath /usr/lib/ldap
moduleload back_mdb
sizelimit 1000
disallow bind_anon
TLSCertificateFile {folder}/cert.pem
TLSCertificateKeyFile {folder}/key.pem
database mdb
suffix "dc=example,dc=net"
directory {folder}/db
rootdn "cn=gatepost,dc=example,dc=net"
rootpw "reads the directory"
access to attrs=userPassword by anonymous auth by * none
access to * by users read by anonymous auth
"""
ROOT = """
dn: dc=example,dc=net
objectClass: domain
dc: example

dn: ou=people,dc=example,dc=net
objectClass: organizationalUnit
ou: people

dn: ou=groups,dc=example,dc=net
objectClass: organizationalUnit
ou: groups
"""


@dataclass(frozen=True)
class Slapd:
    folder: Path
    plain: str
    """``ldap://localhost:…``, with StartTLS."""
    tls: str

    def change(self, ldif: str) -> None:
        """Change the directory while it runs."""
        told = subprocess.run(
            [real_program("ldapmodify", "ldap-utils"), "-x", "-H", self.plain, "-D", READER, "-w", PASSWORD],
            input=ldif.strip() + "\n", text=True, capture_output=True, timeout=20, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr


def person(uid: str, *more: str, name: str = "", password: str = "") -> str:
    """An entry as LDIF."""
    lines = [
        f"dn: uid={uid},ou=people,{BASE}", "objectClass: inetOrgPerson", "objectClass: inetLocalMailRecipient",
        f"uid: {uid}", f"cn: {name or uid.title()}", f"sn: {uid}", f"mail: {uid}@example.net",
    ]  # fmt: skip
    lines += [f"userPassword: {password}"] if password else []
    return "\n".join([*lines, *more]) + "\n\n"


def group(name: str, *members: str) -> str:
    """A group as LDIF."""
    lines = [f"dn: cn={name},ou=groups,{BASE}", "objectClass: groupOfNames", f"cn: {name}"]
    return "\n".join([*lines, *(f"member: uid={one},ou=people,{BASE}" for one in members)]) + "\n\n"


@contextlib.contextmanager
def slapd(folder: Path, *entries: str, certificate_for: str = "localhost") -> Iterator[Slapd]:
    """A directory with these entries; its authority's certificate is ``ca.pem`` in the folder."""
    program, add = real_program("slapd"), real_program("slapadd", "slapd")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = ca.issue_cert(certificate_for)
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "db").mkdir()
    (folder / "slapd.conf").write_text(CONFIG.format(folder=folder))
    (folder / "start.ldif").write_text(ROOT + "\n" + "".join(entries))
    subprocess.run(
        [add, "-f", str(folder / "slapd.conf"), "-l", str(folder / "start.ldif")], check=True, timeout=20,
        capture_output=True,
    )  # fmt: skip
    ports = [_free_port(), _free_port()]
    urls = (
        f"ldap://localhost:{ports[0]} ldaps://localhost:{ports[1]}"  # by every address that the name has here
    )
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [program, "-f", str(folder / "slapd.conf"), "-h", urls, "-d", "0"], stdout=log, stderr=log
    )
    try:
        for port in ports:
            _until_it_listens(process, port, folder)
        yield Slapd(folder, f"ldap://localhost:{ports[0]}", f"ldaps://localhost:{ports[1]}")
    finally:
        process.terminate()
        process.wait(20)
        log.close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _until_it_listens(process: subprocess.Popen[bytes], port: int, folder: Path) -> None:
    end = time.monotonic() + 20
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, (folder / "log").read_text(errors="replace")
        assert time.monotonic() < end, "slapd does not listen"
        time.sleep(0.02)
