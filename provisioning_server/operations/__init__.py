"""What the people and programs that run the server see of it: metrics, readiness, the service manager."""
