from channels import include

routing = [include("chat.routing.routing", path=r"^/chat")]
