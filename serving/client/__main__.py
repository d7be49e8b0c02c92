"""`python -m serving.client`."""

from serving import command
from serving.client import command_line

if __name__ == "__main__":
    command.run(command_line.main)
