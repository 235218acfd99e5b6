"""The meta-model: a classifier of rows, and an honest comparison with the base model on the same rows.

`data` and `feed` give rows, `learners` the models, `fit` trains one, `evaluate` scores it beside the base model
(`metrics`, `delta`, `importance`), `ablation` and `probes` ask what the scores rest on, `plots` draws them.
"""
