"""The Provisioning Client: board after board, with a console for the operator or JSON lines for a script."""
