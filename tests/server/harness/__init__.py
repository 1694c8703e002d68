"""Throw-away real servers: a PostgreSQL cluster, a Postfix that loads our plugin, and clients for them.

Only the standard library is used, so that contrib/demo.sh can drive the same code as the tests.
"""
