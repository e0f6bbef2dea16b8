"""The console: pages drawn on the server, useful without JavaScript, in English and Japanese, with a strict CSP."""
