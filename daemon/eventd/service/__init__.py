"""What the service manager (systemd, launchd) is told, and what it sees of the daemon's life."""
