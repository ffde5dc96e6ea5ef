"""Typer's face of the commands: parse, call one function, print, exit."""
