"""Records as JSON and back, by msgspec: an unknown field is passed over, a missing one takes its default.

msgspec cannot decode a union of two classes it does not know, which is what an IP address is; so a history
entry is decoded into a shape with the address as text, derived from the dataclasses themselves.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, replace
from ipaddress import ip_address
from typing import Any, get_type_hints

import msgspec

from gatepost.mail.client import Client
from gatepost.store.records import HistoryEntry


def encode(record: object) -> bytes:
    """Any record as JSON.

    What was weighed is mostly the same for all recipients of a message: it is written once, and the others
    say whose it is. Else a mail to a thousand would fill the history with megabytes.
    """
    if isinstance(record, HistoryEntry) and len(record.judged) > 1:
        return _encode_shared(record)
    return _ENCODER.encode(record)


def _encode_shared(entry: HistoryEntry) -> bytes:
    shared: list[int] = []
    judged = list(entry.judged)
    first, weighed = 0, judged[0].verdict.weighed
    for place, one in enumerate(judged):
        if one.verdict.weighed != weighed:
            first, weighed = place, one.verdict.weighed
        elif place != first:
            judged[place] = replace(one, verdict=replace(one.verdict, weighed=()))
        shared.append(first)
    octets = _ENCODER.encode(replace(entry, judged=tuple(judged)))
    return b'%b,"shared":%b}' % (octets[:-1], _ENCODER.encode(shared))


def decode_entry(octets: bytes) -> HistoryEntry:
    """A history entry from its JSON. Raises msgspec.DecodeError when it is none."""
    shape = _ENTRY.decode(octets)
    told = {name: getattr(shape.client, name) for name in _CLIENT_FIELDS}
    if told["ip"] is not None:
        told["ip"] = ip_address(told["ip"])
    values = {name: getattr(shape, name) for name in _ENTRY_FIELDS}
    values["client"] = Client(**told)
    if shape.shared:
        judged = shape.judged
        values["judged"] = tuple(
            one
            if first == place
            else replace(one, verdict=replace(one.verdict, weighed=judged[first].verdict.weighed))
            for place, (one, first) in enumerate(zip(judged, shape.shared, strict=True))
        )
    return HistoryEntry(**values)


def _shape_of(
    record: type[Any], *more: tuple[str, object, object], **replaced: object
) -> type[msgspec.Struct]:
    """The dataclass as a msgspec structure, with some of its types replaced and some fields more."""
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
    shape += more
    return msgspec.defstruct(record.__name__, shape, kw_only=True)


_ENCODER = msgspec.json.Encoder(enc_hook=str)
_CLIENT_FIELDS = tuple(field.name for field in fields(Client))
_ENTRY_FIELDS = tuple(field.name for field in fields(HistoryEntry))
_ENTRY: msgspec.json.Decoder[Any] = msgspec.json.Decoder(
    _shape_of(HistoryEntry, ("shared", tuple[int, ...], ()), client=_shape_of(Client, ip=str | None))
)
