# The commented session of `make demo`.
set width 110
echo # Which Python is this, and what does it hold?\n
echo (gdb) pyretain info\n
pyretain info
echo \n# What is its collector doing?\n
echo (gdb) pyretain gc\n
pyretain gc
echo \n# How many of what? Two classes of the shop lead, one of each per request ever served.\n
echo (gdb) pyretain census --match __main__\n
pyretain census --match __main__
echo \n# One of the sessions: it should have expired.\n
echo (gdb) pyretain find --type Session --limit 2\n
pyretain find --type Session --limit 2
echo (gdb) pyretain object $pyr1\n
pyretain object $pyr1
echo \n# Who keeps it alive?\n
echo (gdb) pyretain why $pyr1\n
pyretain why $pyr1
echo \n# And the other 39,999?\n
echo (gdb) pyretain why --type Session\n
pyretain why --type Session
echo \n# What would be freed with them?\n
echo (gdb) pyretain dominators --limit 3\n
pyretain dominators --limit 3
echo \n# What the threads do, meanwhile.\n
echo (gdb) pyretain threads\n
pyretain threads
echo \n# So: every session ever opened is still alive. They are all in one dict, the shop's\n
echo # SESSIONS, which nothing removes them from.\n
