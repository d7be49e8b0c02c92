"""Tells what is in your pictures, what will go wrong, what to do: `python -m arn_tf.inspect crops/`

For a folder of crops, or a table of them (CSV). Nothing is trained and nothing is written, but what
is asked for. The exit status is 1 where training can't work with them, else 0.

    python -m arn_tf.inspect crops/ --names='{camera}/{tracklet}/{*}' --contact_sheets=sheets
"""

import sys

from absl import flags

from arn_tf.run import command_line, streams


def main(path: str) -> None:
    """Inspects the folder or table, and ends the program with the exit status."""
    from arn_tf.inspection import command

    arguments = flags.FLAGS
    try:
        status = command.inspect(
            path, arguments.names, arguments.source, arguments.json, arguments.contact_sheets
        )
    except KeyboardInterrupt:
        streams.warn("\nstopped; nothing is left to go on with")
        status = 130
    sys.exit(status)


if __name__ == "__main__":
    flags.DEFINE_string(
        "names",
        "",
        "what the paths in the folder mean, like '{camera}/{tracklet}/{*}.jpg'; a guess, which is "
        "printed, when empty",
    )
    flags.DEFINE_string(
        "source",
        "",
        "labelled folder, table or data set to compare with, or several, separated by commas: "
        "whether pictures are in both",
    )
    flags.DEFINE_string("json", "", "file to write the same facts into, for programs")
    flags.DEFINE_string(
        "contact_sheets", "", "folder to write a picture of evenly spread crops of each camera into"
    )
    command_line.run(main, argument="the folder of your pictures, or a table of them")
