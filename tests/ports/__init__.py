"""Projects as people wrote them for Channels 1.x, in its idiom, with tests in its idiom.

Only what today's Django asks for is new in them: ``path``, ``on_delete``, ``is_authenticated``
without brackets. They run as projects of their own; see ``test_ports.py``.
"""
