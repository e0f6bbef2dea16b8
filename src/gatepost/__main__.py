"""`python -m gatepost` and the `gatepost` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line."""
    try:
        from gatepost.cli.root import gatepost

        gatepost()
    except KeyboardInterrupt:  # pressed before a command took it in hand
        sys.exit(130)


if __name__ == "__main__":
    main()
