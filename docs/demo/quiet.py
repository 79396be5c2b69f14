"""A service that switched the collector off for its pauses."""
import gc, os, sys, time

gc.disable()  # no pauses, please


class Basket:
    def __init__(self, user):
        self.user = user
        self.lines = []

    def add(self, article):
        self.lines.append(Line(self, article))


class Line:
    def __init__(self, basket, article):
        self.basket = basket
        self.article = article


class Report:
    def render(self, row):
        try:
            return row["total"] / row["count"]
        except Exception as error:
            self.error = error


def serve(number):
    basket = Basket("user%d" % number)
    for article in range(number % 5):
        basket.add(article)
    if number % 10 == 0:
        Report().render({"total": 1, "count": 0})


for number in range(20000):
    serve(number)
print(os.getpid(), flush=True)
time.sleep(600)
