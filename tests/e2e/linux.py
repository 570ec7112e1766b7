"""Options of sockets that Linux's headers have and Python's socket module lacks."""

SO_RCVBUFFORCE = 33

IP_MTU_DISCOVER, IP_RECVERR, IP_RECVTTL, IP_RECVTOS = 10, 11, 12, 13
# The values of IP_MTU_DISCOVER.
DONT, WANT, DO, PROBE = 0, 1, 2, 3
MSG_ERRQUEUE = 0x2000
