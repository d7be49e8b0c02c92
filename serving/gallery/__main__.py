"""`python -m serving.gallery`."""

from serving import command
from serving.gallery import command_line

if __name__ == "__main__":
    command.run(command_line.main)
