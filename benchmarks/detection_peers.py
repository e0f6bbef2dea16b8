"""The filters that stand beside Gatepost's classifier in ./bench detection, as Debian ships them: learn, then judge."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
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


def file_of(folder: Path, sample: Sample) -> str:
    """A message as a file, with the line ends these filters expect."""
    path = folder / sample.name.replace("/", "-")
    if not path.exists():
        path.write_bytes(sample.octets.replace(b"\r\n", b"\n"))
    return str(path)
