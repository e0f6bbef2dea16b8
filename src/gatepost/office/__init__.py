"""What people may do here: every act once, with its right, its entry in the journal and its result, for console, API and commands."""
