"""Our few icons: strokes on a grid of 24, drawn by ourselves."""

from __future__ import annotations

from markupsafe import Markup

PATHS = {
    "overview": "M4 13h6V4H4zM14 20h6v-9h-6zM4 20h6v-3H4zM14 7h6V4h-6z",
    "messages": "M3 6h18v12H3zM3 7l9 7 9-7",
    "quarantine": "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM9 12h6",
    "queue": "M4 6h16M4 12h16M4 18h10",
    "domains": "M12 3a9 9 0 100 18 9 9 0 000-18zM3 12h18M12 3c3 3 3 15 0 18M12 3c-3 3-3 15 0 18",
    "policy": "M5 4v16M12 4v16M19 4v16M3 9h4M10 15h4M17 8h4",
    "rules": "M8 4l-4 8 4 8M16 4l4 8-4 8",
    "people": "M9 11a4 4 0 100-8 4 4 0 000 8zM2 21c0-4 3-6 7-6s7 2 7 6M16 4a4 4 0 010 7M18 15c3 1 4 3 4 6",
    "tools": "M14 6a4 4 0 005 5l-9 9-4-4 9-9M5 15l4 4",
    "system": "M4 5h16v6H4zM4 13h16v6H4zM8 8h.1M8 16h.1",
    "senders": "M4 12a8 8 0 0116 0 8 8 0 01-16 0zM6.5 6.5l11 11",
    "glass": "M6 3h12l-1 18H7zM6.6 10l3 2 3-3 4.6 3",
    "security": "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM9 12l2 2 4-4",
    "looks": "M2 12c4-7 16-7 20 0-4 7-16 7-20 0zM12 15a3 3 0 100-6 3 3 0 000 6z",
    "access": "M2 12c4-7 16-7 20 0-4 7-16 7-20 0zM12 15a3 3 0 100-6 3 3 0 000 6z",
    "data": "M12 3v11M8 10l4 4 4-4M4 17v4h16v-4",
    "retention": "M12 3a9 9 0 100 18 9 9 0 000-18zM12 7v5l3 3",
    "me": "M12 12a4 4 0 100-8 4 4 0 000 8zM4 21c0-4 4-6 8-6s8 2 8 6",
    "privacy": "M6 11h12v9H6zM8 11V7a4 4 0 018 0v4",
    "breach": "M12 3l8 3v6c0 5-4 8-8 9-4-1-8-4-8-9V6zM12 8v5M12 16h.1",
    "requests": "M4 5h16v11H9l-5 4zM8 9h8M8 12h5",
    "holds": "M7 11V6a5 5 0 0110 0v5M5 11h14v9H5zM12 14v3",
    "record": "M6 3h12v18H6zM9 7h6M9 11h6M9 15h6M9 18h3",
    "journal": "M6 3h12v18H6zM9 8h6M9 12h6M9 16h4",
    "well": "M5 13l4 4L19 7",
    "warning": "M12 4l9 16H3zM12 10v4M12 17h.1",
    "critical": "M12 3a9 9 0 100 18 9 9 0 000-18zM12 8v5M12 16h.1",
    "off": "M6 12h12",
    "search": "M11 4a7 7 0 100 14 7 7 0 000-14zM16 16l5 5",
    "key": "M8 15a4 4 0 110-8 4 4 0 010 8zM12 11h9v4M17 11v3",
    "gate": "M4 21V8l8-5 8 5v13M9 21v-8h6v8",
    "link": "M10 14a4 4 0 006 0l3-3a4 4 0 00-6-6l-1 1M14 10a4 4 0 00-6 0l-3 3a4 4 0 006 6l1-1",
    "file": "M6 3h8l4 4v14H6zM14 3v4h4",
}


def icon(name: str) -> Markup:
    """The icon as SVG, for eyes only: words stand beside it. An unknown name gives an empty picture."""
    return Markup(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="{}"/></svg>'
    ).format(PATHS.get(name, ""))
