"""Detection as code: rules in TOML files, a small condition language, and what a rule may know of a message.

A rule is a description, a condition and its worth. Conditions are typed, compiled once, and cannot hang the gate:
patterns run in linear time, all of a text's patterns in one pass, and every list has a bound. `docs/rules.md` tells how
to write one. Left out on purpose: variables, arithmetic, loops, and anything that changes the message.
"""
