"""The examples of one sector of a star, made in a test."""

from __future__ import annotations

from collections import Counter

import numpy as np
from synthetic_stars import make_curve, make_file

from trainyard.transit.detrend import Detrended
from trainyard.transit.events import cluster
from trainyard.transit.images import WindowImages
from trainyard.transit.reasons import Reason
from trainyard.transit.sector import Sector
from trainyard.transit.settings import BuildSettings, PlanSettings
from trainyard.transit.star import OWN, SectorBuilder
from trainyard.yard.ledger import Ledger

BLANK = np.zeros((33, 33), dtype=np.float32)
IMAGES = WindowImages(BLANK, BLANK, BLANK, BLANK, target_pos=(16, 16), camera_pixels=np.arange(0, 1089, 9))
NO_SPARES = {"negatives": {"spare_per_sector": 0}}
ALONE = {"negatives": {"spare_per_sector": 0, "per_in_transit": 0}}


class Built:
    """What a sector has come to."""

    def __init__(self, tces, *, curve=None, images_of=None, plan=None, number=1, unmasked=(), **options):
        plan, options = PlanSettings(**(plan or {})), BuildSettings(**options)
        events = cluster(tces, plan)
        self.curve = curve if curve is not None else make_curve(tces)
        median = np.full(self.curve.flux.shape, np.median(self.curve.flux))
        detrended = Detrended(self.curve.flux / median, median, "off", float("nan"), None)
        self.sector = Sector(make_file(sector=number), self.curve, detrended, events, options)
        self.ledger = Ledger("transit", Reason)
        builder = SectorBuilder(
            self.sector, images_of or (lambda *_: None), plan, options, self.ledger, unmasked=unmasked
        )
        self.examples = builder.examples(events)
        self.tally = builder.tally
        self.ledger.check()

    @property
    def in_transit(self):
        return [example for example in self.examples if example.transit_example]

    def negatives(self, origin=OWN):
        return [e for e in self.examples if not e.transit_example and e.origin == origin]

    def times(self, examples=None):
        return [example.window.centre for example in (self.in_transit if examples is None else examples)]

    def rejected(self, kind="event"):
        return Counter(row["reason"] for row in self.ledger.rejections if row["kind"] == kind)
