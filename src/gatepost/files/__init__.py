"""What is in an attached file: parsers over octets, bounded, run in the sandboxed child."""
