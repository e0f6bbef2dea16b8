"""The servers that are measured, each in a folder of its own on loopback: Gatepost, and what it is measured against."""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import signal
import sys
import time
from pathlib import Path

from corpus import RECIPIENT
from processes import Programs, cpu_s, free_port, wait_for

HERE = Path(__file__).resolve().parent
CONTENT = (
    "structure", "spam", "rules", "attachments", "antivirus", "surbl", "links", "lookalike", "impersonation",
)  # fmt: skip
"""Checks that look inside the message."""
SENDER = (
    "rdns", "dnsbl", "rates", "volume", "greylist", "hello", "headers", "correspondents", "forwarder", "senders",
    "tlsrequired",
)  # fmt: skip
"""Checks that look at who sends."""
PROVING = ("spf", "dkim", "arc", "dmarc")
"""With all four off nobody is asked who sent it: what a mail server without a filter does."""


class Server:
    """Something that takes mail on a port."""

    def __init__(self, programs: Programs, port: int) -> None:
        self.programs = programs
        self.port = port

    def receiving_s(self) -> float:
        """CPU seconds of taking mail in."""
        return self.programs.cpu_s()

    def begin(self) -> None:
        """Before a measurement."""

    def finish(self) -> None:
        """After it."""
        self.programs.settle()

    def end(self) -> None:
        """Over."""
        self.programs.end()


