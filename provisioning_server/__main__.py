"""`python -m provisioning_server` is the program `provisioning-server`."""

from provisioning_server.cli import main

main()
