"""Real mail servers as next hops, each in a folder of its own, on loopback, started and ended by the test.

They need root: Postfix and Dovecot change users by themselves.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import real_program


@dataclass(frozen=True)
class RealServer:
    folder: Path
    port: int = 0
    socket: str = ""

    def mailbox(self, address: str) -> list[bytes]:
        """The messages in a mailbox there, as files."""
        local, _, domain = address.partition("@")
        found = [
            path
            for box in (f"mail/{domain}/{local}", f"mail/{domain}/{local}/Maildir")
            for part in ("new", "cur")
            for path in (self.folder / box / part).glob("*")
        ]
        return [path.read_bytes() for path in sorted(found)]

    def wait_for(self, address: str, count: int = 1) -> list[bytes]:
        """The same once so many are there."""
        end = time.monotonic() + 20
        while len(found := self.mailbox(address)) < count:
            assert time.monotonic() < end, f"only {len(found)} in {address}: {self.log()}"
            time.sleep(0.02)
        return found

    def log(self) -> str:
        path = self.folder / "log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else "(no log)"


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Reachable for the servers' own users, unlike pytest's."""
    if os.geteuid() != 0:
        pytest.skip("real mail servers change users and need root")
    folder = Path(tempfile.mkdtemp(prefix="gatepost-peer-", dir="/tmp"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _end(process: subprocess.Popen[bytes]) -> None:
    """It leads its own process group: all of it ends, and nothing else."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _until_it_listens(
    process: subprocess.Popen[bytes], address: object, family: int, server: RealServer
) -> None:
    end = time.monotonic() + 20
    while True:
        with socket.socket(family) as probe, contextlib.suppress(OSError):
            probe.connect(address)  # type: ignore[arg-type]
            return
        assert process.poll() is None, f"it did not start: {server.log()}"
        assert time.monotonic() < end, f"it does not listen: {server.log()}"
        time.sleep(0.02)


MASTER_CF = """\
127.0.0.1:{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
tlsmgr unix - - n 1000? 1 tlsmgr
virtual unix - n n - - virtual
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
showq unix n - n - - showq
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


@contextlib.contextmanager
def postfix(**settings: str) -> Iterator[RealServer]:
    """A Postfix that takes mail for example.net and files it in the Maildirs of ana, ben and postmaster."""
    program = real_program("postfix")
    with _folder() as folder:
        port = _free_port()
        owner = pwd.getpwnam("postfix")
        for name in ("config", "queue", "data", "mail"):
            (folder / name).mkdir(mode=0o755)
        for name in ("data", "mail"):
            os.chown(folder / name, owner.pw_uid, owner.pw_gid)
        main = {
            "compatibility_level": "3.6",
            "queue_directory": f"{folder}/queue",
            "data_directory": f"{folder}/data",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "maillog_file": f"{folder}/log",
            "maillog_file_prefixes": str(folder),
            "myhostname": "postfix.example",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "alias_maps": "",
            "virtual_mailbox_domains": "example.net",
            "virtual_mailbox_base": f"{folder}/mail",
            "virtual_mailbox_maps": f"texthash:{folder}/config/boxes",
            "virtual_uid_maps": f"static:{owner.pw_uid}",
            "virtual_gid_maps": f"static:{owner.pw_gid}",
            "virtual_minimum_uid": "1",
            "message_size_limit": "1000000",
            "smtputf8_enable": "yes",
            **settings,
        }
        (folder / "config/main.cf").write_text("".join(f"{name} = {value}\n" for name, value in main.items()))
        (folder / "config/master.cf").write_text(MASTER_CF.format(port=port))
        (folder / "config/boxes").write_text(
            "".join(f"{local}@example.net example.net/{local}/\n" for local in ("ana", "ben", "postmaster"))
        )
        server = RealServer(folder, port=port)
        checked = subprocess.run(
            [program, "-c", f"{folder}/config", "check"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert checked.returncode == 0, checked.stderr
        process = subprocess.Popen(
            ["/usr/lib/postfix/sbin/master", "-d", "-c", f"{folder}/config"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={"PATH": os.environ["PATH"], "MAIL_CONFIG": f"{folder}/config", "MAIL_LOGTAG": "postfix"},
        )
        try:
            _until_it_listens(process, ("127.0.0.1", port), socket.AF_INET, server)
            yield server
        finally:
            _end(process)


DOVECOT_23 = """\
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
ssl = no
default_internal_user = {user}
default_internal_group = {user}
default_login_user = {user}
first_valid_uid = 1
mail_location = maildir:{folder}/mail/%d/%n/Maildir
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = {folder}/users
}}
service anvil {{
  chroot =
}}
service lmtp {{
  unix_listener {folder}/lmtp.sock {{
    mode = 0666
  }}
}}
"""
# Debian 13 has 2.4, which reads nothing written for 2.3.
DOVECOT_24 = """\
dovecot_config_version = 2.4.0
dovecot_storage_version = 2.4.0
base_dir = {folder}/run
state_dir = {folder}/state
log_path = {folder}/log
protocols = lmtp
ssl = no
default_internal_user = {user}
default_internal_group = {user}
default_login_user = {user}
first_valid_uid = 1
mail_driver = maildir
mail_path = {folder}/mail/%{{user|domain}}/%{{user|username}}/Maildir
passdb static {{
  fields {{
    nopassword = yes
  }}
}}
userdb passwd-file {{
  passwd_file_path = {folder}/users
}}
service anvil {{
  chroot =
}}
service lmtp {{
  unix_listener {folder}/lmtp.sock {{
    mode = 0666
  }}
}}
"""


@contextlib.contextmanager
def dovecot() -> Iterator[RealServer]:
    """A Dovecot that takes mail over LMTP for ana and ben at example.net."""
    program = real_program("dovecot", "dovecot-lmtpd")
    if not Path("/usr/lib/dovecot/lmtp").exists():
        pytest.skip("Dovecot's LMTP is not here (apt-get install dovecot-lmtpd)")
    with _folder() as folder:
        user = pwd.getpwnam("dovecot")
        for name in ("mail", "state"):
            (folder / name).mkdir(mode=0o755)
        os.chown(folder / "mail", user.pw_uid, user.pw_gid)
        (folder / "users").write_text(
            "".join(
                f"{local}@example.net::{user.pw_uid}:{user.pw_gid}::{folder}/mail/example.net/{local}::\n"
                for local in ("ana", "ben")
            )
        )
        version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
        text = DOVECOT_23 if version.startswith("2.3.") else DOVECOT_24
        (folder / "dovecot.conf").write_text(text.format(folder=folder, user="dovecot"))
        server = RealServer(folder, socket=f"{folder}/lmtp.sock")
        process = subprocess.Popen(
            [program, "-F", "-c", f"{folder}/dovecot.conf"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            _until_it_listens(process, server.socket, socket.AF_UNIX, server)
            yield server
        finally:
            _end(process)
