"""One plain function a command: the Python API, without printing."""
