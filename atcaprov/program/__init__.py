"""What every program of the project needs: start, signals, exit codes, console text, care for secrets."""
