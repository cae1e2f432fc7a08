"""The `eventd` command: one module per command, imported when the command is used."""
