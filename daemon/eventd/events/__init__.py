"""What a stored event says, whoever wrote it: one normal form over the shapes that are found in streams."""
