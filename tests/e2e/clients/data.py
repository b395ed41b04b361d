"""What the scripts beside this one share: rows of the digits data set, and how they say what went wrong."""

import csv

import numpy


def rows(path, count):
    with open(path, newline="") as file:
        lines = list(csv.reader(file))[1 : count + 1]
    return numpy.array([[float(cell) for cell in line[:-1]] for line in lines], dtype=numpy.float32)


def same(found, expected, what):
    assert numpy.array_equal(found, expected), f"{what}: {found} is not {expected}"


def refused(call, *words):
    """The text of the error that a call must end with, in which each of the words must stand."""
    try:
        call()
    except Exception as error:
        text = str(error)
        for word in words:
            assert word in text, f"{word!r} is not in {text!r}"
        return text
    raise AssertionError(f"expected an error with {words}")
