"""The sandboxed child: it locks itself up, and looks into files till told to end.

Forked from a process that has imported the parsers and nothing else (`sandbox_forkserver`), with one socket. It asks for
nothing: it reads an order, answers it, and empties its scratch folder. Should a parser crash, hang, or fill the memory,
this process is what dies of it.
"""

from __future__ import annotations

import codecs
import contextlib
import encodings
import importlib
import os
import pkgutil
import shutil
import signal
import tempfile
from dataclasses import replace

import msgspec

from gatepost.files.inspect import FileLimits, inspect_file, warm_up
from gatepost.files.yararules import Rules
from gatepost.mail.filereport import FileFact, FileReport
from gatepost.mail.transfer import decode_transfer
from gatepost.net.confinement import confine
from gatepost.net.sandbox_wire import MAX_FRAME, Answer, Order, Ready, Setup, to_wire
from gatepost.net.seccomp import CannotConfine

HEAD = 4


class Ended(Exception):
    """The gate has closed the socket."""


def prepare() -> None:
    """Before the fork: everything that is imported, ever."""
    warm_up()
    load_codecs()


def main(descriptor: int, scratch: str) -> None:
    """The whole life, with an empty folder of its own."""
    try:
        setup = msgspec.msgpack.decode(read_frame(descriptor), type=Setup)
    except Ended:
        return
    rules = Rules(setup.rules) if setup.rules else None
    tempfile.tempdir = scratch
    try:
        by = confine(
            scratch=scratch,
            memory_octets=setup.memory_octets,
            scratch_octets=setup.scratch_octets,
            use_landlock=setup.landlock,
        )
    except (CannotConfine, OSError, ValueError) as why:
        send(descriptor, msgspec.msgpack.encode(Ready(refused=str(why))))
        return
    send(descriptor, msgspec.msgpack.encode(Ready(by=by)))
    writable = scratch if "landlock" in by else None
    with contextlib.suppress(Ended):
        while True:
            serve(descriptor, setup, rules, writable)


def load_codecs() -> None:
    """Codecs of text and pictures come when first needed, and there may be no reading them then: not as nobody, when
    Python belongs to root, and not at all without Landlock."""
    for one in pkgutil.iter_modules(encodings.__path__):
        with contextlib.suppress(ImportError, LookupError):  # those of other systems
            importlib.import_module(f"encodings.{one.name}")
    for name in ("utf-8-sig", "idna", "shift_jis", "gb18030", "euc-kr"):
        codecs.lookup(name)
    with contextlib.suppress(ImportError):
        from PIL import Image

        Image.init()


def serve(descriptor: int, setup: Setup, rules: Rules | None, scratch: str | None) -> None:
    """One order."""
    order = msgspec.msgpack.decode(read_frame(descriptor), type=Order)
    octets = read_exactly(descriptor, order.size)
    # The kernel ends us when the order has had its share of the processor; the gate watches the clock besides.
    signal.setitimer(signal.ITIMER_PROF, setup.cpu_s)
    contents: list[bytes] = []
    try:
        if order.encoding:
            octets = decode_transfer(octets, order.encoding)
        answer, contents = work(order, octets, rules, scratch)
        frame = msgspec.msgpack.encode(answer)
    except Exception as bug:  # noqa: BLE001 - whatever it is, it is this file's doing
        contents, frame = [], msgspec.msgpack.encode(Answer(failed=type(bug).__name__))
    signal.setitimer(signal.ITIMER_PROF, 0)
    send(descriptor, frame)
    for one in contents:
        send(descriptor, one, head=False)
    if scratch is not None:
        empty(scratch)


def work(order: Order, octets: bytes, rules: Rules | None, scratch: str | None) -> tuple[Answer, list[bytes]]:
    """What the order asks for."""
    if order.what == "message":
        facts = tuple(rules.matching(octets)) if rules else ()
        reports = [FileReport(path=("the message",), part=order.part, size=len(octets), facts=facts)]
    else:
        reports = inspect_file(
            order.name, order.declared, octets, order.part,
            passwords=order.passwords, limits=FileLimits(), scratch=scratch,
        )  # fmt: skip
        if rules is not None:
            reports = [
                with_facts(one, rules.matching(octets if number == 0 else one.octets or b""))
                for number, one in enumerate(reports)
            ]
    answer = to_wire(reports)
    return answer, [one.octets for one in reports[: len(answer.reports)] if one.octets is not None]


def with_facts(report: FileReport, facts: list[FileFact]) -> FileReport:
    """The report with more facts."""
    return replace(report, facts=(*report.facts, *facts)) if facts else report


def empty(folder: str) -> None:
    """Nothing of one file is there for the next."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for one in entries:
            if one.is_dir(follow_symlinks=False):
                shutil.rmtree(one.path, ignore_errors=True)
            else:
                os.unlink(one.path)  # noqa: PTH108 - what scandir gives


def read_frame(descriptor: int) -> bytes:
    """One frame; Ended when there is no more."""
    size = int.from_bytes(read_exactly(descriptor, HEAD), "big")
    if size > MAX_FRAME:
        raise Ended
    return read_exactly(descriptor, size)


def read_exactly(descriptor: int, size: int) -> bytes:
    """So many octets; Ended when they do not come."""
    buffer = bytearray(size)
    view, have = memoryview(buffer), 0
    while have < size:
        got = os.readv(descriptor, [view[have:]])
        if got == 0:
            raise Ended
        have += got
    return bytes(buffer)


def send(descriptor: int, octets: bytes, *, head: bool = True) -> None:
    """All of it, with its length in front unless the frame before has said it."""
    view = memoryview(len(octets).to_bytes(HEAD, "big") + octets if head else octets)
    while view:
        view = view[os.write(descriptor, view) :]
