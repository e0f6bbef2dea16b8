"""The only place that knows concrete classes: wires the rooms together, starts and stops everything."""
