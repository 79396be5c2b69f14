# The commented session of `make demo`.
set width 110
echo # Which Python is this, and what does it hold?\n
echo (gdb) pyretain info\n
pyretain info
echo \n# What is its collector doing?\n
echo (gdb) pyretain gc\n
pyretain gc
echo \n# How many of what? Two classes of the shop lead, one of each per request ever served.\n
echo (gdb) pyretain census --match shop|__main__ --limit 5\n
pyretain census --match __main__
echo \n# One of the sessions: it should have expired.\n
echo (gdb) pyretain find --type Session --limit 2\n
pyretain find --type Session --limit 2
echo (gdb) pyretain object $pyr1\n
pyretain object $pyr1
echo \n# And what the threads do.\n
echo (gdb) pyretain stack 2\n
pyretain stack 2
