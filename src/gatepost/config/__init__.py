"""The operator's file: strict loading, and the schema put together from each room's own settings."""
