"""What real chips answer: questions about the open points, recordings, and their replay on a software chip."""
