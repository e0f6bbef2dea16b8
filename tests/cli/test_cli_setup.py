"""gatepost setup: from nothing to a configuration that is sound, and one link for the owner."""

from __future__ import annotations

import json
import os
import pwd
import socket
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from gatepost.app import setup
from gatepost.app.setup import wish_of
from gatepost.cli.root import gatepost
from gatepost.config.load import ConfigError
from gatepost.config.schema import load
from gatepost.demo.run import OwnAnswers
from gatepost.dns.zone import Zone

ZONE = """
mail.example.com. A 192.0.2.7
7.2.0.192.in-addr.arpa. PTR mail.example.com.
example.com. MX 10 mail.example.com.
"""


def run(folder: Path, *words: str, zone: str = ZONE) -> dict[str, object]:
    file = folder.parent / "setup.zone"
    file.write_text(zone)
    command = ["setup", "mail.example.com", "--folder", str(folder), "--zone", str(file), "--json", *words]
    done = CliRunner().invoke(gatepost, command)
    assert done.exit_code == 0, done.output
    told: dict[str, object] = json.loads(done.output)
    return told


def test_the_configuration_written_is_sound_and_only_observes(tmp_path: Path) -> None:
    told = run(tmp_path / "gate", "--deliver", "smtp:10.0.0.5:25", "--owner", "ana@example.com")
    loaded = load(Path(str(told["configuration"])))
    assert (loaded.config.hostname, loaded.config.mode.value) == ("mail.example.com", "observe")
    assert [domain.name for domain in loaded.config.domains] == ["example.com"]
    assert Path(str(told["configuration"])).stat().st_mode & 0o007 == 0


def test_the_owner_gets_one_link_to_the_console_on_this_machine(tmp_path: Path) -> None:
    told = run(tmp_path / "gate", "--owner", "ana@example.com")
    assert str(told["link"]).startswith("http://localhost:8080/enrol")
    done = CliRunner().invoke(gatepost, ["user", "list", "--json", "--config", str(told["configuration"])])
    (person,) = [json.loads(line) for line in done.output.splitlines()]
    assert (person["login"], person["roles"]) == ("ana@example.com", ["owner"])


def test_records_name_the_address_that_is_there(tmp_path: Path) -> None:
    records = run(tmp_path / "gate")["records"]
    assert isinstance(records, list)
    assert "mail.example.com. A 192.0.2.7" in records
    assert "example.com. MX 10 mail.example.com." in records


def test_records_that_are_there_are_neither_told_again_nor_weakened(tmp_path: Path) -> None:
    there = ZONE.replace("MX 10 mail.", "MX 10 old.") + (
        'example.com. TXT "v=spf1 include:letters.example -all"\n_dmarc.example.com. TXT "v=DMARC1; p=reject"\n'
    )
    told = run(tmp_path / "gate", zone=there)
    assert not [one for one in list(told["records"]) if "v=spf1" in one or "v=DMARC1" in one]  # type: ignore[call-overload]
    looks = {look["name"]: look["text"] for look in list(told["looks"])}  # type: ignore[call-overload]
    assert "old.example.com" in looks["mx"]
    assert "stays" in looks["spf"]
    assert "stays" in looks["dmarc"]


def test_an_spf_record_to_be_published_warns_of_other_senders(tmp_path: Path) -> None:
    file = tmp_path / "setup.zone"
    file.write_text(ZONE)
    command = ["setup", "mail.example.com", "--folder", str(tmp_path / "gate"), "--zone", str(file)]
    assert "nobody but this machine" in CliRunner().invoke(gatepost, command).output


@pytest.mark.parametrize("word", ["$FAIL", "$TIMEOUT"])
def test_what_could_not_be_looked_up_is_not_taken_for_absent(tmp_path: Path, word: str) -> None:
    there = "mail.example.com. A 192.0.2.7\n" + "".join(
        f"{word} {one}\n" for one in ("example.com MX", "example.com TXT", "_dmarc.example.com TXT")
    )
    told = run(tmp_path / "gate", zone=there)
    looks = {look["name"]: look for look in list(told["looks"])}  # type: ignore[call-overload]
    for name in ("mx", "spf", "dmarc"):
        assert looks[name]["level"] == "warning"
        assert "could not be looked up" in looks[name]["text"]
    spf, dmarc = [one for one in list(told["records"]) if "v=spf1" in one or "v=DMARC1" in one]  # type: ignore[call-overload]
    for line in (spf, dmarc):
        assert line.partition(" ; ")[2].startswith("if there is none yet")
        assert Zone.parse(line), "it stays a line of a zone file"


