"""How likely is a message unwanted? Features, two learners, their calibration and evaluation; pure."""
