from django.urls import path

from . import views

urlpatterns = [
    path("", views.index),
    path("login/", views.log_in),
    path("say/<slug:slug>/", views.say),
    path("poll/<slug:slug>/", views.poll),
    path("api/who/<slug:slug>/", views.who),
]
