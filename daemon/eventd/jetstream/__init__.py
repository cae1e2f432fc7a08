"""The NATS side: connections that are watched, the JetStream API, and ways to publish."""
