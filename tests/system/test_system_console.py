"""The console of a whole gate: beside delivery, on loopback or by HTTPS, through reloads and to the end."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import time
from pathlib import Path

import httpx
import pytest
from whole import issue, mail, running, until

from gatepost.app.checkup import examine
from gatepost.config.load import ConfigError
from gatepost.config.schema import load, settle

PLAIN = '\n[console]\naddress = "127.0.0.1:0"\n'


def origin_of(gate) -> str:
    """Where its ready line says it is."""
    until(lambda: "console at " in gate.log(), gate.log)
    found = re.search(r"console at (https?://[\w.:]+)", gate.log())
    assert found is not None
    return found[1]


def priorities(pid: int) -> list[int]:
    """Of the process and its children; higher numbers come later."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [os.getpriority(os.PRIO_PROCESS, int(one)) for one in (pid, *children)]


@pytest.mark.parametrize("workers", ["0", "1"])
def test_it_answers_beside_mail_reloads_and_ends(tmp_path, workers):
    with running(tmp_path, workers=workers, more=PLAIN) as gate:
        origin = origin_of(gate)
        with httpx.Client(base_url=origin) as browser:
            assert browser.get("/overview").headers["location"] == "/sign-in?next=/overview"
            page = browser.get("/sign-in")
            assert page.status_code == 200
            assert "gatepost-door" in browser.cookies
            assert gate.send(mail())[0] == 250
            gate.process.send_signal(signal.SIGHUP)
            assert browser.get("/sign-in").status_code == 200
        behind = [priority - os.getpriority(os.PRIO_PROCESS, 0) for priority in priorities(gate.process.pid)]
        assert sorted(one for one in behind if one) == ([10] if workers == "1" else []), "mail comes first"
        with socket.create_connection(("127.0.0.1", int(origin.rpartition(":")[2]))) as idle:
            idle.sendall(b"GET /sign-in HT")  # whoever never finishes asking does not keep the gate
            begun = time.monotonic()
            assert gate.stop() == 0
            assert time.monotonic() - begun < 20


def test_by_https_with_the_gates_certificate(tmp_path):
    issue(tmp_path, "localhost", "mx.example.net")
    more = PLAIN + '\n[tls]\ncertificate = "certificate.pem"\nkey = "key.pem"\n'
    context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    with running(tmp_path, workers="1", more=more) as gate:
        origin = origin_of(gate)
        assert origin.startswith("https://localhost:")
        with httpx.Client(base_url=origin, verify=context) as browser:
            page = browser.get("/sign-in")
            assert page.headers["strict-transport-security"]
            assert "__Host-gatepost-door" in browser.cookies
            cookie = page.headers["set-cookie"]
        assert "Secure" in cookie
        with pytest.raises(httpx.HTTPError):
            httpx.get(origin.replace("https", "http"))


@pytest.mark.parametrize(
    ("console", "words"),
    [
        ({"address": "0.0.0.0:8080"}, "passwords would go there in plain"),
        ({"address": "[::]:8080"}, "passwords would go there in plain"),
        ({"address": "8080"}, "host:port is wanted"),
        ({"address": "127.0.0.1:8080", "url": "http://console.example.net"}, "must be https"),
        ({"address": "127.0.0.1:8080", "url": "https://console.example.net/path"}, "without a path"),
        ({"address": "127.0.0.1:8080", "trusted_proxies": ["nonsense"]}, "neither an address nor a network"),
        ({"address": "127.0.0.1:8080", "certificate": "a.pem"}, "needs its key"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(tmp_path, console, words):
    with pytest.raises(ConfigError, match=words):
        settle(
            {"hostname": "mx.example.net", "console": console},
            file="gatepost.toml",
            path=None,
            folder=tmp_path,
        )


def test_check_config_reads_the_consoles_certificate(tmp_path: Path):
    path = tmp_path / "gatepost.toml"
    path.write_text(
        'hostname = "mx.example.net"\n[console]\naddress = "0.0.0.0:8443"\ncertificate = "no.pem"\nkey = "no.pem"\n'
    )
    assert [one for one in examine(load(path)) if one.startswith("console: ") and "no.pem" in one]
