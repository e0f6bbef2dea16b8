"""Records as JSON and back, by msgspec: an unknown field is passed over, a missing one takes its default.

msgspec cannot decode a union of two classes it does not know, which is what an IP address is; so a history
entry is decoded into a shape with the address as text, derived from the dataclasses themselves.
"""

from __future__ import annotations

from dataclasses import MISSING, fields
from ipaddress import ip_address
from typing import Any, get_type_hints

import msgspec

from gatepost.mail.client import Client
from gatepost.store.records import HistoryEntry


def encode(record: object) -> bytes:
    """Any record as JSON."""
    return _ENCODER.encode(record)


def decode_entry(octets: bytes) -> HistoryEntry:
    """A history entry from its JSON. Raises msgspec.DecodeError when it is none."""
    shape = _ENTRY.decode(octets)
    told = {name: getattr(shape.client, name) for name in _CLIENT_FIELDS}
    if told["ip"] is not None:
        told["ip"] = ip_address(told["ip"])
    values = {name: getattr(shape, name) for name in _ENTRY_FIELDS}
    values["client"] = Client(**told)
    return HistoryEntry(**values)


def _shape_of(record: type[Any], **replaced: object) -> type[msgspec.Struct]:
    """The dataclass as a msgspec structure, with some of its types replaced."""
    hints = get_type_hints(record) | replaced
    shape: list[Any] = []
    for field in fields(record):
        if field.default is not MISSING:
            shape.append((field.name, hints[field.name], field.default))
        elif field.default_factory is not MISSING:
            shape.append(
                (field.name, hints[field.name], msgspec.field(default_factory=field.default_factory))
            )
        else:
            shape.append((field.name, hints[field.name]))
    return msgspec.defstruct(record.__name__, shape, kw_only=True)


_ENCODER = msgspec.json.Encoder(enc_hook=str)
_CLIENT_FIELDS = tuple(field.name for field in fields(Client))
_ENTRY_FIELDS = tuple(field.name for field in fields(HistoryEntry))
_ENTRY: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    _shape_of(HistoryEntry, client=_shape_of(Client, ip=str | None))
)
