"""Screen and receive: the story of a message in one file."""
