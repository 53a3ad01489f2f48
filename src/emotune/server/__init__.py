"""HTTP service of emotune: models that many clients share, within limits; the page, jobs and streams."""
