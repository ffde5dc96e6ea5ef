"""Run the command line as `python -m nmt_cli`."""

from nmt_cli.cli.entry import main

if __name__ == "__main__":
    main()
