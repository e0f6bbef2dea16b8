"""What must hold of the wire to another mail server: DANE, MTA-STS, REQUIRETLS, and what is reported of it. Pure."""
