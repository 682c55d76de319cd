from django.db import migrations, models


class Migration(migrations.Migration):
    initial = True
    dependencies = ()
    operations = (
        migrations.CreateModel(
            name="Post",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True,
                        primary_key=True,
                        serialize=False,
                        verbose_name="ID",
                    ),
                ),
                ("title", models.CharField(max_length=100)),
                ("text", models.TextField(max_length=5000)),
                (
                    "publish_at",
                    models.DateTimeField(
                        blank=True,
                        help_text="Empty: a draft. Later than now: scheduled.",
                        null=True,
                        verbose_name="publish at",
                    ),
                ),
                ("words", models.PositiveIntegerField(default=0, editable=False)),
                ("changed", models.DateTimeField(auto_now=True)),
            ],
            options={"ordering": ("-publish_at", "-pk")},
        ),
    )
