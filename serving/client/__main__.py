"""`python -m serving.client`."""

from serving import command
from serving.client import commands

if __name__ == "__main__":
    command.run(commands.main)
