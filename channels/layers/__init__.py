"""The channel layers that come with the library; none of them needs Django."""
