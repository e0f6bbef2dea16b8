"""How much spam is missed at what cost: Gatepost's classifier, with bogofilter, SpamAssassin and rspamd beside it, on one split. Called by ./bench detection.

Learnt from the oldest 60 % of each kind of the SpamAssassin corpus, judged on the newest 40 %. Every filter gets the
same octets, learns the same messages and judges the same messages; differences come with a paired bootstrap.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from detection_corpus import Sample, load, split
from detection_peers import Bogofilter, Rspamd, SpamAssassin
from numpy.typing import NDArray

from gatepost.classify.calibration import JUNK_AT
from gatepost.classify.features import Features, features
from gatepost.classify.model import train
from gatepost.classify.roc import Scored, area, figures, losing, share_missed
from gatepost.jobs.learning import OF_OTHERS
from gatepost.jobs.settings import LearningSettings
from gatepost.mail.content import content_of
from gatepost.mail.message import Message, to_crlf

ROOT = Path(__file__).resolve().parent.parent
PHISHING = ROOT.parent / "shared" / "testdata" / "phishing-pot" / "eml"
LOST = (0.001, 0.005, 0.01)
RESAMPLES = 1000
BATCH = 100

Scores = NDArray[np.float64]
Filter = Callable[[Sequence[Sample], Sequence[Sample]], Scores]


class Ours:
    """Gatepost's classifier alone, without rules, lists or authentication."""

    def __init__(self) -> None:
        self.known: dict[str, Features] = {}
        self.probabilities: list[float] = []

    def of(self, sample: Sample) -> Features:
        """Worked out once."""
        if sample.name not in self.known:
            message = Message.parse(sample.octets)
            found = features(content_of(message), message)
            kept = Features.from_bytes(found.to_bytes())  # without the text, which would fill the memory
            assert kept is not None
            self.known[sample.name] = kept
        return self.known[sample.name]

    def __call__(self, taught: Sequence[Sample], judged: Sequence[Sample]) -> Scores:
        """Log-odds; JUNK_AT is the classifier's own threshold."""
        model = train([(self.of(one), one.spam) for one in taught])
        calibration = model.calibration
        odds = [calibration.log_odds(model.score(self.of(one))) for one in judged]
        prior = np.log((model.learnt[1] + 1) / (model.learnt[0] + 1))
        self.probabilities = [float(1 / (1 + np.exp(-np.clip(one + prior, -30, 30)))) for one in odds]
        return np.array([calibration.evidence(one) for one in odds])


