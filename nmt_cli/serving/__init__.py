"""Translating over HTTP: the server of `nmt serve`, its API and its page. Imports no torch; engines run in workers."""
