"""relviz.studies.layers: probes against scikit-learn's, intervals against a plain bootstrap."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score

from relviz.studies import layers

RNG = np.random.default_rng(0)
TALKERS = [f"t{i:02}" for i in range(20) for _ in range(3)]
UNITS = RNG.normal(2.0, [1.0, 5.0, 0.1, 1.0], (60, 4))
VALUES = UNITS @ [[1.0, 0.0], [0.0, 0.3], [4.0, 0.0], [0.0, 0.0]] + RNG.normal(0, 0.5, (60, 2))


def gcv(x, y, penalty):
    """Generalised cross-validation, with the hat matrix written out."""
    hat = x @ np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T) + 1 / len(x)
    residual = y - hat @ y
    return (residual @ residual) / np.trace(np.eye(len(x)) - hat) ** 2


def test_probe_equals_scikit_learn_fold_by_fold():
    read = layers.probe(UNITS, VALUES, TALKERS, folds=4)
    fold = np.repeat(np.arange(20) % 4, 3)
    for k in range(4):
        train, test = fold != k, fold == k
        mean = UNITS[train].mean(0)
        scale = (UNITS[train] - mean).std()
        x, new = (UNITS[train] - mean) / scale, (UNITS[test] - mean) / scale
        for column in range(2):
            y = VALUES[train, column]
            penalty = min(layers.PENALTIES, key=lambda p, x=x, y=y: gcv(x, y, p))
            expected = Ridge(alpha=penalty).fit(x, y).predict(new)
            np.testing.assert_allclose(read[test, column], expected, rtol=1e-8)


def test_one_value_reads_as_several_do():
    both = layers.probe(UNITS, VALUES, TALKERS)
    np.testing.assert_allclose(layers.probe(UNITS, VALUES[:, 1], TALKERS), both[:, 1])


def test_more_units_than_tokens_and_a_dead_unit():
    units = np.hstack([UNITS, np.zeros((60, 1)), RNG.normal(size=(60, 100))])
    assert np.isfinite(layers.probe(units, VALUES, TALKERS)).all()


def test_what_is_not_there_is_not_read():
    """Random units say nothing of new talkers, though they fit 60 tokens perfectly."""
    units, values = RNG.normal(size=(60, 200)), np.repeat(RNG.normal(size=20), 3)
    assert layers.explained(values, layers.probe(units, values, TALKERS), TALKERS).value < 0.2


def test_explained_is_r2_with_a_bootstrap_over_talkers():
    read = layers.probe(UNITS, VALUES[:, 0], TALKERS)
    found = layers.explained(VALUES[:, 0], read, TALKERS, draws=4000)
    assert found.value == pytest.approx(r2_score(VALUES[:, 0], read))
    talkers = np.random.default_rng(5).integers(0, 20, (4000, 20))
    drawn = np.arange(60).reshape(20, 3)[talkers].reshape(4000, 60)
    scores = r2_score(VALUES[drawn, 0].T, read[drawn].T, multioutput="raw_values")
    assert [found.low, found.high] == pytest.approx(np.quantile(scores, [0.025, 0.975]), abs=0.02)


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"units \(60,\), values \(60, 2\) and 60 talkers do not fit", dict(units=UNITS[:, 0])),
        (r"units \(59, 4\), values", dict(units=UNITS[1:])),
        ("and 2 talkers do not fit", dict(talkers=["a", "b"])),
        ("units or values hold NaN: leave these", dict(values=np.full(60, np.nan))),
        ("20 talkers make no 21 folds", dict(folds=21)),
        ("20 talkers make no 1 folds", dict(folds=1)),
    ],
)
def test_what_cannot_be_right_is_refused(message, call):
    with pytest.raises(ValueError, match=message):
        layers.probe(**(dict(units=UNITS, values=VALUES, talkers=TALKERS) | call))
