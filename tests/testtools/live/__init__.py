"""A project whose own test suite uses the live server; see ``test_liveserver.py``."""