def test_an_address_that_could_not_be_looked_up_is_no_address(tmp_path: Path) -> None:
    told = run(tmp_path / "gate", zone="$FAIL mail.example.com A\n$FAIL mail.example.com AAAA\n")
    (line,) = [one for one in list(told["records"]) if one.startswith("mail.example.com. ")]  # type: ignore[call-overload]
    assert line.partition(" ; ")[2] == "put its own address here"


def test_a_resolver_that_is_named_and_not_there_is_told_as_what_would_stop_the_mail(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:  # nobody answers there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        command = ["setup", "mail.example.com", "--folder", str(tmp_path / "gate"), "--json"]
        done = CliRunner().invoke(gatepost, [*command, "--resolver", f"127.0.0.1:{port}"])
    (one,) = [look for look in json.loads(done.output)["looks"] if look["name"] == "dnssec"]
    assert one["level"] == "critical"
    assert f"127.0.0.1:{port}" in one["text"]
    assert "unbound" in one["remedy"]


def test_a_virus_scanner_that_answers_is_asked_and_a_missing_one_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    where = tmp_path / "clamd.ctl"
    monkeypatch.setattr(setup, "CLAMD", (str(where),))
    told = run(tmp_path / "without")
    (look,) = [one for one in list(told["looks"]) if one["name"] == "virus-scanner"]  # type: ignore[call-overload]
    assert look["level"] == "warning"
    assert "EICAR" in look["text"]
    assert "clamav-daemon" in look["remedy"]
    with socket.socket(socket.AF_UNIX) as clamd:
        clamd.bind(str(where))
        clamd.listen()
        told = run(tmp_path / "with")
    assert tomllib.loads(str(told["text"]))["checks"]["antivirus"] == {"clamd": f"unix:{where}"}


def test_signing_keys_are_made_and_sign_nothing_before_they_are_published(tmp_path: Path) -> None:
    told = run(tmp_path / "gate")
    records = told["records"]
    assert isinstance(records, list)
    published = [one for one in records if "._domainkey.example.com. " in one]
    assert [one.partition("k=")[2].partition(";")[0] for one in published] == ["rsa", "ed25519"]
    config = str(told["configuration"])
    done = CliRunner().invoke(gatepost, ["key", "list", "--json", "--config", config])
    assert [json.loads(line)["state"] for line in done.output.splitlines()] == ["created", "created"]
    done = CliRunner().invoke(gatepost, ["key", "records", "example.com", "--config", config])
    assert "\n".join(line for line in done.stdout.splitlines() if not line.startswith(";")) == "\n".join(
        published
    )


def test_a_domain_with_its_records_published_as_told_has_nothing_left_to_publish(tmp_path: Path) -> None:
    """What setup prints is enough for `gatepost dns` to be content, and the keys sign."""
    told = run(tmp_path / "gate")
    config = Path(str(told["configuration"]))
    assert isinstance(told["records"], list)
    names = OwnAnswers()
    zone = '7.2.0.192.in-addr.arpa. PTR mail.example.com.\nmail.example.com. TXT "v=spf1 a -all"\n'
    port = names.start(Zone.parse(zone + "\n".join(told["records"])))
    try:
        config.write_text(config.read_text().replace("127.0.0.1:53", f"127.0.0.1:{port}"))
        done = CliRunner().invoke(gatepost, ["dns", "example.com", "--config", str(config)])
        assert not [line for line in done.output.splitlines() if line.startswith(("missing", "differs"))], (
            done.output
        )
        done = CliRunner().invoke(
            gatepost, ["key", "check", "example.com", "--json", "--config", str(config)]
        )
        assert [json.loads(line)["state"] for line in done.output.splitlines()] == ["signing", "signing"]
    finally:
        names.stop()


def test_with_an_authority_people_can_send_from_the_start(tmp_path: Path) -> None:
    told = run(tmp_path / "gate", "--acme", "https://acme.example/directory")
    loaded = load(Path(str(told["configuration"])))
    assert [(one.role, one.address) for one in loaded.config.listeners] == [
        ("mx", "*:25"), ("submissions", "*:465"), ("submission", "*:587"),
    ]  # fmt: skip
    assert (loaded.config.certificates.acme, loaded.config.certificates.agree) == (
        "https://acme.example/directory",
        True,
    )
    assert isinstance(told["looks"], list)
    assert "port-80" in [look["name"] for look in told["looks"]]


def test_without_one_the_lines_are_there_and_wait_for_a_certificate(tmp_path: Path) -> None:
    text = str(run(tmp_path / "gate")["text"])
    before, _, waits = text.partition("# With a certificate for mail.example.com take the # away")
    ready = "\n".join([before, *(line.removeprefix("# ") for line in waits.splitlines()[1:])])
    assert [one["role"] for one in tomllib.loads(ready)["listeners"]] == ["mx", "submissions", "submission"]
    assert tomllib.loads(ready)["tls"] == {"certificate": "tls/fullchain.pem", "key": "tls/key.pem"}
    assert "submission" not in [one["role"] for one in tomllib.loads(text)["listeners"]]
    with pytest.raises(ConfigError, match="https://"):
        wish_of("mail.example.com", acme="http://acme.example/directory")


def test_a_missing_reverse_name_is_told_with_its_remedy(tmp_path: Path) -> None:
    looks = run(tmp_path / "gate", zone="mail.example.com. A 192.0.2.7\n")["looks"]
    assert isinstance(looks, list)
    (one,) = [look for look in looks if look["name"] == "name"]
    assert one["level"] == "warning"
    assert "PTR" in one["remedy"]


def test_what_is_there_already_is_not_overwritten(tmp_path: Path) -> None:
    folder = tmp_path / "gate"
    folder.mkdir()
    (folder / "gatepost.toml").write_text("mine")
    done = CliRunner().invoke(
        gatepost, ["setup", "mail.example.com", "--folder", str(folder), "--zone", "/dev/null"]
    )
    assert done.exit_code == 1
    assert "is there already" in done.output
    assert (folder / "gatepost.toml").read_text() == "mine"


def test_a_dry_run_leaves_nothing_behind(tmp_path: Path) -> None:
    told = run(tmp_path / "gate", "--dry-run")
    assert told["configuration"] is None
    assert not (tmp_path / "gate").exists()


@pytest.mark.parametrize("host", ["", "mail", "not a name.example", "a..b"])
def test_a_host_that_is_no_full_name_is_refused_in_words(host: str) -> None:
    with pytest.raises(ConfigError, match="no full host name"):
        wish_of(host)


def test_what_root_makes_is_the_accounts_who_runs_the_gate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    monkeypatch.setattr(setup, "ACCOUNT", "nobody")
    told = run(tmp_path / "gate")
    config = Path(str(told["configuration"]))
    nobody = pwd.getpwnam("nobody")
    state = load(config).state
    assert load(config).config.user == "nobody"
    assert {path.stat().st_uid for path in (state, *state.rglob("*"))} == {nobody.pw_uid}
    assert (config.stat().st_uid, config.stat().st_gid) == (0, nobody.pw_gid)


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_a_reverse_name_that_somebody_else_wrote_does_not_act_on_the_terminal(
    tmp_path: Path, as_json: list[str]
) -> None:
    file = tmp_path / "setup.zone"
    file.write_text(
        "mail.example.com. A 192.0.2.7\n7.2.0.192.in-addr.arpa. PTR a\\027[2Jb\\155c.example.com.\n"
    )
    command = ["setup", "mail.example.com", "--folder", str(tmp_path / "gate"), "--zone", str(file), *as_json]
    done = CliRunner().invoke(gatepost, command)
    assert done.exit_code == 0, done.output
    assert "[2jb" in done.output.lower()
    assert not [one for one in done.output if one != "\n" and not one.isprintable()]
