"""Things the clock starts: retention, watermarks, list health, alerts."""
