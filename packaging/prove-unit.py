# ruff: noqa: T201, S603, S607 - a script that starts programs and tells what came of it
"""The part of `prove-unit.sh` that runs inside the container: the unit is started, asked, reloaded, killed, hung and stopped."""

import base64
import io
import json
import os
import re
import shutil
import signal
import smtplib
import ssl
import subprocess
import sys
import time
import zipfile
from pathlib import Path

GATEPOST = "/opt/gatepost/.venv/bin/gatepost"
CONFIG = Path("/etc/gatepost/gatepost.toml")
TLS = Path("/etc/gatepost/tls")
MAIL = b"From: Ann <ann@good.example>\r\nTo: postmaster@example.net\r\nSubject: %s\r\nMessage-ID: <%s@good.example>\r\n\r\nHello.\r\n"
failures = []


def proved(what: str, holds: object, seen: object = "") -> None:
    """One line; what does not hold is counted and told with what was seen."""
    print(
        ("  yes  " if holds else "  NO   ") + what + (f"\n       seen: {seen}" if not holds else ""),
        flush=True,
    )
    if not holds:
        failures.append(what)


def run(*words: str, check: bool = True) -> str:
    """Its output, both streams."""
    done = subprocess.run(
        words,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, "GATEPOST_CONFIG": str(CONFIG)},
    )
    if check and done.returncode:
        raise SystemExit(f"{' '.join(words)} failed:\n{done.stdout}\n{journal()[-4000:]}")
    return done.stdout


def show(name: str) -> str:
    """A property of the unit."""
    return run("systemctl", "show", "-p", name, "--value", "gatepost").strip()


def journal(since: float = 0) -> str:
    """What the unit wrote."""
    return run("journalctl", "-u", "gatepost", "--no-pager", "-o", "cat", f"--since=@{int(since)}")


def until(holds, patience_s: float = 30) -> bool:
    """Wait for it, within bounds."""
    end = time.monotonic() + patience_s
    while time.monotonic() < end:
        try:
            if holds():
                return True
        except (OSError, smtplib.SMTPException):
            pass
        time.sleep(0.1)
    return False


def pids() -> list[int]:
    """Every process of the unit."""
    return [int(one) for one in Path("/sys/fs/cgroup", *cgroup(), "cgroup.procs").read_text().split()]


def cgroup() -> list[str]:
    found = [
        one
        for one in ("unified", "systemd", "")
        if Path("/sys/fs/cgroup", one, "system.slice/gatepost.service").is_dir()
    ]
    return [found[0], "system.slice/gatepost.service"] if found else ["system.slice/gatepost.service"]


def greeted() -> smtplib.SMTP:
    client = smtplib.SMTP("127.0.0.1", 25, timeout=20)
    client.ehlo("client.example")
    return client


def certificate() -> bytes:
    """What STARTTLS shows."""
    client = greeted()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    client.starttls(context=context)
    shown = client.sock.getpeercert(binary_form=True)
    client.quit()
    return shown or b""


def on_disk() -> bytes:
    return ssl.PEM_cert_to_DER_cert((TLS / "fullchain.pem").read_text())


def send(octets: bytes) -> str:
    """The reference of a message that was taken."""
    client = greeted()
    client.mail("ann@good.example")
    client.rcpt("postmaster@example.net")
    code, text = client.data(octets)
    client.quit()
    assert code == 250, (code, text)
    return re.search(r"\[ref (\w+)\]", text.decode()).group(1)


def with_attachment(name: str, octets: bytes) -> bytes:
    coded = base64.encodebytes(octets).replace(b"\n", b"\r\n")
    return (
        b"From: Ann <ann@good.example>\r\nTo: postmaster@example.net\r\nSubject: papers\r\nMessage-ID: <a@good.example>\r\n"
        b'MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n'
        b"The password is: secret99\r\n--b\r\nContent-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n"
        b'Content-Disposition: attachment; filename="%s"\r\n\r\n%s--b--\r\n' % (name.encode(), coded)
    )


