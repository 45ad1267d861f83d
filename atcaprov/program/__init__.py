"""What all four programs share: entry point, signals, exit codes, console text, log, protection of secrets."""
