"""Getting mail out: routes, schedule, delivery reports and the runner that carries them out."""
