"""Messages that are sent later: an optional app with its own server, ``rundelay``."""
