from channels.binding.websockets import WebsocketBinding, WebsocketBindingWithMembers

from .models import Board, Widget


class OnBoardMixin:
    """What is on a board is told to those who look at it."""

    @classmethod
    def group_names(cls, instance):
        return ["board-%s" % instance.board.slug]


class WidgetBinding(OnBoardMixin, WebsocketBinding):
    model = Widget
    stream = "widgets"
    fields = ["board", "name", "value"]

    def has_permission(self, user, action, pk):
        if user.is_staff:
            return True
        if action == "create":
            return user.is_authenticated
        return user.is_authenticated and Widget.objects.filter(pk=pk, owner=user).exists()

    def create(self, data):
        board = Board.objects.get(pk=data["board"])
        Widget.objects.create(
            board=board, name=data["name"], value=data.get("value", 0), owner=self.user
        )


class ReportBinding(OnBoardMixin, WebsocketBindingWithMembers):
    model = "dashboard.Report"
    stream = "reports"
    fields = ["title", "state"]
    send_members = ["summary", "board.title"]

    def has_permission(self, user, action, pk):
        return False


class BoardBinding(WebsocketBinding):
    model = Board
    stream = "boards"
    exclude = ["token"]

    @classmethod
    def group_names(cls, instance):
        return ["board-%s" % instance.slug, "boards"]

    def has_permission(self, user, action, pk):
        return action == "update" and user.is_staff
