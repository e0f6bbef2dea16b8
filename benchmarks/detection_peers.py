"""The filters that stand beside Gatepost's classifier in ./bench detection, as Debian ships them: learn, then judge."""

from __future__ import annotations

import contextlib
import http.client
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from detection_corpus import Sample
from numpy.typing import NDArray

Scores = NDArray[np.float64]


class Bogofilter:
    """Debian's, as it comes, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0

    def begin(self) -> Path:
        """An empty word list."""
        self.runs += 1
        database = self.folder / f"words-{self.runs}"
        database.mkdir()
        return database

    def __call__(self, taught: Sequence[Sample], judged: Sequence[Sample]) -> Scores:
        database = self.begin()
        self.learn(database, taught)
        return self.judge(database, judged)

    def learn(self, database: Path, taught: Sequence[Sample]) -> None:
        """All of them."""
        for flag, spam in (("-n", False), ("-s", True)):
            paths = [file_of(self.folder, one) for one in taught if one.spam == spam]
            if paths:
                subprocess.run(["bogofilter", "-d", database, flag, "-B", *paths], check=True)

    def judge(self, database: Path, judged: Sequence[Sample]) -> Scores:
        """Spamicity to 16 digits."""
        said = subprocess.run(
            ["bogofilter", "-d", database, "-TT", "-B", *(file_of(self.folder, one) for one in judged)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        found = np.array([float(line.split()[-1]) for line in said.stdout.splitlines()])
        if len(found) != len(judged):
            sys.exit(f"bogofilter judged {len(found)} of {len(judged)} messages: {said.stderr[:300]}")
        return found


class SpamAssassin:
    """Debian's with its own rules and its Bayes taught; nothing is asked of the net, so no lists and no hashes.

    One Perl process reads commands: ``h PATH``, ``s PATH`` teach, ``r`` ends teaching, ``? PATH`` prints a score.
    """

    PROGRAM = r"""
use strict; use Mail::SpamAssassin;
my ($folder) = @ARGV;
my $sa = Mail::SpamAssassin->new({
  local_tests_only => 1, dont_copy_prefs => 1, userprefs_filename => "$folder/prefs", userstate_dir => $folder, home_dir_for_helpers => $folder,
});
$sa->init(1);
$| = 1;
while (my $line = <STDIN>) {
  my ($what, $path) = $line =~ /^(.) ?(.*)$/ or next;
  if ($what eq "r") { $sa->finish_learner(); print "ready\n"; next }
  open(my $file, "<:raw", $path) or die "$path: $!";
  my @lines = <$file>; close $file;
  my $mail = $sa->parse(\@lines, 0);
  if ($what eq "?") { my $said = $sa->check($mail); printf "%.4f\n", $said->get_score; $said->finish }
  else { $sa->init_learner({}); $sa->learn($mail, undef, $what eq "s" ? 1 : 0, 0)->finish }
  $mail->finish;
}
"""
    PREFS = """
