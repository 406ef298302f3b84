"""The tiny Segment Anything checkpoint of the tests: what each tensor is made of. checkpoints.py writes it."""

import math

import numbers_by_hash as numbers


def values(name, shape, seed):
    """Random everything, biases and positions too: zeros would hide what is left out."""
    deviation, mean = 1.0, 0.0
    if "gaussian" in name:
        pass
    elif len(shape) == 1 and name.endswith("weight"):  # of a norm
        deviation, mean = 0.25, 1.0
    elif len(shape) < 2:
        deviation = 0.3
    else:
        deviation = 1.5 / math.sqrt(math.prod(shape[1:]))
    return numbers.bell(f"sam {seed}/{name}", math.prod(shape), deviation, mean)


def file_tensors(shapes, seed):
    """{name: (type, shape, bytes)} for {name: shape}."""
    return {name: ("f16", shape, numbers.as_f16(values(name, shape, seed))) for name, shape in shapes.items()}