def start() -> None:
    print("Start")
    run("systemctl", "daemon-reload")
    run("systemctl", "enable", "--now", "gatepost")
    proved("systemctl start returns when the gate is ready (sd_notify)", show("ActiveState") == "active")
    proved("what it said when it was ready is in the journal", "ready mx=" in journal())
    status = run("systemctl", "status", "--no-pager", "gatepost")
    proved("systemctl status says it runs", "active (running)" in status, status)
    ports = run("ss", "-ltnH")
    proved("port 25 is bound", re.search(r":25\b", ports), ports)
    for pid in pids():
        text = Path(f"/proc/{pid}/status").read_text()
        facts = dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)
        bare = all(int(facts[one], 16) == 0 for one in ("CapInh", "CapPrm", "CapEff", "CapAmb"))
        locked = facts["NoNewPrivs"] == "1" and facts["Seccomp"] == "2" and "0" not in facts["Uid"].split()
        proved(
            f"process {pid} is not root, has no capability, gains none, and lives under a filter",
            bare and locked,
            text,
        )
    print(
        "       "
        + run("systemd-analyze", "security", "--no-pager", "gatepost").strip().splitlines()[-1].lstrip("→ ")
    )
    proved("STARTTLS shows the certificate that LoadCredential handed over", certificate() == on_disk())


def look() -> None:
    print("Mail")
    ref = send(MAIL % (b"hello", b"1"))
    proved("a message is one line in the journal", f"ref='{ref}'" in journal(), journal()[-1500:])
    proved("root explains it", ref in run(GATEPOST, "explain", ref) + ref)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("invoice.pdf.js", "WScript.Shell; eval(1)")
    findings = facts_of(send(with_attachment("papers.zip", packed.getvalue())))
    proved("an attachment is looked into", any("script" in one for one in findings), findings)
    seven_zip = shutil.which("7zz") or shutil.which("7z")
    if seven_zip:
        Path("/root/note.js").write_text("WScript.Shell; eval(1)")
        run(seven_zip, "a", "-psecret99", "-mhe=on", "/root/locked.7z", "/root/note.js")
        run(seven_zip, "a", "/root/disk.wim", "/root/note.js")
        findings = facts_of(send(with_attachment("locked.7z", Path("/root/locked.7z").read_bytes())))
        proved(
            "a locked archive is opened with the password in the mail",
            "attachments.unlocked" in findings,
            findings,
        )
        findings = facts_of(send(with_attachment("disk.wim", Path("/root/disk.wim").read_bytes())))
        proved(
            "a disk image is opened by 7-Zip in the cage", any("script" in one for one in findings), findings
        )


def facts_of(ref: str) -> list[str]:
    story = json.loads(run(GATEPOST, "explain", "--json", ref))
    return sorted(set(re.findall(r'"((?:attachment|attachments|antivirus)\.[\w:.-]+)"', json.dumps(story))))


def reload() -> None:
    print("Reload")
    client = greeted()
    began = time.time()
    text = CONFIG.read_text()
    CONFIG.write_text(text.replace('mode = "observe"', 'mode = "enforce"'))
    main = show("MainPID")
    run("systemctl", "reload", "gatepost")
    proved("it is told in the journal", until(lambda: "were read again" in journal(began)), journal(began))
    proved(
        "nothing was started anew, and a session goes on", show("MainPID") == main and client.noop()[0] == 250
    )
    proved("the new setting holds", until(lambda: "mode enforce" in run(GATEPOST, "status", check=False)))
    CONFIG.write_text(text + "\nnonsense = 1\n")
    began = time.time()
    run("systemctl", "reload", "gatepost", check=False)
    proved(
        "a configuration with a mistake changes nothing, and is told",
        until(lambda: "stays as it is" in journal(began)),
    )
    proved("and the session still goes on", client.noop()[0] == 250)
    client.quit()
    CONFIG.write_text(text)
    run("systemctl", "reload", "gatepost")
    old = certificate()
    run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "90", "-subj", "/CN=mx.example.net", "-addext",
        "subjectAltName=DNS:mx.example.net", "-keyout", str(TLS / "key.pem"), "-out", str(TLS / "fullchain.pem"))  # fmt: skip
    run("systemctl", "reload", "gatepost")
    proved(
        "a reload after a renewal still reads its keys (systemd's copy, the old one)", certificate() == old
    )
    run("systemctl", "restart", "gatepost")
    proved("a restart takes the renewed one", certificate() == on_disk() != old)


