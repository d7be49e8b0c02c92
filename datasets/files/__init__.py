"""People's disks: which of their files are pictures, in which form, and who may write.

Below everything else, and light: the client of a served model imports it on every system.
"""
