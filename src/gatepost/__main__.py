"""`python -m gatepost` and the `gatepost` command."""

from __future__ import annotations


def main() -> None:
    """Run the command line."""
    from gatepost.cli.root import gatepost

    gatepost()


if __name__ == "__main__":
    main()
