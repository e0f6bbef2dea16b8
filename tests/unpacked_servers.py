"""Exim and OpenSMTPD as Debian builds them, unpacked beside Postfix (`tools/setup.sh`) and run each in a mount namespace:
there it finds its users, its spool and its configuration where it was built to look for them, and this machine stays as it is.

They need root, as Postfix does.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from conftest import ROOT
from real_servers import RealServer

UNPACKED = ROOT / ".peers"
USERS = {"Debian-exim": 64901, "opensmtpd": 64902, "opensmtpq": 64903, "boxes": 64904}
"""Accounts that the packages would have made, and one whose the mailboxes are."""
BOXES = ("ana", "ben", "postmaster", "sam")


def unpacked_program(package: str, path: str) -> Path:
    """A program of a package that was unpacked; skips where it is missing, and fails under ./check --all."""
    program = UNPACKED / package / path
    if not program.is_file():
        message = f"{package} is not unpacked here (./check --all does it, as root)"
        if os.environ.get("GATEPOST_NO_SKIP"):
            pytest.fail(message)
        pytest.skip(message)
    return program


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextlib.contextmanager
def in_own_world(
    places: dict[str, Path], command: Sequence[str], server: RealServer
) -> Iterator[subprocess.Popen[bytes]]:
    """Run `command` where each of `places` is the folder or file beside it, until it listens; all of it ends with the test."""
    binds = [["mount", "--bind", str(source), target] for target, source in places.items()]
    script = "\n".join([*(" ".join(one) for one in binds), f"exec {' '.join(command)}"])
    with (server.folder / "said").open("wb") as said:
        process = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child=SIGKILL", "sh", "-ec", script],
            stdin=subprocess.DEVNULL, stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
    try:
        end = time.monotonic() + 20
        while True:
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.connect(("127.0.0.1", server.port))
                break
            assert process.poll() is None, f"it did not start: {told(server)}"
            assert time.monotonic() < end, f"it does not listen: {told(server)}"
            time.sleep(0.02)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def told(server: RealServer) -> str:
    """What it said and logged, the end of each."""
    files = [server.folder / "said", *sorted((server.folder / "logs").glob("*"))]
    return "\n".join(one.read_text(errors="replace")[-3000:] for one in files)


@contextlib.contextmanager
def world() -> Iterator[Path]:
    """A folder that the servers' own accounts reach, with those accounts in it."""
    if os.geteuid() != 0:
        pytest.skip("real mail servers change users and need root")
    folder = Path(tempfile.mkdtemp(prefix="gatepost-peer-", dir="/tmp"))
    folder.chmod(0o755)
    passwd, group = Path("/etc/passwd").read_text(), Path("/etc/group").read_text()
    for name, number in USERS.items():
        passwd += f"{name}:x:{number}:{number}::/nonexistent:/usr/sbin/nologin\n"
        group += f"{name}:x:{number}:\n"
    (folder / "passwd").write_text(passwd)
    (folder / "group").write_text(group)
    (folder / "mail").mkdir()
    os.chown(folder / "mail", USERS["boxes"], USERS["boxes"])
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


EXIM = """\
primary_hostname = exim.example
spool_directory = {folder}/spool
log_file_path = {folder}/logs/%s
exim_path = {folder}/exim4
pid_file_path = {folder}/pid
local_interfaces = 127.0.0.1
daemon_smtp_ports = {port}
keep_environment =
host_lookup =
rfc1413_query_timeout = 0s
message_size_limit = 1000000
smtputf8_advertise_hosts = *
dsn_advertise_hosts = *
smtp_accept_max = 50
smtp_accept_queue_per_connection = 1000
{more}
acl_smtp_rcpt = rcpt
acl_smtp_data = accept
begin acl
rcpt:
  defer local_parts = postmaster
        condition = ${{if exists{{{folder}/busy}}}}
        message = 4.2.1 busy just now
  {relay}
  require domains = example.net : example.org
  require verify = recipient
  accept
begin routers
{route}
box:
  driver = accept
  domains = example.net : example.org
  local_parts = ana : ben : postmaster : sam
  transport = box
begin transports
box:
  driver = appendfile
  directory = {folder}/mail/$domain_data/$local_part_data
  maildir_format
  create_directory
  user = boxes
  group = boxes
{transport}
begin retry
* * F,1h,1m
"""


