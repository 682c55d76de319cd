"""The signals that the library sends."""

from django.dispatch import Signal

#: Sent before a consumer runs; the sender is the worker's class. Keyword: ``environ`` (a dict).
consumer_started = Signal()

#: Sent after a consumer ended, also when it raised; the sender is the worker's class.
consumer_finished = Signal()

#: Sent when a worker is about to receive its first message; the sender is the worker.
worker_ready = Signal()

#: Sent once in a process that runs workers, before the first of them is ready; the sender
#: is the worker or the worker group.
worker_process_ready = Signal()
