"""Lets events be forgotten: answers the request, and sees to it that they stay forgotten."""