def compared(title: str, filters: dict[str, Filter], taught: list[Sample], judged: list[Sample]) -> None:
    """One table: what each filter misses, and by how much they differ."""
    print(f"\n### {title}\n")
    spam = np.array([one.spam for one in judged])
    easy = np.array([one.kind != "hard" for one in judged])
    print(
        f"{len(taught):,} taught; judged: {spam.sum():,} spam, {(~spam & easy).sum():,} easy and {(~easy).sum():,} hard ham.\n"
    )
    print("| filter | ham | missed at 0.1 % lost | at 0.5 % | at 1 % | AUC | 1-ROCA% |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    scores: dict[str, Scores] = {}
    for name, judge in filters.items():
        scores[name] = judge(taught, judged)
        for kinds, mask in (("easy", easy), ("easy and hard", np.ones(len(judged), bool))):
            row = [
                Scored(spam=bool(s), score=float(x), probability=0.5)
                for s, x in zip(spam[mask], scores[name][mask], strict=True)
            ]
            found = figures(row)
            missed = " | ".join(f"{one.missed:.1%} ({one.low:.1%} to {one.high:.1%})" for one in found.at)
            print(
                f"| {name} | {kinds} | {missed} | {found.auc:.4f} | {found.one_minus_roca:.2f} ({found.roca_low:.2f} to {found.roca_high:.2f}) |"
            )
    ours = scores["Gatepost"]
    above = ours >= JUNK_AT
    print(
        f"\nGatepost's own threshold: {above[spam].mean():.1%} caught; lost {above[~spam & easy].sum()} of "
        f"{(~spam & easy).sum():,} easy and {above[~easy].sum()} of {(~easy).sum():,} hard ham."
    )
    for name, theirs in scores.items():
        if theirs is not ours:
            print(
                f"Missed by Gatepost less missed by {name}, easy ham, paired bootstrap, 95 %: {paired(ours, theirs, spam, easy)}."
            )


def paired(ours: Scores, theirs: Scores, spam: NDArray[np.bool_], easy: NDArray[np.bool_]) -> str:
    """The difference at each share of ham lost, both judged on the same resampled messages."""
    chance = np.random.default_rng(7)
    ham_at, spam_at = np.flatnonzero(~spam & easy), np.flatnonzero(spam)
    drawn: dict[float, list[float]] = {lost: [] for lost in LOST}
    for _ in range(RESAMPLES):
        ham, bad = chance.choice(ham_at, len(ham_at)), chance.choice(spam_at, len(spam_at))
        for lost in LOST:
            one, other = (share_missed(each[bad], losing(each[ham], lost)) for each in (ours, theirs))
            drawn[lost].append(100 * (one - other))
    return ", ".join(
        f"{np.percentile(drawn[lost], 2.5):+.1f} to {np.percentile(drawn[lost], 97.5):+.1f} points at {lost:.1%}"
        for lost in LOST
    )


def calibration(ours: Ours, taught: list[Sample], judged: list[Sample]) -> None:
    """What was said, and what was."""
    scores = ours(taught, judged)
    row = [
        Scored(spam=one.spam, score=float(score), probability=said)
        for one, score, said in zip(judged, scores, ours.probabilities, strict=True)
    ]
    found = figures(row)
    print(
        "\n### Calibration (easy and hard ham)\n\n| said | messages | mean said | were spam |\n| --- | --- | --- | --- |"
    )
    for one in found.calibration:
        print(f"| {one.low:g} to {one.high:g} | {one.number:,} | {one.said:.3f} | {one.was:.3f} |")
    print(f"\nBrier score {found.brier:.4f}.")


def online(ours: Ours, peer: Bogofilter | None, samples: list[Sample]) -> None:
    """TREC: in order of time, judge a hundred, then learn them."""
    mine, theirs = np.zeros(len(samples)), np.full(len(samples), 0.5)
    database = peer.begin() if peer is not None else None
    for start in range(0, len(samples), BATCH):
        seen, now = samples[:start], samples[start : start + BATCH]
        if len({one.spam for one in seen}) == 2:
            mine[start : start + BATCH] = ours(seen, now)
        if peer is not None and database is not None:
            if start:
                theirs[start : start + BATCH] = peer.judge(database, now)
            peer.learn(database, now)
        progress(f"online: {start:,} of {len(samples):,}")
    print(
        f"\n### Online: {len(samples):,} messages in order of time, judged and then learnt by the hundred\n"
    )
    print("| filter | 1-ROCA% easy ham | easy and hard |\n| --- | --- | --- |")
    easy = [one.kind != "hard" for one in samples]
    for name, scores in (("Gatepost", mine), ("bogofilter", theirs)):
        if name == "Gatepost" or peer is not None:
            rows = [
                Scored(spam=one.spam, score=float(x), probability=0.5)
                for one, x in zip(samples, scores, strict=True)
            ]
            only = figures([row for row, is_easy in zip(rows, easy, strict=True) if is_easy])
            print(f"| {name} | {only.one_minus_roca:.3f} | {figures(rows).one_minus_roca:.3f} |")


def lopsided(ours: Ours, taught: list[Sample]) -> None:
    """Much of one kind and little of the other: twelve draws from the training part, judged on 800 others of it."""
    print(
        "\n### Much of one kind taught, little of the other (inside the training part, twelve draws, means)\n"
    )
    print("| taught | 1-ROCA% | spam caught at its own threshold | ham lost |\n| --- | --- | --- | --- |")
    kinds = [[one for one in taught if one.spam is spam] for spam in (False, True)]
    for rare, common in ((0, 1), (1, 0)):
        for few in (5, 8, 16):
            found = []
            for draw in range(12):
                chance = np.random.default_rng((few, draw))
                drawn = [chance.permutation(len(kinds[which])).tolist() for which in (rare, common)]
                many = (60, 200, 500)[draw % 3]
                known = [kinds[rare][at] for at in drawn[0][:few]] + [
                    kinds[common][at] for at in drawn[1][:many]
                ]
                rest = [kinds[rare][at] for at in drawn[0][few:]] + [
                    kinds[common][at] for at in drawn[1][many:]
                ]
                judged = [rest[at] for at in chance.permutation(len(rest))[:800].tolist()]
                scores = ours([known[at] for at in chance.permutation(len(known)).tolist()], judged)
                spam = np.array([one.spam for one in judged])
                roca = 100 * (1 - area(scores[~spam], scores[spam]))
                found.append((roca, (scores[spam] >= JUNK_AT).mean(), (scores[~spam] >= JUNK_AT).mean()))
            roca, caught, lost = np.mean(found, axis=0)
            print(f"| {few} {('ham', 'spam')[rare]} | {roca:.2f} | {caught:.1%} | {lost:.2%} |")


def liar(ours: Ours, taught: list[Sample]) -> None:
    """One person calls wanted mail unwanted: what that costs the others, inside the training part."""
    print("\n### One person lies (400 ham and 400 spam taught by others; inside the training part)\n")
    print("| wanted mail this person called unwanted | spam of the others caught | ham of the others lost |")
    print("| --- | --- | --- |")
    ham, spam = ([one for one in taught if one.spam is kind] for kind in (False, True))
    site = [*ham[:400], *spam[:400]]
    judged = [*ham[1000:], *spam[400:]]
    usual = LearningSettings()
    for lies in (0, 20, 100, 400):
        # As `jobs/learning.py` weighs a person.
        few, many = min(1.0, usual.person_in_site / max(lies, 1)), OF_OTHERS * len(site) / max(lies, 1)
        weight = min(usual.person_weight * few, many)
        lessons = [(ours.of(one), one.spam) for one in site] + [
            (ours.of(one), True) for one in ham[400 : 400 + lies]
        ]
        model = train(lessons, weights=[1.0] * len(site) + [weight] * lies)
        odds = np.array([model.opinion(ours.of(one)).log_odds for one in judged])
        bad = np.array([one.spam for one in judged])
        print(f"| {lies} | {(odds[bad] >= JUNK_AT).mean():.1%} | {(odds[~bad] >= JUNK_AT).mean():.2%} |")


def phishing(ours: Ours, taught: list[Sample], judged: list[Sample]) -> None:
    """Two of three taught, by hash; the rest judged beside the corpus's newest ham."""
    if not PHISHING.is_dir():
        print(f"\nNot measured: phishing mail is not here ({PHISHING}).")
        return
    mails = [
        Sample(path.name, "spam", True, 0.0, to_crlf(path.read_bytes()))
        for path in sorted(PHISHING.iterdir())
    ]
    mails.sort(key=lambda one: hashlib.sha256(one.octets).digest())
    ham = [one for one in judged if not one.spam]
    scores = ours([*taught, *mails[:200]], [*mails[200:], *ham])
    count = len(mails) - 200
    caught, lost = scores[:count], scores[count:]
    easy = np.array([one.kind == "easy" for one in ham])
    print(f"\n### Phishing of 2022 to 2026: 200 taught beside the corpus, {count} judged\n")
    print("| threshold | flagged | easy ham lost | hard ham lost |\n| --- | --- | --- | --- |")
    for name, at in (
        ("its own", JUNK_AT),
        ("0.5 % of easy ham lost", losing(lost[easy], 0.005)),
        ("0.5 % of all ham lost", losing(lost, 0.005)),
    ):
        above, gone = (
            caught >= at if at == JUNK_AT else caught > at,
            lost >= at if at == JUNK_AT else lost > at,
        )
        print(f"| {name} | {above.mean():.1%} | {gone[easy].mean():.2%} | {gone[~easy].mean():.1%} |")
    scores = ours(taught, mails)
    print(
        f"\nNone of it taught, the corpus alone: {(scores >= JUNK_AT).mean():.1%} of {len(mails)} flagged by the classifier."
    )


def whole_gate(judged: list[Sample], folder: Path) -> None:
    """Content checks and policy on their defaults, nothing taught: `gatepost scan`."""
    if not PHISHING.is_dir():
        return
    ham = folder / "ham"
    ham.mkdir()
    for one in judged:
        if not one.spam:
            (ham / f"{one.kind}-{one.name.replace('/', '-')}.eml").write_bytes(one.octets)
    print(
        "\n### Nothing taught: rules, links and the other content checks alone (`gatepost scan --no-dns`)\n"
    )
    print("| mail | not delivered to the inbox |\n| --- | --- |")
    for name, where in (("phishing", PHISHING), ("ham", ham)):
        said = subprocess.run(
            [ROOT / ".venv/bin/gatepost", "scan", "--no-dns", "--json", where],
            capture_output=True,
            text=True,
            check=False,
        )
        rows = [json.loads(line) for line in said.stdout.splitlines()]
        groups = {"phishing": rows} if name == "phishing" else {
            f"{kind} ham": [row for row in rows if Path(row["path"]).name.startswith(kind)] for kind in ("easy", "hard")
        }  # fmt: skip
        for group, these in groups.items():
            flagged = sum(row["action"] in ("junk", "quarantine", "refuse") for row in these)
            print(f"| {group} | {flagged} of {len(these):,} ({flagged / max(len(these), 1):.1%}) |")


def cost(ours: Ours, taught: list[Sample], judged: list[Sample]) -> None:
    """CPU of one message, parts and text read beforehand."""
    began = time.process_time()
    model = train([(ours.of(one), one.spam) for one in taught])
    learning = time.process_time() - began
    ready = []
    for one in judged:
        message = Message.parse(one.octets)
        content = content_of(message)
        _ = content.text, content.links, content.attachments, content.subject
        ready.append((content, message))
    spent = []
    for content, message in ready:
        began = time.process_time()
        model.opinion(features(content, message))
        spent.append(time.process_time() - began)
    print("\n### CPU\n")
    print(
        f"Features and opinion: median {1000 * np.median(spent):.2f} ms, mean {1000 * np.mean(spent):.2f} ms a message."
    )
    print(
        f"Training anew from {len(taught):,} messages, calibration included: {learning:.1f} s. Snapshot: {len(model.to_bytes()) / 1e6:.1f} MB."
    )


def progress(text: str) -> None:
    """Only to a person who waits."""
    if sys.stderr.isatty():
        print(f"\r{text}   ", end="", file=sys.stderr, flush=True)


def main() -> None:
    """All of it, or parts."""
    parts = ("split", "few", "online", "lopsided", "liar", "phishing", "gate", "cost")
    reader = argparse.ArgumentParser(description=__doc__)
    reader.add_argument("--only", default=",".join(parts), help=f"of {', '.join(parts)}")
    reader.add_argument(
        "--peers", default="bogofilter,spamassassin,rspamd", help="those to run, where they are here"
    )
    asked = reader.parse_args()
    wanted, peers = set(asked.only.split(",")), set(asked.peers.split(","))
    samples = load()
    old, new = split(samples)
    no_hard = [one for one in old if one.kind != "hard"]
    with tempfile.TemporaryDirectory(prefix="gatepost-detection-") as folder:
        ours = Ours()
        peer = Bogofilter(Path(folder)) if "bogofilter" in peers and shutil.which("bogofilter") else None
        if peer is None:
            print("Not measured: bogofilter is not here (apt-get install bogofilter).")
        other = SpamAssassin(Path(folder)) if "spamassassin" in peers and SpamAssassin.is_here() else None
        if other is None:
            print("Not measured: SpamAssassin is not here (apt-get install spamassassin).")
        third = Rspamd(Path(folder)) if "rspamd" in peers and Rspamd.is_here() else None
        if third is None:
            print("Not measured: rspamd is not here (apt-get install rspamd redis-server).")
        filters: dict[str, Filter] = {
            "Gatepost": ours,
            **({"bogofilter": peer} if peer else {}),
            **({"SpamAssassin": other} if other else {}),
            **({"rspamd": third} if third else {}),
        }
        if "split" in wanted:
            compared("All kinds taught", filters, old, new)
            compared("Hard ham never taught", filters, no_hard, new)
            calibration(ours, old, new)
        if "few" in wanted:
            few = [old[at] for at in sorted(np.random.default_rng(1).permutation(len(old))[:500].tolist())]
            compared("A new installation: 500 messages taught", filters, few, new)
        if "online" in wanted:
            online(ours, peer, samples)
        if "lopsided" in wanted:
            lopsided(ours, old)
        if "liar" in wanted:
            liar(ours, old)
        if "phishing" in wanted:
            phishing(ours, old, new)
        if "gate" in wanted:
            whole_gate(new, Path(folder))
        if "cost" in wanted:
            cost(ours, old, new)


if __name__ == "__main__":
    main()
