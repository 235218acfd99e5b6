"""From TESS and Kepler archives to training sets of single-transit windows."""
