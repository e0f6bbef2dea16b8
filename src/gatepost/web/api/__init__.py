"""The JSON API: the office's acts for programs, by scoped bearer tokens; small, typed and versioned."""
