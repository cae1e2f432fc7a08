"""`eventd doctor`: looks at everything between an agent and its stream from outside, and says what to do."""
