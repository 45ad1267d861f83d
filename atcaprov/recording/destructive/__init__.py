"""Destructive questions: a blank chip is set up and permanently locked for them, and is scrap afterwards."""
