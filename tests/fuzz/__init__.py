"""Arbitrary messages against whole projects, through workers."""
