"""Residual light curves: events divided out, noise left alone."""

from __future__ import annotations

import numpy as np
from synthetic_stars import START, dips, make_curve, make_tce

from trainyard.transit.events import cluster
from trainyard.transit.residual import residual_flux
from trainyard.transit.settings import MaskSettings, PlanSettings
from trainyard.transit.starmasks import StarMasks

NOISE = 5e-4


def removed(*tces, holes=(), noise=NOISE, planted=None):
    curve = make_curve(planted or tces, noise=noise, holes=holes, level=1.0)
    masks = StarMasks(curve.time, 1, cluster(tces, PlanSettings()), MaskSettings())
    return curve, masks, *residual_flux(curve.flux, curve.good, masks)


def test_frequent_events_leave_noise_alone():
    tce = make_tce(period=1.0, hours=2.0)
    curve, masks, flux, free = removed(tce)
    assert free.all()
    inside = masks.true_in_transit()
    assert np.abs(flux[inside].mean() - 1) < 1e-4
    assert 0.8 * NOISE < flux[inside].std() < 1.2 * NOISE
    outside = ~masks.all_dispositions()
    assert np.array_equal(flux[outside], curve.flux[outside])


def test_strong_secondaries_are_removed_and_weak_ones_left():
    tce = make_tce(period=1.0, hours=2.0, tce_maxmes=20.0, tce_maxmesd=0.4)
    both = [tce, make_tce(period=1.0, hours=2.0, epoch=START + 1.4)]
    _, _, flux, _ = removed(tce, planted=both, noise=0.0)
    assert np.allclose(flux, 1)
    weak = make_tce(period=1.0, hours=2.0, tce_maxmes=5.0, tce_maxmesd=0.4)
    _, _, flux, _ = removed(weak, planted=both, noise=0.0)
    assert np.allclose(flux, np.where(dips(START + np.arange(len(flux)) / 720, both[1:]) < 1, 0.99, 1))


def test_dips_that_only_another_period_tells_of_are_left_and_not_free():
    double, true = make_tce("7-1-S1", period=2.0), make_tce("7-1-S5", run="5", sectors=(5,), period=1.0)
    curve, masks, flux, free = removed(double, true, noise=0.0)
    between = np.abs((curve.time - START) % 2 - 1) > 0.5
    assert np.array_equal(~free, masks.all_dispositions() & between)
    assert np.allclose(flux[free], 1)
    assert np.array_equal(flux[~free], curve.flux[~free])


def test_events_whose_times_are_uncertain_are_removed_as_far_as_their_masks_reach():
    tce = make_tce(period=1.0, hours=2.0, errors=(1e-4, 5e-3))
    _, masks, flux, free = removed(tce, noise=0.0)
    wider = masks.all_dispositions().sum()
    assert wider > removed(make_tce(period=1.0, hours=2.0))[1].all_dispositions().sum()
    assert free.all()
    assert np.allclose(flux, 1)


def test_an_event_that_is_seen_once_or_twice_cannot_be_removed():
    """A profile of one event is the window itself; what is left would be quieter than any light curve."""
    tce = make_tce(period=7.0)
    curve, masks, flux, free = removed(tce)
    assert np.array_equal(flux, curve.flux)
    assert np.array_equal(free, ~masks.all_dispositions())


def test_bad_cadences_do_not_shape_the_profile():
    tce = make_tce(period=1.0, hours=2.0)
    curve, masks, _, _ = removed(tce, noise=0.0)
    spoilt = curve.flux.copy()
    bad = masks.true_in_transit() & (curve.time > START + 10)
    spoilt[bad] = 5.0
    flux, _ = residual_flux(spoilt, ~bad, masks)
    assert np.allclose(flux[~bad], 1)
