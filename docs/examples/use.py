import fastcache

class Row:
    def __init__(self, key):
        self.key = key

def load(key):
    row = Row(key)
    fastcache.remember(row)

load("a")
load("b")
