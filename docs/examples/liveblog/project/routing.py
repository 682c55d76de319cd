from channels import include

routing = [include("blog.routing.routing")]
