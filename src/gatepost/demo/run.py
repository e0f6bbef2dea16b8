"""The demo as one process: its own answers to DNS, the real gate on loopback, mail through the real pipeline.

Everything lives in one temporary folder that is removed at the end, whatever ends it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from smtplib import SMTPException

from gatepost.access.rights import on_this_machine
from gatepost.app.consoledoor import ConsoleDoor
from gatepost.app.installation import opened
from gatepost.app.office import office_of
from gatepost.app.serve import Gate
from gatepost.config.schema import load
from gatepost.demo.cases import CASES
from gatepost.demo.days import keep_coming, remember_a_week
from gatepost.demo.household import IN_CHARGE, move_in
from gatepost.demo.school import go_to_school
from gatepost.demo.send import send
from gatepost.demo.setting import (
    PREFIX,
    configure,
    marked_folder,
    marker,
    prepare,
    running_demo,
    write_secret,
)
from gatepost.demo.world import OUR_DOMAIN
from gatepost.dns.zone import Zone
from gatepost.mail.verdict import Action
from gatepost.net.zoneserver import ZoneServer
from gatepost.office import apppasswords
from gatepost.office.apppasswords import Scope
from gatepost.scan.report import strictest
from gatepost.store.history import Search

Say = Callable[[str], None]
DONE = {
    Action.DELIVER: "delivered",
    Action.JUNK: "junk",
    Action.QUARANTINE: "held",
    Action.REFUSE: "refused",
    Action.DEFER: "come later",
}
PATIENCE_S = 3.0
CONSOLE_PORT = 8080
REFERENCE = re.compile(r"\[ref (\w+)\]")
SENDER = f"ana@{OUR_DOMAIN}"
REPEATED = {"ham": 6, "letter": 4, "listed": 3, "list": 2, "shop": 2}
"""How often a case is sent, so that there is a history to look at."""


def run_demo(say: Say, *, port: int, quiet_log: bool = True) -> int:
    """Run until interrupted; the exit status. Only one demo a user runs at a time."""
    if running_demo() is not None:
        say(f"A demo is running already, in {running_demo()}. End it with Ctrl-C where it runs.")
        return 1
    killed = marked_folder()
    if killed is not None:
        shutil.rmtree(killed, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    started = time.monotonic()
    dns = OwnAnswers()
    try:
        smtp_port = free_port(port)
        submission_port = free_port(port + 62)  # 2587 beside 2525
        zone = Zone.parse(
            prepare(folder, smtp_port=smtp_port, submission_port=submission_port), name="world.zone"
        )
        dns_port = dns.start(zone)
        config = configure(
            folder, smtp_port=smtp_port, submission_port=submission_port, dns_port=dns_port,
            console_port=free_port(CONSOLE_PORT),
        )  # fmt: skip
        marker().unlink(missing_ok=True)
        write_secret(marker(), str(folder).encode())
        if quiet_log:
            log_to(folder / "gatepost.log")
        loaded = load(config)
        learnt = go_to_school(loaded)
        say(
            f"The classifier has read {learnt.ham:,} wanted and {learnt.spam:,} unwanted messages of the demo's own."
        )
        move_in(loaded)
        gate = DemoGate(loaded, ready=lambda _: seed(folder, say, started, gate.link))
        return gate.run()
    finally:
        dns.stop()
        if marker().exists() and marker().read_text() == str(folder):
            marker().unlink()
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # the terminal may be gone
            say("The demo has ended and left nothing behind.")


class DemoGate(Gate):
    """A gate that ends with its terminal: a closed window sends SIGHUP, which otherwise means a reload."""

    had_terminal = False
    link = ""
    """Opens the console, once."""

    def open_console(self) -> ConsoleDoor | None:
        """With a door for whoever sees the terminal."""
        from gatepost.app.console import demo_door

        self.demo = demo_door()
        self.demo.login = IN_CHARGE
        console = super().open_console()
        if console is not None:
            self.link = self.demo.url(console.origin(self.loaded.config.console))
        return console

    def run(self) -> int:
        """As every gate; remembers whether there is a terminal to lose."""
        self.had_terminal = has_terminal()
        return super().run()

    def reread_for_later(self) -> None:
        """Reload, unless the terminal is gone."""
        if self.had_terminal and not has_terminal():
            os.kill(os.getpid(), signal.SIGTERM)
        else:
            super().reread_for_later()


def has_terminal() -> bool:
    """Does this process have a controlling terminal?"""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


class OwnAnswers:
    """The demo's name server, in a thread with a loop of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="demo-dns", daemon=True)
        self._server: ZoneServer | None = None

    def start(self, zone: Zone) -> int:
        """The port it answers on."""
        self._thread.start()
        self._server = ZoneServer(zone)
        asyncio.run_coroutine_threadsafe(self._server.start(), self._loop).result(timeout=10)
        return self._server.port

    def stop(self) -> None:
        """End the thread."""
        if self._server is not None:
            asyncio.run_coroutine_threadsafe(self._server.stop(), self._loop).result(timeout=10)
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(timeout=10)
        self._loop.close()


