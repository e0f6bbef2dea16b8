"""How much of us one client, and all of them together, may have: settings of the receiving sockets."""

from __future__ import annotations

from dataclasses import dataclass

from gatepost.smtp.dialect import Dialect


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """One address we listen on."""

    address: str = "*:25"
    """``host:port``, ``[v6]:port``, or ``*:port`` for every address of both families. Port 0 takes a free one."""
    role: Dialect = Dialect.MX
    """mx, submission, submissions (TLS from the first octet) or lmtp."""
    proxy_protocol_from: tuple[str, ...] = ()
    """Fronts (addresses or networks) that send a PROXY v1/v2 header before anything else; from them it is required."""
    xclient_from: tuple[str, ...] = ()
    """Fronts (addresses or networks) that may name the client with XCLIENT after the greeting."""
    relay_for: tuple[str, ...] = ()
    """Own machines (addresses or networks) that may send out without signing in, as addresses of our domains; of a submission listener only."""
    bare_lf_from: tuple[str, ...] = ()
    """Clients (addresses or networks) whose message bodies may hold bare line feeds; they are made CR LF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionLimits:
    """Limits kept where connections are accepted. A client is an IPv4 address or an IPv6 /64."""

    connections: int = 2000
    """Connections open at once, all clients together."""
    per_client: int = 50
    """Connections one client may have open at once."""
    per_client_a_minute: int = 6000
    """New connections one client may make in a minute."""
    unlimited_clients: tuple[str, ...] = ("127.0.0.0/8", "::1")
    """Networks the limits per client do not apply to, while less than three quarters of all connections are taken."""
    greeting_delay_s: float = 2.0
    """How long a client we do not know waits for our greeting; one that talks meanwhile is turned away."""
    greeting_delay_local_s: float = 0.0
    """The same for loopback and private addresses."""
    known_client_s: float = 7 * 86400.0
    """How long a client that waited politely is greeted at once."""
    known_clients: int = 50_000
    """How many clients are remembered, for politeness and for their rate; the least recent are forgotten first."""
    proxy_header_s: float = 5.0
    """How long a front has for its PROXY header."""
    backlog: int = 2048
    """Connections the kernel queues for us; its own `net.core.somaxconn` caps it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """Limits of one session, beyond those of the protocol machine."""

    session_s: float = 4 * 3600.0
    """The longest a connection may last; a message already coming in is finished first."""
    in_flight_octets: int = 536_870_912
    """Message octets that all sessions of a process hold together before new messages get a 452."""
    stop_grace_s: float = 30.0
    """How long messages in hand may still take when we are asked to stop."""
