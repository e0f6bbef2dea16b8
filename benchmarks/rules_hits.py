"""How often each rule matches in folders of mail, and what the rules alone would flag.

    .venv/bin/python benchmarks/rules_hits.py ham=FOLDER spam=FOLDER … [--rules FOLDER] [--miss LABEL]

Each argument is LABEL=PATH[,PATH…], of files with one message each; `X-Spam*` fields are removed first. Nothing is asked of
the DNS, so nobody is proved. With --miss the messages of that label that stay below the Junk threshold are listed.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections import Counter
from pathlib import Path

from gatepost.mail.authresults import AuthResults
from gatepost.mail.finding import Finding
from gatepost.mail.message import Message, to_crlf
from gatepost.policy import PolicySettings, assemble, decide
from gatepost.rules.facts import Facts, Told
from gatepost.rules.ruleset import Outcome, RuleSet, load_rules
from gatepost.scan.judge import Told as Envelope
from gatepost.scan.judge import situate

GIVEN_AWAY = re.compile(rb"^X-Spam[^\n]*\n(?:[ \t][^\n]*\n)*", re.MULTILINE | re.IGNORECASE)
FROM_LINE = re.compile(rb"\AFrom [^\n]*\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folders", nargs="+", metavar="LABEL=PATH")
    parser.add_argument("--rules", type=Path, action="append", default=[])
    parser.add_argument("--miss", default="")
    asked = parser.parse_args()
    rules = load_rules(asked.rules)
    for problem in rules.problems:
        print(problem.path, problem.text, file=sys.stderr)
    book = assemble(PolicySettings(), [_Declared(rules)]).default
    hits: dict[str, Counter[str]] = {}
    flagged: Counter[str] = Counter()
    looked_at: Counter[str] = Counter()
    seconds = 0.0
    for given in asked.folders:
        label, _, paths = given.partition("=")
        hits.setdefault(label, Counter())
        for path in messages(paths):
            facts = facts_of(path.read_bytes(), rules)
            _ = facts.content.text, facts.content.links  # reading the mail is not the rules' work
            started = time.perf_counter()
            outcome = rules.judge(facts)
            seconds += time.perf_counter() - started
            looked_at[label] += 1
            hits[label].update(one.name for one in outcome.matched)
            verdict = decide(findings(outcome), book)
            if verdict.score >= book.junk_at:
                flagged[label] += 1
            elif label == asked.miss:
                print(
                    f"below {book.junk_at:g}: {path} {verdict.score:.1f} {[one.name for one in outcome.matched]}"
                )
    table(rules, hits, flagged, looked_at)
    print(
        f"\n{seconds / max(1, looked_at.total()) * 1000:.3f} ms a message for all rules, the reading of the mail left out"
    )


class _Declared:
    """The rules as policy wants them declared, without the gate's other checks."""

    def __new__(cls, rules: RuleSet) -> object:
        from gatepost.checks.content.rules import MATCHED, RULES
        from gatepost.checks.run import Configured

        configured = Configured(RULES, RULES.settings())
        sources = {f"{MATCHED.name}:{one.name}": (one.weight, one.mode) for one in rules.rules}
        return type("Declared", (), {
            "name": "rules", "mode": configured.mode, "switchable": True, "emits": configured.emits,
            "on_failure": "ignore", "sources": sources,
        })()  # fmt: skip


def messages(paths: str) -> list[Path]:
    """Every file below the paths, in order."""
    found: list[Path] = []
    for one in paths.split(","):
        path = Path(one)
        found += (
            sorted(each for each in path.rglob("*") if each.is_file() and each.suffix != ".json")
            if path.is_dir()
            else [path]
        )
    return found


def facts_of(octets: bytes, rules: RuleSet) -> Facts:
    """A message of which nothing is known but itself."""
    message = Message.parse(to_crlf(FROM_LINE.sub(b"", GIVEN_AWAY.sub(b"", octets))))
    client, envelope = situate(message, Envelope(), ())
    told = Told(proved=False, known_correspondent=False, files=())
    return Facts(client, envelope, message, AuthResults(), rules.patterns, rules.brands, told)


def findings(outcome: Outcome) -> list[Finding]:
    return [Finding("rules.matched", one.finding, {}, one.name) for one in outcome.matched]


def table(
    rules: RuleSet, hits: dict[str, Counter[str]], flagged: Counter[str], looked_at: Counter[str]
) -> None:
    labels = list(hits)
    width = max(len(one.name) + len(one.attack) + 1 for one in rules.rules)
    print(f"{'rule':<{width}} {'weight':>6} " + " ".join(f"{label:>14}" for label in labels))
    for one in rules.rules:
        counts = " ".join(f"{hits[label][one.name]:>14,}" for label in labels)
        print(f"{one.attack + '/' + one.name:<{width}} {one.weight:>6.1f} {counts}")
    shares = " ".join(
        f"{flagged[label]:>6,} {flagged[label] / max(1, looked_at[label]):>7.2%}" for label in labels
    )
    print(f"{'flagged by rules alone':<{width}} {'':>6} {shares}")
    print(f"{'messages':<{width}} {'':>6} " + " ".join(f"{looked_at[label]:>14,}" for label in labels))


if __name__ == "__main__":
    main()
