import os, threading, time, shop

def die():
    while len(shop.SESSIONS) < 40000:
        time.sleep(1)
    time.sleep(1)
    os.abort()

threading.Thread(target=die, name="watchdog").start()
shop.main()
