"""What real parts answer: questions about the open points, recordings, and their replay against a software chip."""
