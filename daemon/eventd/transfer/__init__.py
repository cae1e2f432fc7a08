"""Events on their way out of eventd and into it: the format of their files, and what becomes of each line."""
