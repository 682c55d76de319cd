from django.db import migrations, models


class Migration(migrations.Migration):
    """By itself, so that a table of 1.x gets the index too."""

    dependencies = (("channels_delay", "0001_initial"),)

    operations = (
        migrations.AddIndex(
            model_name="delayedmessage",
            index=models.Index(fields=["due_date"], name="channels_delay_due_date"),
        ),
    )