use_bayes 1
use_bayes_rules 1
bayes_auto_learn 0
bayes_auto_expire 0
bayes_path {folder}/bayes
use_auto_whitelist 0
skip_rbl_checks 1
dns_available no
"""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0

    @staticmethod
    def is_here() -> bool:
        """Perl with Mail::SpamAssassin."""
        if shutil.which("perl") is None:
            return False
        asked = subprocess.run(["perl", "-MMail::SpamAssassin", "-e1"], capture_output=True, check=False)
        return asked.returncode == 0

    def __call__(self, taught: Sequence[Sample], judged: Sequence[Sample]) -> Scores:
        self.runs += 1
        folder = self.folder / f"spamassassin-{self.runs}"
        folder.mkdir()
        (folder / "prefs").write_text(self.PREFS.format(folder=folder))
        lines = [f"{'s' if one.spam else 'h'} {file_of(self.folder, one)}" for one in taught]
        self.say(folder, [*lines, "r"])
        halves = [judged[0::2], judged[1::2]]
        with ThreadPoolExecutor(2) as both:
            said = list(
                both.map(
                    lambda half: self.say(folder, [f"? {file_of(self.folder, one)}" for one in half]), halves
                )
            )
        scores = np.zeros(len(judged))
        for place, (half, lines) in enumerate(zip(halves, said, strict=True)):
            if len(lines) != len(half):
                sys.exit(f"SpamAssassin judged {len(lines)} of {len(half)} messages.")
            scores[place::2] = [float(one) for one in lines]
        return scores

    def say(self, folder: Path, lines: Sequence[str]) -> list[str]:
        """What one process answers."""
        said = subprocess.run(
            ["perl", "-e", self.PROGRAM, folder], input="\n".join([*lines, ""]), capture_output=True, text=True, check=False,
        )  # fmt: skip
        if said.returncode != 0:
            sys.exit(f"SpamAssassin: {said.stderr[-500:]}")
        return said.stdout.split()


class Rspamd:
    """Debian's with its own rules and its Bayes taught (in a Redis of its own); nothing is asked of the net."""

    # What asks lists or name servers, and what judges by the client or by earlier mail, which a file does not have.
    OFF = (
        "rbl", "surbl", "spf", "dkim", "dkim_signing", "arc", "dmarc", "asn", "fuzzy_check", "greylist", "ratelimit", "history_redis",
        "neural", "mx_check", "p0f", "replies", "reputation", "bimi", "dcc", "antivirus", "external_services", "url_redirector",
        "elastic", "clickhouse", "metric_exporter", "aws_s3",
    )  # fmt: skip

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs = folder, 0

    @staticmethod
    def is_here() -> bool:
        """rspamd and Redis."""
        return shutil.which("rspamd") is not None and shutil.which("redis-server") is not None

    def __call__(self, taught: Sequence[Sample], judged: Sequence[Sample]) -> Scores:
        self.runs += 1
        folder = self.folder / f"rspamd-{self.runs}"
        with self.running(folder) as (scanner, controller):
            for one in taught:
                kind = "spam" if one.spam else "ham"
                self.ask(controller, f"/learn{kind}", one)
            return np.array([self.ask(scanner, "/checkv2", one)["score"] for one in judged])

    @contextlib.contextmanager
    def running(
        self, folder: Path
    ) -> Iterator[tuple[http.client.HTTPConnection, http.client.HTTPConnection]]:
        """Both processes, until the end: connections to the worker that scans and to the one that learns."""
        for name in ("local.d", "override.d", "db", "run", "log"):
            (folder / name).mkdir(parents=True)
        redis, scan, control = (_free_port() for _ in range(3))
        settings = {
            "redis.conf": f'servers = "127.0.0.1:{redis}";',
            "worker-normal.inc": f'bind_socket = "127.0.0.1:{scan}"; count = 1;',
            "worker-controller.inc": f'bind_socket = "127.0.0.1:{control}"; secure_ip = "127.0.0.1"; count = 1;',
            "worker-proxy.inc": "enabled = false;",
            "worker-fuzzy.inc": "count = -1;",
            "options.inc": 'dns { nameserver = ["127.0.0.1:9"]; timeout = 0.01s; retransmits = 1; }',
            "logging.inc": f'type = "file"; filename = "{folder}/log/rspamd.log"; level = "error";',
            **{f"{name}.conf": "enabled = false;" for name in self.OFF},
        }
        for name, text in settings.items():
            (folder / "local.d" / name).write_text(text + "\n")
        rspamd = ["rspamd", "-f", "-i", "-u", "root", "-g", "root", "-c", "/etc/rspamd/rspamd.conf"]
        rspamd += [f"--var={name}={folder}{where}" for name, where in (
            ("LOCAL_CONFDIR", ""), ("DBDIR", "/db"), ("RUNDIR", "/run"), ("LOGDIR", "/log"),
        )]  # fmt: skip
        store = [
            "redis-server",
            "--port",
            str(redis),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--dir",
            str(folder),
        ]
        out = subprocess.DEVNULL
        with (
            subprocess.Popen(store, stdout=out, stderr=out) as first,
            subprocess.Popen(rspamd, stdout=out, stderr=out) as second,
        ):
            try:
                yield _connected(scan), _connected(control)
            finally:
                second.terminate()
                first.terminate()

    def ask(self, connection: http.client.HTTPConnection, path: str, sample: Sample) -> dict[str, float]:
        """One answer."""
        connection.request("POST", path, Path(file_of(self.folder, sample)).read_bytes())
        answer = connection.getresponse()
        octets = answer.read()
        # 204, 208 and 404 are its ways to say that it will not learn a message it finds too short or knows.
        if answer.status not in (200, 204, 208, 404):
            sys.exit(f"rspamd: {path} of {sample.name}: {answer.status} {octets[:200]!r}")
        found: dict[str, float] = json.loads(octets) if octets.strip() else {}
        return found


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _connected(port: int) -> http.client.HTTPConnection:
    """As soon as somebody answers: rspamd compiles its patterns first."""
    until = time.monotonic() + 180
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("GET", "/ping")
            connection.getresponse().read()
        except OSError:
            if time.monotonic() > until:
                sys.exit(f"rspamd does not answer on port {port}.")
            time.sleep(0.1)
        else:
            return connection


def file_of(folder: Path, sample: Sample) -> str:
    """A message as a file, with the line ends these filters expect."""
    path = folder / sample.name.replace("/", "-")
    if not path.exists():
        path.write_bytes(sample.octets.replace(b"\r\n", b"\n"))
    return str(path)
