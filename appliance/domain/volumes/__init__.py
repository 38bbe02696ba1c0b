"""The folders for content and the drives under them: what is known of each, and what is wrong with it."""
