"""Reading stored events: `get` and `tail`, straight from JetStream over the routes' own connections."""
