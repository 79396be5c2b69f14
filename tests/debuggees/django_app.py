"""A Django site that has served requests: settings, models, the ORM, templates, URLs, middleware, signals."""
import sys
import types

import django
from django.conf import settings
from django.http import HttpResponse, JsonResponse
from django.urls import path

import oracle

settings.configure(
    DEBUG=False, SECRET_KEY="not secret", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], USE_TZ=True,
    INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions"],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}},
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.common.CommonMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
)
django.setup()

from django.contrib.auth.models import Group, User  # noqa: E402
from django.core.cache import cache  # noqa: E402
from django.core.management import call_command  # noqa: E402
from django.db.models import Count, Q, signals  # noqa: E402
from django.template import Context, Template  # noqa: E402
from django.test import Client  # noqa: E402

SEEN = []  # the leak: every request is kept


def index(request):
    SEEN.append(request)
    users = User.objects.filter(Q(username__startswith="u") | Q(is_staff=True)).annotate(n=Count("groups"))
    text = Template("{% for u in users %}{{ u.username|upper }} {% if u.n %}*{% endif %}{% endfor %}").render(
        Context({"users": users}))
    return HttpResponse(text)


def data(request, n):
    SEEN.append(request)
    return JsonResponse({"n": n, "users": list(User.objects.values("id", "username")[:n])})


urlpatterns = [path("", index), path("data/<int:n>/", data, name="data")]


def main():
    sys.modules.setdefault("site_under_test", types.ModuleType("site_under_test"))
    call_command("migrate", verbosity=0)
    signals.post_save.connect(lambda **kw: cache.set("last", kw["instance"].pk), sender=User, weak=False)
    groups = [Group.objects.create(name="g%d" % i) for i in range(5)]
    for i in range(40):
        user = User.objects.create(username="u%d" % i, email="u%d@example.org" % i)
        user.groups.set(groups[:i % 5])
    client = Client()
    responses = [client.get("/") for _ in range(3)] + [client.get("/data/%d/" % i) for i in range(8)]
    assert all(r.status_code == 200 for r in responses)
    loaded = list(User.objects.prefetch_related("groups"))
    oracle.finish({"seen": SEEN, "request": SEEN[0], "user": loaded[3], "users": loaded, "model": User,
                   "response": responses[0], "queryset": User.objects.filter(pk=1)})


main()
