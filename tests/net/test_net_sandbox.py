"""The sandboxed child: what it may not do, and what a file that kills it costs."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import signal
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from conftest import seven_zip
from gatepost.files.yararules import compile_rules
from gatepost.mail.filereport import FileReport
from gatepost.mail.message import Message
from gatepost.net import landlock
from gatepost.net import sandbox as sandboxes
from gatepost.net.sandbox import Child, Lost, Sandbox, SandboxSettings, obstacle
from gatepost.net.sandbox_forkserver import Forkserver
from gatepost.net.sandbox_wire import Answer, WireFact, WireReport, reports_of
from gatepost.tools import Unavailable


def with_attachments(*files: tuple[str, bytes], text: str = "hello") -> Message:
    head = (
        b"From: a@b.example\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n\r\n%s\r\n"
        % text.encode()
    )
    parts = [
        b"--x\r\nContent-Type: application/octet-stream; name=%s\r\nContent-Transfer-Encoding: base64\r\n\r\n%s"
        % (name.encode(), base64.encodebytes(octets).replace(b"\n", b"\r\n"))
        for name, octets in files
    ]
    return Message.parse(head + b"".join(parts) + b"--x--\r\n")


def zipped(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, octets in members.items():
            archive.writestr(name, octets)
    return buffer.getvalue()


def facts(reports: list[FileReport] | tuple[FileReport, ...]) -> list[str]:
    return [fact.name for report in reports for fact in report.facts]


async def look(sandbox: Sandbox, *messages: Message) -> list[list[FileReport]]:
    try:
        return [list(await sandbox.inspect(one)) for one in messages]
    finally:
        await sandbox.close()


def test_it_reports_what_is_inside() -> None:
    [reports] = asyncio.run(look(Sandbox(), with_attachments(("a.zip", zipped(inner=b"MZ" + bytes(100))))))
    assert [one.shown for one in reports] == ["a.zip", "a.zip › inner"]
    assert reports[0].kind == "zip"


def test_plain_text_never_starts_a_child() -> None:
    async def story() -> set[Child]:
        sandbox = Sandbox()
        await sandbox.inspect(with_attachments(("notes.txt", b"just words\r\n")))
        return sandbox._all

    assert asyncio.run(story()) == set()


def test_one_look_however_many_ask() -> None:
    async def story() -> int:
        sandbox, message = Sandbox(), with_attachments(("a.zip", zipped(x=b"1")))
        try:
            first, second = await asyncio.gather(sandbox.inspect(message), sandbox.inspect(message))
            assert first is second
            return sum(one.files for one in sandbox._all)
        finally:
            await sandbox.close()

    assert asyncio.run(story()) == 1


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, signal.SIGSTOP])
def test_a_file_that_kills_or_hangs_its_child_is_a_fact_and_costs_one_child(
    how: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> tuple[list[str], list[str], int]:
        sandbox = Sandbox(SandboxSettings(children=1, file_s=2.0))
        try:
            await sandbox.inspect(with_attachments(("a.zip", zipped(x=b"1"))))
            [child] = sandbox._all
            monkeypatch.setattr(Child, "lives", lambda _: True)  # it dies when it is asked, not before
            os.kill(child.pid, how)
            struck = await sandbox.inspect(with_attachments(("b.zip", zipped(x=b"1"))))
            after = await sandbox.inspect(with_attachments(("c.zip", zipped(x=b"1"))))
            return facts(list(struck)), facts(list(after)), sandbox.deaths
        finally:
            await sandbox.close()

    assert asyncio.run(story()) == (["failed"], [], 1)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def places(pid: int) -> set[str]:
    """Where code lies in that process's memory; a program that is linked to lie in one place, as Debian's Python is, left out."""
    lines = [line.split() for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
    code = [line[0] for line in lines if line[1] == "r-xp" and "/" in line[-1]]
    return {one for one in code if int(one.partition("-")[0], 16) >= 2**32}


async def dug(sandbox: Sandbox) -> Child:
    """The one child, after it looked into something."""
    await sandbox.inspect(with_attachments(("a.zip", zipped(x=b"1"))))
    [child] = sandbox._all
    return child


def test_children_of_several_processes_come_from_one_and_end_with_those_who_asked() -> None:
    async def story() -> list[int]:
        server = Forkserver()
        server.begin()
        first, second = (Sandbox(SandboxSettings(children=1), server=server) for _ in range(2))
        pids = [(await dug(one)).pid for one in (first, second)]
        above = parent(pids[0])
        assert above not in (os.getpid(), pids[1])
        assert parent(pids[1]) == above
        await first.close()
        assert (await dug(second)).pid == pids[1]
        await second.close()
        server.close()
        return [above, *pids]

    assert [one for one in asyncio.run(story()) if runs(one)] == []


def test_after_a_child_was_struck_down_no_address_holds_and_others_work_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Child, "lives", lambda _: True)

    async def story() -> None:
        server = Forkserver()
        struck, other = (Sandbox(SandboxSettings(children=1), server=server) for _ in range(2))
        try:
            victim, bystander = await dug(struck), await dug(other)
            above = parent(victim.pid)
            before = places(above)
            os.kill(victim.pid, signal.SIGSEGV)
            assert facts(list(await struck.inspect(with_attachments(("b.zip", zipped(x=b"1")))))) == [
                "failed"
            ]
            again = await dug(struck)
            assert parent(again.pid) == above
            assert not before & places(above)
            assert (await dug(other)) is bystander
        finally:
            await struck.close()
            await other.close()
            server.close()
        assert not runs(bystander.pid)

    asyncio.run(story())


def test_a_child_has_no_descriptor_but_its_socket() -> None:
    code = (
        "import os, socket, sys\nfrom gatepost.net import sandbox_child, sandbox_forkserver\n"
        "secret, other = os.open('/etc/hostname', os.O_RDONLY), socket.socketpair()\n"
        "link, theirs = socket.socketpair()\n"
        "def look(descriptor, scratch):\n"
        "    there = [one for one in range(200) if os.path.exists(f'/proc/self/fd/{one}')]\n"
        "    os.write(descriptor, repr(there == [0, 1, 2, descriptor]).encode())\n"
        "sandbox_child.main = look\n"
        "if os.fork() == 0:\n    sandbox_forkserver.live(theirs.fileno(), '')\n"
        "print(link.recv(99).decode())\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "True", done.stderr


@pytest.fixture
def folder() -> Iterator[Path]:
    """One that nobody else's account may reach, too: pytest's own are for root alone."""
    with tempfile.TemporaryDirectory(prefix="gatepost-test-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


def test_without_the_process_they_come_from_children_come_from_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))  # what nobody removes any more goes with it

    async def story() -> tuple[list[str], int, int]:
        server = Forkserver()
        sandbox = Sandbox(SandboxSettings(children=1), server=server)
        try:
            first = await dug(sandbox)
            above = parent(first.pid)
            assert list(folder.iterdir()), "scratch folders lie where temporary files do"
            os.kill(above, signal.SIGKILL)
            assert await asyncio.get_running_loop().sock_recv(first.rein, 16) == b""
            reports = await sandbox.inspect(with_attachments(("b.zip", zipped(x=b"1"))))
            [second] = sandbox._all
            return [one.shown for one in reports], above, parent(second.pid)
        finally:
            await sandbox.close()
            server.close()

    inside, before, after = asyncio.run(story())
    assert inside == ["b.zip", "b.zip › x"]
    assert before != after


def test_a_process_they_come_from_that_hangs_is_left_for_another(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))

    async def story() -> int:
        server = Forkserver()
        server.begin()
        assert server._process is not None
        hung = server._process
        os.kill(hung.pid, signal.SIGSTOP)
        try:
            with monkeypatch.context() as impatient:
                impatient.setattr(sandboxes, "START_S", 0.2)
                with pytest.raises(Unavailable, match="did not come up within 0 s; gatepost doctor says"):
                    await Child.start(SandboxSettings(), server)
            child = await Child.start(SandboxSettings(), server)
            child.end()
        finally:
            hung.kill()
            server.close()
        return hung.wait(10)

    assert asyncio.run(story()) == -signal.SIGKILL


def in_the_cage(code: str, folder: Path, *, use_landlock: bool = True) -> subprocess.CompletedProcess[str]:
    scratch = folder / "scratch"
    scratch.mkdir()
    scratch.chmod(0o777)
    lead = (
        "import os, socket, subprocess, ctypes, mmap, signal\nfrom gatepost.net.confinement import confine\n"
        f"confine(scratch={str(scratch)!r}, memory_octets=200 << 20, scratch_octets=4 << 20, use_landlock={use_landlock})\n"
    )
    return subprocess.run(
        [sys.executable, "-I", "-B", "-c", lead + code],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


@pytest.mark.parametrize("use_landlock", [True, False])
@pytest.mark.parametrize(
    "code",
    [
        "socket.socket()",
        "socket.socketpair()",
        "os.kill(os.getppid(), 0)",
        "ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)",
        "ctypes.CDLL(None).unshare(0x10000000)",
        "ctypes.CDLL(None).mount(b'none', b'/', b'tmpfs', 0, None)",
    ],
)
def test_what_only_an_intruder_does_ends_the_process(code: str, folder: Path, *, use_landlock: bool) -> None:
    done = in_the_cage(code + "\nprint('still here')", folder, use_landlock=use_landlock)
    assert done.returncode == -signal.SIGSYS, done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("use_landlock", [True, False])
@pytest.mark.parametrize(
    "code",
    [
        "open('/etc/passwd').read()",
        "open('/etc/hostname').read()",
        "open('/tmp/gatepost-was-here', 'w')",
        "os.listdir('/root')",
        "subprocess.run(['/bin/true'])",
        "os.execv('/bin/true', ['true'])",
        "os.setuid(0)",
        "__import__('resource').setrlimit(5, (1, 1))",
    ],
)
def test_what_it_may_not_do_fails(code: str, folder: Path, *, use_landlock: bool) -> None:
    if use_landlock and landlock.version() == 0:
        pytest.skip("this kernel has no Landlock")
    wrapped = f"try:\n    {code}\nexcept (OSError, ValueError) as why:\n    print('refused')\nelse:\n    print('done')"
    done = in_the_cage(wrapped, folder, use_landlock=use_landlock)
    assert done.stdout.strip() == "refused", done.stderr


def test_the_scratch_folder_is_bounded_and_memory_is(folder: Path) -> None:
    code = (
        "try:\n    open('big', 'wb').write(bytes(5 << 20))\nexcept OSError:\n    print('full')\n"
        "open('small', 'wb').write(b'1') and print('written')\n"
        "try:\n    bytearray(400 << 20)\nexcept MemoryError:\n    print('no memory')\n"
    )
    code = "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n" + code.replace(
        "open('small'", "os.unlink('big')\nopen('small'"
    )
    assert in_the_cage(code, folder).stdout.split("\n")[:3] == ["full", "written", "no memory"]


def test_without_landlock_children_still_look() -> None:
    [reports] = asyncio.run(look(Sandbox(landlock=False), with_attachments(("a.zip", zipped(x=b"1")))))
    assert [one.shown for one in reports] == ["a.zip", "a.zip › x"]


@pytest.mark.peers
def test_without_landlock_children_still_open_locked_archives(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("hello")
    locked = tmp_path / "locked.7z"
    subprocess.run(
        [seven_zip(), "a", "-bso0", "-psecret99", "-mhe=on", str(locked), str(tmp_path / "x.txt")],
        check=True,
    )
    message = with_attachments(("locked.7z", locked.read_bytes()), text="The password is: secret99")
    [reports] = asyncio.run(look(Sandbox(landlock=False), message))
    assert [one.shown for one in reports] == ["locked.7z", "locked.7z › x.txt"]
    assert "password-found" in facts(reports)


def test_this_machine_can_have_children() -> None:
    assert asyncio.run(obstacle()) == ""


def test_what_a_child_says_is_bounded_and_printable() -> None:
    hostile = WireReport(
        path=["a\x1b[31m", *["deep"] * 500], kind="PE\n", size=-1, links=["http://x/\x00"] * 9999, text="y" * 9_999_999,
        facts=[WireFact("no such\nname", ""), WireFact("bomb", "z" * 9999, {"k\n": ["\x07"] * 99})] * 200,
    )  # fmt: skip
    [report] = reports_of(Answer([hostile]), [None], part=3, declared="image/png")
    assert report.part == 3
    assert report.kind == ""
    assert report.size == 0
    assert len(report.path) == 20
    assert len(report.links) == 2000
    assert len(report.text) == 400_000
    assert {fact.name for fact in report.facts} == {"bomb"}
    assert all(text.isprintable() for text in (*report.path, *report.links, report.facts[0].text))
    assert report.facts[0].evidence == {"k\\x0a": ["\\x07"] * 20}


def test_yara_rules_run_over_the_attachment_and_the_message() -> None:
    rules = compile_rules(
        {"own.yar": 'rule marked { meta: weight = 3 strings: $a = "sesame" condition: $a }'}
    )
    octets = Message.parse(b"From: a@b.example\r\n\r\nopen sesame\r\n")
    attached, plain = asyncio.run(
        look(Sandbox(rules=rules), with_attachments(("a.bin", b"\1\2 sesame")), octets)
    )
    assert [(one.shown, facts([one])) for one in attached if one.facts] == [("a.bin", ["yara"])]
    assert [(one.shown, one.facts[0].evidence["log_odds"]) for one in plain] == [("the message", 3.0)]


def test_a_large_attachment_is_decoded_by_the_child() -> None:
    [reports] = asyncio.run(look(Sandbox(), with_attachments(("big.bin", bytes(range(256)) * 4000))))
    assert reports[0].size == 256 * 4000


def test_rules_that_could_not_be_run_over_a_message_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    async def lost(*_: object) -> None:
        raise Lost("took too long")

    sandbox = Sandbox(rules=b"rules")
    monkeypatch.setattr(Sandbox, "_order", lost)
    [[report]] = asyncio.run(look(sandbox, Message.parse(b"Subject: plain\r\n\r\nNothing is attached.\r\n")))
    assert (report.shown, [fact.name for fact in report.facts]) == ("the message", ["failed"])
    assert "took too long" in report.facts[0].text
