"""Names and answers, without sockets."""
