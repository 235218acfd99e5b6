"""The torch consumer: 3-D networks that show the set can be learned from.

`models` are the networks, `data` feeds them, `fit` trains one (`schedule` says when a rate falls and when to stop,
`storage` keeps what must outlive a kill), `evaluate` scores it against `baselines`, with `metrics`, `strata` and
`importance`, and `plots` draws the scores.
"""
