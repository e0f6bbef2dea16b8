"""What is told as a failure of the disk, and what is not."""

from __future__ import annotations

import errno

import pytest

from gatepost.store.failures import StoreFailed, StoreFull, translated


@pytest.mark.parametrize(("number", "kind"), [(errno.ENOSPC, StoreFull), (errno.EIO, StoreFailed)])
def test_a_disk_that_fails_is_told_as_such(number: int, kind: type[StoreFailed]) -> None:
    with pytest.raises(kind, match="disk"), translated():
        raise OSError(number, "no")


def test_a_reader_who_has_gone_is_no_failure_of_the_disk() -> None:
    """`gatepost journal export | head` writes from within the store's own reading."""
    with pytest.raises(BrokenPipeError), translated():
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")
