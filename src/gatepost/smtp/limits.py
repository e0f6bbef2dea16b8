"""How much a peer may ask of one connection: every limit and timeout of RFC 5321 §4.5.3, and ours besides."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpLimits:
    """Sizes in octets, counts, and patience in seconds. The defaults satisfy RFC 5321 §4.5.3 as minimum values."""

    command_line_octets: int = 2048
    """The longest command line: 512 (RFC 5321 §4.5.3.1.4) and what extensions add to it; longer closes."""
    auth_line_octets: int = 12288
    """The longest line of an AUTH exchange (RFC 4954 §4)."""
    text_line_octets: int = 1_048_576
    """The longest line in a message. RFC 5321 §4.5.3.1.6 says 1,000; mail in use has far longer ones."""
    header_octets: int = 524_288
    """The longest header section of a message."""
    message_octets: int = 52_428_800
    """The biggest message, announced with SIZE (RFC 1870)."""
    discard_octets: int = 104_857_600
    """How much of a message that is too big is read and thrown away before the connection is closed."""
    recipients: int = 1000
    """Recipients of one message (RFC 5321 §4.5.3.1.8 wants 100 at least)."""
    errors: int = 20
    """Commands that broke a rule before the connection is closed."""
    refusals: int = 100
    """Commands refused for what they asked (senders, recipients, sign-ins) before the connection is closed."""
    auth_failures: int = 3
    """Sign-ins that failed before the connection is closed."""
    commands_without_mail: int = 100
    """EHLO, RSET, NOOP, VRFY and the like in a row, with no message between them, before the connection is closed."""
    messages: int = 1000
    """Messages of one connection before the client must make a new one."""
    input_octets: int = 131_072
    """Pipelined input kept while an answer is being thought about; the driver reads no further."""

    command_s: float = 300.0
    """Waiting for a whole command line (RFC 5321 §4.5.3.2.7)."""
    data_s: float = 180.0
    """Waiting for the next `data_block_octets` of a message (RFC 5321 §4.5.3.2.5)."""
    data_block_octets: int = 16_384
    """How much of a message must arrive within `data_s`."""
    auth_s: float = 180.0
    """Waiting for one line of an AUTH exchange."""
    handshake_s: float = 60.0
    """Waiting for the TLS handshake to end."""