class Gatepost(Server):
    """`gatepost serve`. What delivers is a process of its own: it is held back while the others are measured.

    `source` is the folder of another checkout's packages, instead of what is installed.
    """

    def __init__(
        self,
        folder: Path,
        *,
        workers: int,
        off: tuple[str, ...],
        dns_port: int,
        hold: bool = True,
        more: str = "",
        source: Path | None = None,
    ) -> None:
        shutil.rmtree(folder / "mail", ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(Programs(), free_port())
        self._folder = folder
        self._hold = hold and workers > 0
        modes = "".join(f'{name} = "off"\n' for name in off)
        (folder / "gatepost.toml").write_text(
            f"""hostname = "mx.example.net"
workers = {workers}
[[listeners]]
address = "127.0.0.1:{self.port}"
xclient_from = ["127.0.0.1"]
[dns]
servers = ["127.0.0.1:{dns_port}"]
[[domains]]
name = "example.net"
recipients = ["{RECIPIENT}"]
deliver = "maildir:mail"
[limits.connections]
per_client = 2000
per_client_a_minute = 1000000
greeting_delay = "0s"
[checks.rates]
mode = "off"
[checks.volume]
mode = "off"
[policy.modes]
{modes}{more}""",
            encoding="utf-8",
        )
        command = [sys.executable, "-m", "gatepost", "serve", "--config", folder / "gatepost.toml"]
        environment = {**os.environ, "PYTHONPATH": str(source)} if source else None
        self.supervisor = self.programs.start(command, folder / "log", cwd=folder, env=environment).pid
        for _ in range(300):  # it listens before it is ready
            told = (folder / "log").read_text(encoding="utf-8")
            if "ready mx=" in told:
                break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"gatepost did not start: {told[-2000:]}")
        self.delivering = [pid for pid in self.programs.pids() if called(pid).startswith("gate delivery")]

    def receiving_s(self) -> float:
        return sum(cpu_s(pid) for pid in self.programs.pids() if pid not in self.delivering)

    def begin(self) -> None:
        if not self._hold:
            return
        with (self._folder / "var/gatepost.db-turn").open("rb") as turn:
            while True:  # not while one has its turn at the database, which the others would wait for
                self._tell(signal.SIGSTOP)
                time.sleep(0.05)
                try:
                    fcntl.flock(turn, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    self._tell(signal.SIGCONT)
                else:
                    return

    def finish(self) -> None:
        if self._hold:
            self._tell(signal.SIGCONT)
        self.programs.settle(120)

    def end(self) -> None:
        if self._hold:
            self._tell(signal.SIGCONT)
        super().end()

    def _tell(self, number: signal.Signals) -> None:
        for pid in self.delivering:
            os.kill(pid, number)


def called(pid: int) -> str:
    """What `ps -o comm` calls it."""
    return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()


def start_dns(folder: Path, zone: str) -> tuple[Programs, int]:
    """unbound when it is there and we are alone on port 53, else our own zone server; its port."""
    programs = Programs()
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("unbound") and alone():
        data = "\n".join(f"    local-data: '{line}'" for line in zone.splitlines())
        (folder / "unbound.conf").write_text(
            f"""server:
    interface: 127.0.0.1
    do-daemonize: no
    chroot: ""
    username: ""
    directory: "{folder}"
    pidfile: "{folder}/pid"
    use-syslog: no
    num-threads: 1
    local-zone: "." static
{data}
remote-control:
    control-enable: no
""",
            encoding="utf-8",
        )
        programs.start(["unbound", "-c", folder / "unbound.conf"], folder / "log")
        wait_for(53)
        return programs, 53
    port = 53 if alone() else free_port()
    (folder / "zone").write_text(zone, encoding="utf-8")
    programs.start([sys.executable, HERE / "zone_server.py", folder / "zone", port], folder / "log")
    wait_for(port)
    return programs, port


class Postfix(Server):
    """Postfix that takes everything into its queue and discards it from there; with milters if wanted."""

    def __init__(self, folder: Path, *, milters: bool) -> None:
        programs = Programs()
        sockets = start_milters(folder, programs) if milters else ""
        base = folder / "postfix"
        shutil.rmtree(base, ignore_errors=True)
        for name in ("spool", "etc"):
            (base / name).mkdir(parents=True)
        owned(base / "data", "postfix")
        super().__init__(programs, free_port())
        settings = {
            "compatibility_level": "3.6",
            "queue_directory": base / "spool",
            "data_directory": base / "data",
            "command_directory": "/usr/sbin",
            "daemon_directory": "/usr/lib/postfix/sbin",
            "maillog_file": base / "maillog",
            "maillog_file_prefixes": base,
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "mx.example.net",
            "mydestination": "",
            "relay_domains": "example.net",
            "relay_recipient_maps": "",
            "alias_maps": "",
            "alias_database": "",
            "mynetworks": "127.0.0.0/8",
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "smtpd_authorized_xclient_hosts": "127.0.0.0/8",
            "smtpd_client_connection_count_limit": "0",
            "in_flow_delay": "0",
            "relay_transport": "discard:",
            "default_transport": "discard:",
            "smtpd_milters": sockets,
            "milter_default_action": "tempfail",
        }
        (base / "etc/main.cf").write_text(
            "".join(f"{name} = {value}\n" for name, value in settings.items()), encoding="utf-8"
        )
        (base / "etc/master.cf").write_text(master(self.port), encoding="utf-8")
        programs.start(["postfix", "-c", base / "etc", "start-fg"], folder / "postfix.log")
        wait_for(self.port)


def master(port: int) -> str:
    """master.cf(5): Debian's services with no chroot, and smtpd on our port."""
    lines = [f"127.0.0.1:{port} inet n - n - 250 smtpd"]
    lines += [
        "pickup unix n - n 60 1 pickup",
        "qmgr unix n - n 300 1 qmgr",
        "tlsmgr unix - - n 1000? 1 tlsmgr",
    ]
    lines += [f"{name} unix - - n - 0 bounce" for name in ("bounce", "defer", "trace")]
    lines += ["cleanup unix n - n - 0 cleanup", "rewrite unix - - n - - trivial-rewrite"]
    lines += [f"{name} unix - - n - - {name}" for name in ("proxymap", "error", "discard", "smtp")]
    lines += [f"{name} unix - - n - 1 {name}" for name in ("anvil", "scache", "verify")]
    lines += ["retry unix - - n - - error", "showq unix n - n - - showq", "flush unix n - n 1000? 0 flush"]
    lines += ["postlog unix-dgram n - n - 1 postlogd"]
    return "\n".join(lines) + "\n"


def start_milters(folder: Path, programs: Programs) -> str:
    """opendkim and opendmarc (which checks SPF itself) on unix sockets; the value of smtpd_milters."""
    dkim, dmarc = owned(folder / "opendkim", "opendkim"), owned(folder / "opendmarc", "opendmarc")
    for old in (dkim / "socket", dmarc / "socket"):
        old.unlink(missing_ok=True)
    shared = "UMask 000\nSyslog no\nBackground no\nAuthservID mx.example.net\n"
    (dkim / "conf").write_text(
        f"{shared}Mode v\nSocket local:{dkim}/socket\nUserID opendkim\nPidFile {dkim}/pid\n"
        "Nameservers 127.0.0.1\nInternalHosts 198.51.100.1\nOn-Default accept\n",
        encoding="utf-8",
    )
    (dmarc / "conf").write_text(
        f"{shared}Socket local:{dmarc}/socket\nUserID opendmarc\nPidFile {dmarc}/pid\n"
        "TrustedAuthservIDs mx.example.net\nSPFSelfValidate true\nRejectFailures false\n"
        "PublicSuffixList /usr/share/publicsuffix/public_suffix_list.dat\n",
        encoding="utf-8",
    )
    programs.start(["opendkim", "-f", "-x", dkim / "conf"], folder / "opendkim.log")
    programs.start(["opendmarc", "-f", "-c", dmarc / "conf"], folder / "opendmarc.log")
    wait_for(dkim / "socket")
    wait_for(dmarc / "socket")
    return f"unix:{dkim}/socket unix:{dmarc}/socket"


def owned(folder: Path, user: str) -> Path:
    """A folder of that user."""
    folder.mkdir(parents=True, exist_ok=True)
    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
    return folder


def alone() -> bool:
    """Do we have a network namespace of our own (see ./bench), and with it port 53?"""
    return os.environ.get("GATEPOST_BENCH_ALONE") == "yes"
