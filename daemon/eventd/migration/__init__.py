"""From the files of an agent's workspace to events, and back."""
