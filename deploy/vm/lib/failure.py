"""What goes wrong and is told in one line."""


class Failure(Exception):
    pass