def survive() -> None:
    print("Accidents")
    queued = send(MAIL % (b"kept", b"2"))
    main, others = int(show("MainPID")), set(pids())
    os.kill(main, signal.SIGKILL)
    proved(
        "kill -9 of the main process: systemd starts it again",
        until(lambda: show("MainPID") not in ("0", str(main)) and greeted()),
    )
    proved("nothing of before is left over", until(lambda: not others & set(pids())))
    proved("accepted mail is still there", queued in run(GATEPOST, "queue", "list", "--json"))
    quick = Path("/etc/systemd/system/gatepost.service.d/quick.conf")
    quick.parent.mkdir(exist_ok=True)
    quick.write_text("[Service]\nWatchdogSec=6\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "restart", "gatepost")
    main, began = int(show("MainPID")), time.time()
    time.sleep(7)
    proved("the watchdog is fed", int(show("MainPID")) == main and show("ActiveState") == "active")
    stopped = next(pid for pid in pids() if Path(f"/proc/{pid}/comm").read_text().startswith("gate worker"))
    os.kill(stopped, signal.SIGSTOP)
    proved(
        "a process that hangs is noticed, and the gate started again",
        until(lambda: show("MainPID") not in ("0", str(main)) and greeted(), 40),
    )
    proved(
        "systemd says it was the watchdog",
        "watchdog" in run("journalctl", "-u", "gatepost", "--no-pager", f"--since=@{int(began)}").lower(),
    )


def stop() -> None:
    print("Stop")
    client = greeted()
    client.mail("ann@good.example")
    client.rcpt("postmaster@example.net")
    client.docmd("DATA")
    subprocess.Popen(["systemctl", "stop", "gatepost"])
    until(lambda: show("ActiveState") == "deactivating")
    client.send(MAIL % (b"in hand", b"3") + b".\r\n")
    proved("what is in hand is finished", client.getreply()[0] == 250)
    proved(
        "then it stops by itself, well",
        until(lambda: show("ActiveState") == "inactive", 60) and show("Result") == "success",
        show("Result"),
    )
    text = CONFIG.read_text()
    CONFIG.write_text(text.replace("hostname", "hostnam", 1))
    run("systemctl", "start", "gatepost", check=False)
    proved("with a mistake in the configuration it does not start", show("ActiveState") != "active")
    proved(
        "and systemctl status says where, and what was meant",
        until(
            lambda: re.search(
                r"hostnam.*hostname", run("systemctl", "status", "--no-pager", "-l", "gatepost", check=False)
            )
        ),
    )
    CONFIG.write_text(text)
    run("systemctl", "stop", "gatepost", check=False)


def without_certificate() -> None:
    print("Without a certificate")
    for name in ("key.pem", "fullchain.pem"):
        (TLS / name).unlink()
    CONFIG.write_text(re.sub(r"(?ms)^\[tls\]\n.*?(?=^\[|\Z)", "", CONFIG.read_text()))
    run("systemctl", "reset-failed", "gatepost", check=False)
    run("systemctl", "start", "gatepost", check=False)
    proved(
        "it starts where the files that LoadCredential names are not there",
        show("ActiveState") == "active",
        run("systemctl", "status", "--no-pager", "-l", "gatepost", check=False),
    )


for part in (start, look, reload, survive, stop, without_certificate):
    part()
if failures:
    sys.exit("Not so:\n  " + "\n  ".join(failures))
print("All of it holds.")
