"""Translating with run folders: opening them, and translating in several processes, in shards and on Ray."""
