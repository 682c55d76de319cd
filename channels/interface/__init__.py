"""The interface server: an ASGI 3 application that turns sockets' events into messages.

It runs no project code but settings, so that workers may be restarted while every socket
stays open. ``application`` is the entrance; only ``server`` imports an ASGI server.
"""
