"""The vocabulary: who connected, what they sent, what was found, what was decided. Pure data."""
