from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404

from channels import Channel, channel_layers

from .models import Board, Report, Widget


def upload(request, slug):
    board = get_object_or_404(Board, slug=slug)
    report = Report.objects.create(board=board, title=request.FILES["file"].name)
    Channel("thumbnails").send({"report": str(report.pk), "board": slug})
    return JsonResponse({"report": report.pk}, status=202)


def visit(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(str(request.session["visits"]))


def change(request, pk):
    """Change a widget from outside; those who look at its board see it."""
    widget = get_object_or_404(Widget, pk=pk)
    widget.value = int(request.POST["value"])
    widget.save()
    return HttpResponse("ok")


def viewers(request, slug):
    return HttpResponse(str(len(channel_layers["default"].group_channels("board-%s" % slug))))
