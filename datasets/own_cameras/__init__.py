"""A user's own pictures as a data set: a folder of crops, or a table that names them.

Light: the gallery names the cameras of its pictures by the same rules.
"""
