import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):
    """The table as 1.x made it: where it exists, ``migrate --fake-initial`` takes it over."""

    initial = True

    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="DelayedMessage",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("due_date", models.DateTimeField(default=django.utils.timezone.now)),
                ("channel_name", models.CharField(max_length=512)),
                ("content", models.TextField()),
            ],
            options={"db_table": "channels.delay_delayedmessage"},
        ),
    )