def seed(folder: Path, say: Say, started: float, link: str = "") -> None:
    """Send the cases, in a thread, since the gate runs in this one; then say what to try."""
    threading.Thread(
        target=seed_now, args=(folder, say, started, link), name="demo-seed", daemon=True
    ).start()


def seed_now(folder: Path, say: Say, started: float, link: str = "") -> None:
    """Every case at least once, each told with what the gate did about it."""
    references: dict[str, str] = {}
    say(f"{len(CASES)} little stories go through the gate, each from a client of its own …\n")
    try:
        for case in CASES:
            for number in range(REPEATED.get(case.name, 1)):
                said = send(case, folder, now=time.time(), number=number)
            found = REFERENCE.search(said[-1].text)
            references[case.name] = found[1] if found else ""
    except (OSError, EOFError, SMTPException) as fault:
        say(f"The demo's mail could not be sent: {fault}")
        os.kill(os.getpid(), signal.SIGTERM)
        return
    done = outcomes(folder, references)
    width = shutil.get_terminal_size().columns
    for case in CASES:
        line = f"  {case.name:<12} {done.get(case.name, ''):<10} "
        say(textwrap.fill(line + case.about, width, subsequent_indent=" " * len(line)))
    remember_a_week(folder, now=time.time())
    say(invitation(folder, references, time.monotonic() - started, app_password(folder), link))
    keep_coming(folder)


def app_password(folder: Path) -> str:
    """An account for Ana, and what her mail program signs in with."""
    with opened(folder / "gatepost.toml") as installation:
        office = office_of(installation.loaded, installation.store)
        actor = on_this_machine("demo")
        made = installation.run(
            apppasswords.make(office, actor, SENDER, name="mail program", scopes=(Scope.SMTP,))
        )
    return made.password


def outcomes(folder: Path, references: dict[str, str]) -> dict[str, str]:
    """What the gate's own records say was done with each case."""
    done: dict[str, str] = {}
    with opened(folder / "gatepost.toml") as installation:
        for name, ref in references.items():
            until = time.monotonic() + PATIENCE_S  # refusals are written a moment after they were spoken
            while name not in done and time.monotonic() < until:
                for entry in installation.store.find(Search(ref=ref), limit=1).entries if ref else ():
                    done[name] = DONE[strictest(entry).action]
                if name not in done:
                    time.sleep(0.1)
    return done


def invitation(
    folder: Path, references: dict[str, str], seconds: float, password: str, link: str = ""
) -> str:
    """What to try next; every line works when pasted into another terminal after the first."""
    port, submission_port = ((folder / f"{name}-port").read_text() for name in ("smtp", "submission"))
    command = Path(sys.argv[0]).absolute()
    found = f"export PATH={command.parent}:$PATH" if command.name == "gatepost" else "export PATH=…:$PATH"
    return f"""
Gatepost is running on 127.0.0.1:{port} (ready after {seconds:.1f} s), and mail keeps coming.
Look at it here (the link signs in once, as ana):

  {link}

In another terminal:

  {found}

  gatepost explain {references.get("spoof", "REF")}     # why the forged bank was refused
  gatepost explain {references.get("lookalike", "REF")}     # an attack by words alone, and what gave it away
  gatepost explain {references.get("pills", "REF")}     # the words the classifier went by
  gatepost history                   # what came, and what was done
  gatepost quarantine list           # what is held, and why; to let one go: gatepost quarantine release REF
  gatepost lists allow add friends.example --reason 'we know them' --until 2099-12-31
  gatepost plan {folder}/stricter.toml   # what a stricter policy would do
  gatepost lists                     # what each block list would have cost
  gatepost status                    # is it well?
  gatepost send --list               # send one of these again, such as:
  gatepost send spoof
  gatepost evaluate --ham {folder}/ham.mbox --spam {folder}/spam.mbox   # on mail it was not taught
  swaks --server 127.0.0.1:{port} --from me@friends.example --to ana@{OUR_DOMAIN}

Ana sends, too, and may write as herself only; a card number for others waits for
approval (swaks speaks TLS with libnet-ssleay-perl):

  swaks --server 127.0.0.1:{submission_port} --tls --auth-user {SENDER} --auth-password {password} --from {SENDER} --to bo@friends.example --body "my card is 4111 1111 1111 1111"
  gatepost history --outgoing

Mailboxes      {folder}/mail
Log            {folder}/gatepost.log
Configuration  {folder}/gatepost.toml

Ctrl-C ends it and leaves nothing behind.
"""


def free_port(wanted: int) -> int:
    """The wanted port on loopback, or a free one when somebody has it."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")


def log_to(path: Path) -> None:
    """Send the log to a file, so that the terminal stays readable."""
    from gatepost.app.log import start_log
    from gatepost.config.schema import LogFormat

    start_log(LogFormat.TEXT, path.open("w", buffering=1))  # closed with the process
