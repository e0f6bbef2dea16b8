"""Gatepost: a secure mail server and mail security gateway that explains every verdict."""

__version__ = "0.1.0"
