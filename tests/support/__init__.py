"""What tests of every area lean on: a real nats-server, a proxy that spoils connections, waiting."""
