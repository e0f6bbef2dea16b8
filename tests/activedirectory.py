"""A real Active Directory on loopback: Samba's domain controller with a domain of its own, made and ended by the test.

It has its own loopback address, since the ports of a domain controller are fixed, and serves LDAP alone. It needs root.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

from conftest import real_program

BASE = "DC=corp,DC=example,DC=net"
STAFF, GROUPS = f"OU=Staff,{BASE}", f"OU=Groups,{BASE}"
ADMINISTRATOR, ADMINISTRATORS_PASSWORD = "administrator@corp.example.net", "Rules-the-D0main"
READER, PASSWORD = "gatepost@corp.example.net", "Reads-the-d1rectory"
SYSTEM_PYTHON = "/usr/bin/python3"
CONFIG = """\
[global]
netbios name = DC1
realm = CORP.EXAMPLE.NET
workgroup = CORP
server role = active directory domain controller
server services = ldap
interfaces = {address}/8
bind interfaces only = yes
private dir = {folder}/private
state directory = {folder}/state
cache directory = {folder}/cache
lock directory = {folder}
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
ntp signd socket directory = {folder}/ntp
winbindd socket directory = {folder}/winbindd
binddns dir = {folder}/bind-dns
tls enabled = yes
tls keyfile = {folder}/key.pem
tls certfile = {folder}/cert.pem
tls cafile = {folder}/ca.pem
logging = file
log file = {folder}/log
"""
FILL = """\
import json, sys
from samba.auth import system_session
from samba.param import LoadParm
from samba.samdb import SamDB

told = json.load(sys.stdin)
parameters = LoadParm()
parameters.load(told["config"])
directory = SamDB(url=told["database"], session_info=system_session(), lp=parameters)
directory.transaction_start()
directory.add_ldif(told["ldif"])
for name, password in told["passwords"].items():
    directory.setpassword(f"(sAMAccountName={name})", password)
    directory.enable_account(f"(sAMAccountName={name})")
directory.transaction_commit()
"""
ROOT = f"dn: {STAFF}\nobjectClass: organizationalUnit\n\ndn: {GROUPS}\nobjectClass: organizationalUnit\n\n"


@dataclass(frozen=True)
class DomainController:
    folder: Path
    """`ca.pem`, and `password` of the `READER`."""
    address: str

    @property
    def tls(self) -> str:
        return f"ldaps://{self.address}"

    @property
    def plain(self) -> str:
        """With StartTLS."""
        return f"ldap://{self.address}"

    def change(self, ldif: str) -> None:
        """Change the directory while it runs, as its administrator."""
        told = subprocess.run(
            [real_program("ldapmodify", "ldap-utils"), "-x", "-H", self.tls, "-D", ADMINISTRATOR, "-w", ADMINISTRATORS_PASSWORD],
            env=os.environ | {"LDAPTLS_CACERT": str(self.folder / "ca.pem")}, input=ldif.strip() + "\n", text=True,
            capture_output=True, timeout=20, check=False,
        )  # fmt: skip
        assert told.returncode == 0, told.stderr


def user(name: str, *more: str, called: str = "", mail: str = "", under: str = STAFF) -> str:
    """A user as LDIF; `name` is the short one (sAMAccountName)."""
    lines = [
        f"dn: CN={name},{under}", "objectClass: user", f"sAMAccountName: {name}", "userAccountControl: 544",
        f"userPrincipalName: {name}@corp.example.net", f"displayName: {called or name.title()}",
        f"mail: {mail or f'{name}@example.net'}",
    ]  # fmt: skip
    return "\n".join([*lines, *more]) + "\n\n"


def group(name: str, *members: str) -> str:
    """A group as LDIF; members are whole names."""
    short = "".join(character for character in name if character.isalnum())
    lines = [f"dn: CN={name},{GROUPS}", "objectClass: group", f"sAMAccountName: {short}"]
    return "\n".join([*lines, *(f"member: {one}" for one in members)]) + "\n\n"


@contextlib.contextmanager
def domain_controller(
    *entries: str, passwords: Mapping[str, str], address: str
) -> Iterator[DomainController]:
    """A domain with these entries; `passwords` by short name. `address` is a loopback address nobody else uses."""
    program, tool = real_program("samba", "samba-ad-dc"), real_program("samba-tool", "samba-ad-dc")
    if not Path("/usr/share/samba/setup/provision.ldif").exists():
        real_program("provision.ldif", "samba-ad-provision")
    if os.geteuid() != 0:
        pytest.skip("a domain controller needs root")
    folder = Path(tempfile.mkdtemp(prefix="gatepost-dc-", dir="/tmp"))  # paths of its sockets must be short
    try:
        _provision(tool, folder)
        _certificate(folder, address)
        (folder / "password").write_text(PASSWORD + "\n")
        (folder / "cache").mkdir(exist_ok=True)
        config = folder / "run.conf"
        config.write_text(CONFIG.format(folder=folder, address=address))
        told = {
            "config": str(config), "database": str(folder / "private" / "sam.ldb"),
            "ldif": ROOT + user("gatepost", under=f"CN=Users,{BASE}", mail="nobody@elsewhere.example") + "".join(entries),
            "passwords": {"gatepost": PASSWORD, **passwords},
        }  # fmt: skip
        filled = subprocess.run(
            [SYSTEM_PYTHON, "-c", FILL], input=json.dumps(told), text=True, capture_output=True, timeout=60, check=False
        )  # fmt: skip
        assert filled.returncode == 0, filled.stderr
        with _running(program, folder, config, address):
            yield DomainController(folder, address)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _provision(tool: str, folder: Path) -> None:
    done = subprocess.run(
        [
            tool, "domain", "provision", f"--targetdir={folder}", "--realm=CORP.EXAMPLE.NET", "--domain=CORP",
            f"--adminpass={ADMINISTRATORS_PASSWORD}", "--server-role=dc", "--dns-backend=NONE", "--host-name=dc1",
            "--host-ip=127.0.0.1", "--option=interfaces=lo", "--option=bind interfaces only=yes", "--option=vfs objects=",
        ],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]


def _certificate(folder: Path, address: str) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(folder / "ca.pem"))
    issued = ca.issue_cert(address)
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    (folder / "key.pem").chmod(0o600)
    (folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))


@contextlib.contextmanager
def _running(program: str, folder: Path, config: Path, address: str) -> Iterator[None]:
    with (folder / "said").open("wb") as said:
        process = subprocess.Popen(
            [program, "-s", str(config), "-F", "--no-process-group", "-M", "single"], stdout=said, stderr=said
        )
        try:
            end = time.monotonic() + 40
            while True:
                with contextlib.suppress(OSError), socket.create_connection((address, 636), 1):
                    break
                assert process.poll() is None, (folder / "log").read_text(errors="replace")[-2000:]
                assert time.monotonic() < end, "the domain controller does not listen"
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.wait(20)
