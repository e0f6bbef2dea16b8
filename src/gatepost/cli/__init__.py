"""The commands, one short file a group, without logic of their own."""
