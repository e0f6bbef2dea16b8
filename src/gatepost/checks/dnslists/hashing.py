"""Names and addresses as the hashes that some DNS lists are asked with."""

from __future__ import annotations

import hashlib
from base64 import b32encode

from gatepost.checks.dnslists.lists import Hash


def hashed(text: str, how: Hash) -> str:
    """One label, lower case; a hash of UTF-8. The list's owner says what the text must look like before."""
    octets = text.encode("utf-8", "surrogatepass")
    if how is Hash.MD5:
        return hashlib.md5(octets, usedforsecurity=False).hexdigest()
    if how is Hash.SHA256_BASE32:
        return b32encode(hashlib.sha256(octets).digest()).decode().rstrip("=").lower()
    digest = hashlib.sha1(octets, usedforsecurity=False)
    if how is Hash.SHA1_BASE32:
        return b32encode(digest.digest()).decode().rstrip("=").lower()
    return digest.hexdigest()
