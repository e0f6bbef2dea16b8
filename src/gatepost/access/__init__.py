"""Who may enter, and what they may do there: pure verification, without a clock, randomness or a database."""
