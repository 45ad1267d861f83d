"""Read configuration zones in the forms in which people have them: text in, 128 bytes with their places out."""
