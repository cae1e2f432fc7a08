"""How well recall finds what was said: public sets of long conversations with questions and their evidence.

`PYTHONPATH=tests python -m benchmarks.recall FILE…` takes LongMemEval (.jsonl, .jsonl.gz) and LoCoMo
(.json) files; none is part of this project. Every conversation is an agent of its own, all of them in one
index.
"""
