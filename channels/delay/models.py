"""The messages that wait for their time."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

from django.db import models
from django.utils import timezone

from ..asgi import DEFAULT_CHANNEL_LAYER, channel_layers
from ..channel import Channel
from ..exceptions import ChannelLayerUnavailable
from .stored import dump, load

logger = logging.getLogger("django.channels")

#: The longest delay, in milliseconds: a hundred years. A longer one is a mistake (of the unit,
#: most likely), and its date may be more than a database or Python can hold.
MAX_DELAY = 100 * 365 * 24 * 3600 * 1000


class DelayedMessageQuerySet(models.QuerySet["DelayedMessage"]):
    def is_due(self) -> DelayedMessageQuerySet:
        """The messages whose time has come."""
        return self.filter(due_date__lte=timezone.now())


class ContentField(models.TextField):  # type: ignore[type-arg]
    """JSON text; a dict may be assigned as well, and is stored as JSON."""

    def get_prep_value(self, value: Any) -> Any:
        return super().get_prep_value(dump(value) if isinstance(value, dict) else value)

    def deconstruct(self) -> Any:
        # To the database it is a text field, so migrations need not know this class.
        name, _, args, kwargs = super().deconstruct()
        return name, "django.db.models.TextField", args, kwargs


class DelayedMessage(models.Model):
    """A message to send to ``channel_name`` at ``due_date``.

    ``content`` is JSON text, or a dict. Instead of ``due_date`` the ``delay`` may be given, in
    milliseconds from now.
    """

    due_date = models.DateTimeField(default=timezone.now)
    channel_name = models.CharField(max_length=512)
    content = ContentField()

    objects = DelayedMessageQuerySet.as_manager()

    class Meta:
        # The name and the columns that 1.x gave the table, so that its messages are kept.
        db_table = "channels.delay_delayedmessage"
        indexes = (models.Index(fields=["due_date"], name="channels_delay_due_date"),)

    _delay: float | None = None

    def __str__(self) -> str:
        return f"to {self.channel_name} at {self.due_date.isoformat()}"

    @property
    def delay(self) -> float | None:
        """Milliseconds from now until the message is due.

        Setting it sets ``due_date``; less than 0 means that it is due already. Reading it gives
        what was set, ``None`` for a message that comes from the database. Raises ``TypeError``
        for what is no number, ``ValueError`` for more than a hundred years.
        """
        return self._delay

    @delay.setter
    def delay(self, milliseconds: float) -> None:
        if not isinstance(milliseconds, int | float) or isinstance(milliseconds, bool):
            raise TypeError(f"a delay is a number of milliseconds, not {milliseconds!r}.")
        if not abs(milliseconds) <= MAX_DELAY:
            raise ValueError(
                f"a delay of {milliseconds!r} ms is too long, at most {MAX_DELAY} (a hundred "
                "years) can be kept."
            )
        self._delay = milliseconds
        self.due_date = timezone.now() + timedelta(milliseconds=milliseconds)

    def send(self, channel_layer: Any = None, requeue_delay: float = 1000) -> bool:
        """Send the message now and remove it from the database.

        ``channel_layer`` is the layer to send it to, by default that of the alias ``default``.
        While the channel is full, or the layer surely did not take the message, it stays, due
        again after ``requeue_delay`` milliseconds. Returns whether it was sent: of several
        processes that try at once, one sends it.

        The row is deleted *before* the message is sent, so a message is never sent twice. The
        price: it is lost when the process is killed in the moment between. (In a transaction
        that is rolled back the row comes back although the message was sent: call it outside.)
        For the same reason it is not kept when it may have arrived although the layer gave no
        answer (``ChannelLayerUnavailable``). Nor is it when the layer refuses it: ``TypeError``
        (its name for the channel), ``ValueError`` (a content that is no JSON object),
        ``MessageTooLarge``.
        """
        if self.pk is None:
            raise ValueError(f"The message {self} is not in the database: save() it first.")
        layer = channel_layers[DEFAULT_CHANNEL_LAYER] if channel_layer is None else channel_layer
        if not self._claim():
            return False
        content = self.content if isinstance(self.content, dict) else load(self.content)
        try:
            Channel(self.channel_name, channel_layer=layer).send(content, immediately=True)
        except (layer.ChannelFull, ChannelLayerUnavailable) as error:
            if getattr(error, "may_have_arrived", False):
                raise
            logger.info("Sent again in %s ms: %s", requeue_delay, error)
            self.delay = requeue_delay
            self.save(force_insert=True)
            return False
        return True

    def _claim(self) -> bool:
        """Take the row out of the database; ``False`` when another process was faster.

        A DELETE tells exactly one process that it removed the row, on every database. A row
        lock held until after the send would not do: a server that dies before its transaction
        commits would leave a message that was sent already.
        """
        deleted, _ = DelayedMessage.objects.filter(pk=self.pk).delete()
        if not deleted:
            return False
        self._state.adding = True
        return True
