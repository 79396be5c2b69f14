"""A service that made thumbnails: each picture is read whole, only a small preview is kept."""
import os, sys, time

PREVIEWS = {}


def thumbnail(name):
    picture = bytearray(os.urandom(1000) * 60)
    PREVIEWS[name] = bytes(picture[:1500])
    return picture


busy = [thumbnail("picture %d" % n) for n in range(2000)]  # a burst: all in flight at once
del busy
print("serving as process", os.getpid())
sys.stdout.flush()
time.sleep(600)
