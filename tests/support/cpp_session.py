"""Runs a SavedModel as TensorFlow Serving does: a C++ session, no check of Python's before it.

In a process of its own, since without guards a wrong request aborts it.
"""

import pathlib
import pickle
import sys
import tempfile

from tests.support.program import Program


def outcomes(folder, cases):
    """Runs requests one after the other.

    Args:
        folder: of the SavedModel.
        cases: [(signature, {input: NumPy array})].

    Returns:
        for each {output: NumPy array}, or the error's text as "Class: message".
    """
    with tempfile.TemporaryDirectory() as exchange:
        files = [pathlib.Path(exchange, name) for name in ("cases", "outcomes")]
        files[0].write_bytes(pickle.dumps(cases))
        program = Program([sys.executable, __file__, folder, *files])
        _, err = program.communicate(timeout=300)
        assert program.returncode == 0, err[-2000:]
        return pickle.loads(files[1].read_bytes())


def _run(folder, cases):
    import tensorflow as tf
    from tensorflow.python.client import pywrap_tf_session

    session = tf.compat.v1.Session(graph=tf.Graph())
    with session.graph.as_default():
        definitions = tf.compat.v1.saved_model.load(session, ["serve"], folder).signature_def

    def output_of(tensor):
        return session.graph.get_tensor_by_name(tensor.name)._as_tf_output()

    found = []
    for signature, inputs in cases:
        definition = definitions[signature]
        feed = {output_of(definition.inputs[name]): value for name, value in inputs.items()}
        fetch = [output_of(tensor) for tensor in definition.outputs.values()]
        try:
            # Session.run would check dtype and shape in Python.
            values = pywrap_tf_session.TF_SessionRun_wrapper(
                session._session, None, feed, fetch, [], None
            )
            found.append(dict(zip(definition.outputs, values, strict=True)))
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


if __name__ == "__main__":
    result = _run(sys.argv[1], pickle.loads(pathlib.Path(sys.argv[2]).read_bytes()))
    pathlib.Path(sys.argv[3]).write_bytes(pickle.dumps(result))
