"""What mail that came in and mail that goes out have in common once it is judged: keep it, answer, put it on record."""