@contextlib.contextmanager
def exim(
    more: str = "", *, relay: str = "", route: str = "", transport: str = "", files: Sequence[Path] = ()
) -> Iterator[RealServer]:
    """An Exim that takes mail for ana, ben and postmaster at example.net, and for sam at example.org; postmaster's is busy while there is a file
    ``busy``. It is strict about who speaks when, as it comes. `files` are copied to where the settings say ``FOLDER``."""
    program = unpacked_program("exim4-daemon-light", "usr/sbin/exim4")
    with world() as folder:
        port = free_port()
        for name in ("lib", "lib/exim4", "spool", "logs"):
            (folder / name).mkdir()
        for name in ("spool", "logs"):
            os.chown(folder / name, USERS["Debian-exim"], USERS["Debian-exim"])
        shutil.copy(program, folder / "exim4")
        (folder / "exim4").chmod(0o4755)
        for file in files:
            shutil.copyfile(file, folder / file.name)
            (folder / file.name).chmod(0o644)
        settings = EXIM.format(
            folder=folder, port=port, more=more, relay=relay, route=route, transport=transport
        )
        (folder / "lib/exim4/config.autogenerated").write_text(settings.replace("FOLDER", str(folder)))
        places = {
            "/etc/passwd": folder / "passwd",
            "/etc/group": folder / "group",
            "/var/lib": folder / "lib",
        }
        server = RealServer(folder, port=port)
        with in_own_world(places, [f"{folder}/exim4", "-bdf", "-q30m"], server):
            yield server


OPENSMTPD = """\
{pki}
smtp max-message-size 1000000
table boxes {{ {boxes} }}
table accounts {{ "boxes" = "{number}:{number}:{folder}" }}
listen on 127.0.0.1 port {port} hostname opensmtpd.example {tls}
action box mda "/usr/libexec/opensmtpd/mail.maildir {folder}/mail/%{{dest.domain}}/%{{dest.user}}" virtual <boxes>
match from any for domain {{ example.net, example.org }} action box
"""


@contextlib.contextmanager
def opensmtpd(chain: Path | None = None) -> Iterator[RealServer]:
    """An OpenSMTPD that takes mail for the same; `chain` is a PEM file with key and certificates."""
    program = unpacked_program("opensmtpd", "usr/sbin/smtpd")
    with world() as folder:
        port = free_port()
        for name in ("spool", "spool/smtpd", "run", "lib", "lib/opensmtpd", "lib/opensmtpd/empty"):
            (folder / name).mkdir(mode=0o711)
        pki = tls = ""
        if chain is not None:
            key, _, rest = chain.read_text().partition("-----BEGIN CERTIFICATE-----")
            for name, text in (("key.pem", key), ("chain.pem", f"-----BEGIN CERTIFICATE-----{rest}")):
                (folder / name).write_text(text)
                (folder / name).chmod(0o600)
            pki = f'pki it cert "{folder}/chain.pem"\npki it key "{folder}/key.pem"'
            tls = "tls pki it"
        (folder / "smtpd.conf").write_text(
            OPENSMTPD.format(
                folder=folder, port=port, pki=pki, tls=tls, number=USERS["boxes"],
                boxes=", ".join(f'"{one}" = "boxes"' for one in BOXES),
            )
        )  # fmt: skip
        places = {
            "/etc/passwd": folder / "passwd",
            "/etc/group": folder / "group",
            "/usr/libexec": UNPACKED / "opensmtpd/usr/libexec",
            "/var/lib": folder / "lib",
            "/var/spool": folder / "spool",
            "/run": folder / "run",
        }
        server = RealServer(folder, port=port)
        with in_own_world(places, [str(program), "-d", "-f", f"{folder}/smtpd.conf"], server):
            yield server
