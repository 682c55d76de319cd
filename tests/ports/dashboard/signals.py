from channels.signals import worker_process_ready, worker_ready

from .models import WorkerStart


def note_start(sender, **kwargs):
    kind = "process" if kwargs["signal"] is worker_process_ready else "worker"
    WorkerStart.objects.create(kind=kind)


worker_ready.connect(note_start)
worker_process_ready.connect(note_start)
