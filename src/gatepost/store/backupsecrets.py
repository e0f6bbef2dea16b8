"""The secrets of a state folder in a backup: keys and certificates in one file, sealed under the master key.

A backup goes to disks and hands that the gate's own never met. What is in it must be worth nothing without the master key,
which is kept apart; with it, a restored gate finds bounces back to the senders it rewrote, and its certificates fit their TLSA
records. Never in it: the master key itself, and the key of links in letters, which are not to be good again.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import msgspec

from gatepost.store.failures import StoreFailed, translated
from gatepost.store.sealing import KeyMissing, Keyring, Seal

SEALED = "secrets.sealed"
FOLDERS = ("keys", "certificates")
NEVER = ("quarantine*", "links*", "*.new", "*.lock", "*.turn")
"""Of `keys`: master key, key of links, and what is there for a moment."""
REF = "backup secrets"
"""What the seal is bound to."""
MOST_OCTETS = 64 * 1024 * 1024


class Sealed(msgspec.Struct, frozen=True):
    """The file, as msgpack."""

    key_id: str
    wrapped_key: bytes
    octets: bytes


def has_secrets(state: Path) -> bool:
    """Is there anything to be sealed?"""
    return next(secret_paths(state), None) is not None


def secret_paths(state: Path) -> Iterator[Path]:
    """Every file and link that is a secret, or belongs to one."""
    for folder in FOLDERS:
        for path in sorted((state / folder).rglob("*")):
            names = path.relative_to(state).parts
            if not any(fnmatch(name, one) for name in names for one in NEVER) and (
                path.is_symlink() or path.is_file()
            ):
                yield path


def sealed_secrets(state: Path, keyring: Keyring) -> bytes:
    """The file's octets. Raises StoreFailed where the master key cannot be used."""
    packed = io.BytesIO()
    with translated(), tarfile.open(fileobj=packed, mode="w") as archive:
        for path in secret_paths(state):
            archive.add(path, str(path.relative_to(state)), recursive=False)
    seal, octets = keyring.seal(REF, packed.getvalue())
    return msgspec.msgpack.encode(Sealed(seal.key_id, seal.wrapped_key, octets))


def open_secrets(growing: Path, keyring: Keyring | None) -> bool:
    """Put a backup's keys and certificates where they belong; are they there? An older backup has them in plain files.

    Raises StoreFailed.
    """
    sealed = growing / SEALED
    if sealed.exists():
        if keyring is not None:
            unsealed_into(growing, sealed.read_bytes(), keyring)
        sealed.unlink()
    return has_secrets(growing)


def unsealed_into(folder: Path, octets: bytes, keyring: Keyring) -> None:
    """Put every secret where it was, below `folder`, with its modes. Raises StoreFailed."""
    try:
        found = msgspec.msgpack.decode(octets[:MOST_OCTETS], type=Sealed)
    except msgspec.MsgspecError:
        raise StoreFailed(f"{SEALED} is damaged") from None
    try:
        packed = keyring.open(REF, Seal(found.key_id, found.wrapped_key), found.octets)
    except KeyMissing:
        raise StoreFailed(
            f"the secrets in this backup are sealed with the master key {found.key_id}, which {keyring.path} does not have: put the"
            " key file there first, or restore --without-secrets"
        ) from None
    with translated():
        for name in FOLDERS:
            (folder / name).mkdir(mode=0o700, exist_ok=True)
        try:
            with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
                archive.extractall(folder, filter="data")
        except tarfile.TarError as fault:
            raise StoreFailed(f"{SEALED} cannot be unpacked: {fault}") from None
