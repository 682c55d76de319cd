"""Tools for testing projects that use channels."""
