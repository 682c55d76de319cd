from django.urls import path

from . import views

urlpatterns = [
    path("upload/<slug:slug>/", views.upload),
    path("visit/", views.visit),
    path("change/<int:pk>/", views.change),
    path("viewers/<slug:slug>/", views.viewers),
]
