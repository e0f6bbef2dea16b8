"""Kill -9 while mail comes in: what was answered is there. And what a dead worker held comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from promise import NOW, SETTINGS, a_memory_folder, check_promise, sample

from gatepost.store.store import Store

memory_folder = a_memory_folder

HERE = Path(__file__).parent
PATHS = os.pathsep.join([str(HERE), str(HERE.parent), *sys.path])


def start(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, str(HERE / program), *arguments],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": PATHS},
    )


@pytest.mark.parametrize("answers", [1, 7, 40, 150])
def test_what_was_answered_before_a_kill_is_there(memory_folder: Path, answers: int) -> None:
    processes = [start("taking_in.py", str(memory_folder), name) for name in ("A", "B")]
    answered: list[str] = []
    for process in processes:
        assert process.stdout is not None
        answered += [process.stdout.readline().decode().strip() for _ in range(answers)]
    for process in processes:
        process.send_signal(signal.SIGKILL)
    for process in processes:
        rest, _ = process.communicate()
        assert process.returncode == -signal.SIGKILL
        answered += [line.decode() for line in rest.split(b"\n")[:-1]]
    assert len(answered) >= 2 * answers
    assert "" not in answered
    last = Counter(ref[0] for ref in answered)
    wanted = [
        sample(f"{name}{number}", 200 if number % 3 else 5000, held=number % 5 == 0)
        for name in "AB"
        for number in range(last[name] + 20)
    ]
    asyncio.run(check_promise(memory_folder, set(answered), wanted))


def test_a_dead_workers_copies_come_back_after_the_lease(memory_folder: Path) -> None:
    async def story() -> None:
        store = Store.open(memory_folder, SETTINGS)
        await store.carry_out(sample("DEAD", 200))
        first = await store.claim(NOW, 10, 60.0, "dead")
        assert len(first) == 2
        assert await store.claim(NOW + 59, 10, 60.0, "alive") == []
        second = await store.claim(NOW + 60, 10, 60.0, "alive")
        assert [item.id for item in second] == [item.id for item in first]
        assert await store.give_back(("alive",), NOW + 61) == 2, "one that starts anew needs not wait"
        assert len(await store.claim(NOW + 61, 10, 60.0, "alive")) == 2
        await store.close()

    asyncio.run(story())


def test_no_copy_is_claimed_twice_at_once(memory_folder: Path) -> None:
    async def fill() -> None:
        store = Store.open(memory_folder, SETTINGS)
        await asyncio.gather(*(store.carry_out(sample(f"M{number}", 100)) for number in range(100)))
        await store.close()

    asyncio.run(fill())
    processes = [start("claiming.py", str(memory_folder), name) for name in ("w1", "w2", "w3")]
    claimed = Counter[str]()
    for process in processes:
        output, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        claimed.update(output.decode().split())
    assert len(claimed) == 200
    assert set(claimed.values()) == {1}
