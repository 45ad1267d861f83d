"""Draw what each slot is for, and who may use it before and after each lock."""
