"""Disk and database: what Gatepost keeps, and the promise that 250 means kept."""
