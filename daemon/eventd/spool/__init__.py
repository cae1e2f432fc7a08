"""Where events wait that no daemon could take: small files in a folder of the user."""
