"""Is the sender who it says? SPF, DKIM, ARC and DMARC, pure but for the resolver they are given."""
