"""What is known about the tools that events come from, for all who read from them: hooks and importers."""
