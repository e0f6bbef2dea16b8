"""check-config finds what would keep a gate from working, before it is one."""

from __future__ import annotations

import os
import pwd
import sys
import tempfile
from pathlib import Path

import pytest
import trustme

from gatepost.app.certificates import prepare
from gatepost.app.checkup import examine
from gatepost.app.secretfiles import exposed
from gatepost.app.serve import can_run
from gatepost.app.unixaccount import UnixAccount
from gatepost.config.load import ConfigError
from gatepost.config.schema import load, settle

BASE = """
hostname = "mx.example.net"
TOP
[[listeners]]
address = "127.0.0.1:2525"
LISTENER
[[domains]]
name = "example.net"
deliver = "maildir:mail"
recipients = RECIPIENTS
MORE
"""


def problems(
    folder: Path, *, top: str = "", listener: str = "", recipients: str = '"*"', more: str = ""
) -> list[str]:
    text = BASE.replace("TOP", top).replace("LISTENER", listener)
    path = folder / "gatepost.toml"
    path.write_text(text.replace("RECIPIENTS", recipients).replace("MORE", more))
    return examine(load(path))


def test_a_sound_one(tmp_path: Path) -> None:
    assert problems(tmp_path) == []


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"listener": 'xclient_from = ["10.0.0.300"]'}, "'10.0.0.300' does not appear to be an IPv4 or IPv6"),
        ({"recipients": '{ file = "list.txt" }'}, "list.txt, the recipients of example.net, is no file"),
        ({"more": '[delivery]\npostmaster = "nobody"'}, '"nobody" is no address'),
        ({"more": '[outbound]\ntrust_anchors = "none.pem"'}, "none.pem: No such file or directory"),
        ({"more": '[tls]\ncertificate = "c.pem"\nkey = "k.pem"'}, "c.pem: No such file or directory"),
        ({"more": '[tls]\ncertificate = "%d/c.pem"\nkey = "%d/k.pem"'}, "no CREDENTIALS_DIRECTORY here"),
    ],
)
def test_what_is_wrong_is_said(
    what: dict[str, str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    (found,) = problems(tmp_path, **what)
    assert said in found


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_what_a_reload_could_not_read_after_root_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        UnixAccount, "cannot_run_us", lambda _: ""
    )  # where Python is here is not the question
    with tempfile.TemporaryDirectory() as made:  # pytest's own folders are closed to other accounts
        folder = Path(made)
        folder.chmod(0o755)
        told_before_it_happens(folder)


def told_before_it_happens(folder: Path) -> None:
    user = pwd.getpwnam("nobody").pw_name
    made = trustme.CA().issue_cert("mx.example.net")
    made.private_key_pem.write_to_path(str(folder / "key.pem"))
    made.cert_chain_pems[0].write_to_path(str(folder / "certificate.pem"))
    for name, mode in (("key.pem", 0o600), ("certificate.pem", 0o644)):
        (folder / name).chmod(mode)
    tls = '[tls]\ncertificate = "certificate.pem"\nkey = "key.pem"\n'
    (found,) = problems(folder, top=f'user = "{user}"', more=tls)
    assert found.startswith("tls: ")
    assert f"key.pem is readable for root but not for {user}" in found
    os.chown(folder / "key.pem", pwd.getpwnam(user).pw_uid, -1)
    assert problems(folder, top=f'user = "{user}"', more=tls) == []
    (folder / "key.pem").chmod(0o644)
    (found,) = problems(folder, top=f'user = "{user}"', more=tls)
    assert (
        found
        == f"tls.key: {folder}/key.pem can be read by every user of this machine: chmod o= {folder}/key.pem"
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_what_systemd_hands_over_need_not_be_readable_where_it_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UnixAccount, "cannot_run_us", lambda _: "")
    monkeypatch.setattr(UnixAccount, "reads", lambda _, path: path.suffix == ".toml")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    made = trustme.CA().issue_cert("mx.example.net")
    made.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    made.cert_chain_pems[0].write_to_path(str(tmp_path / "certificate.pem"))
    tls = '[tls]\ncertificate = "%d/certificate.pem"\nkey = "%d/key.pem"\n'
    assert problems(tmp_path, top='user = "nobody"', more=tls) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_a_python_that_the_account_cannot_run_is_told_before_workers_die_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with tempfile.TemporaryDirectory() as made:
        hidden = Path(made) / "python3"
        hidden.symlink_to(sys.executable)
        monkeypatch.setattr(sys, "executable", str(hidden))
        assert Path(made).stat().st_mode & 0o077 == 0
        with pytest.raises(ConfigError) as refused:
            can_run("nobody")
    assert f"nobody cannot run {hidden} with Gatepost in it (Permission denied)" in str(refused.value)
    assert "Install it where every account may read" in str(refused.value)


def test_secrets_that_anybody_can_read_are_named_with_what_to_do() -> None:
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in ("relay.secret", "directory.secret", "var/keys/srs.secret", "closed/provider.secret"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("s3cret\n")
            (folder / name).chmod(0o644)
        for one in ("", "var", "var/keys"):
            (folder / one).chmod(0o755)
        (folder / "closed").chmod(0o700)  # nobody gets there
        table = {
            "hostname": "mx.example.net",
            "outbound": {
                "smarthost": "smtp.example.net:587", "smarthost_user": "gate", "smarthost_password_file": "relay.secret",
                "destinations": [
                    {"domain": "a.example", "via": "b.example", "user": "x", "password_file": "%d/handed-over"}
                ],
            },
            "people_source": {
                "servers": ["ldaps://dc.example.net"], "bind_dn": "cn=x", "base": "dc=x",
                "password_file": "directory.secret",
            },
            "identity_provider": {
                "issuer": "https://login.example.net", "client_id": "x", "client_secret_file": "closed/provider.secret",
            },
            "console": {"address": "127.0.0.1:8080", "url": "https://console.example.net", "tls": False},
        }  # fmt: skip
        found = list(exposed(settle(table, file="x", path=None, folder=folder)))
        assert sorted(one.partition(":")[0] for one in found) == [
            "outbound.smarthost_password_file", "people_source.password_file", "state",
        ]  # fmt: skip
        assert all("can be read by every user of this machine: chmod o= " in one for one in found)
        (folder / "relay.secret").chmod(0o602)
        found = list(exposed(settle(table, file="x", path=None, folder=folder)))
        assert any("relay.secret can be changed by every" in one for one in found)


def test_what_is_made_for_them_before_the_first_start_is_closed_to_others(tmp_path: Path) -> None:
    table = {
        "hostname": "mx.example.net",
        "certificates": {
            "acme": "https://acme.example/directory",
            "agree": True,
            "http_address": "127.0.0.1:0",
        },
    }
    prepare(settle(table, file="x", path=None, folder=tmp_path))
    found = [tmp_path / "var", *(tmp_path / "var").rglob("*")]
    assert len(found) > 4
    assert not [path for path in found if path.lstat().st_mode & 0o077 and not path.is_symlink()]


def test_certificates_that_the_gate_gets_itself_need_not_be_there(tmp_path: Path) -> None:
    table = {
        "hostname": "mx.example.net",
        "listeners": [{"address": "127.0.0.1:0", "role": "submission"}],
        "certificates": {
            "acme": "https://acme.example/directory",
            "agree": True,
            "http_address": "127.0.0.1:0",
        },
    }
    loaded = settle(table, file="x", path=None, folder=tmp_path)
    assert loaded.config.tls.certificate == "var/certificates/mx.example.net/current/fullchain.pem"
    assert not [one for one in examine(loaded) if one.startswith("tls")]
