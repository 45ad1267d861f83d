"""The control channel: how a command reaches the server that holds its data folder."""
