"""Our descriptors beside openSMILE's eGeMAPSv02, one by one, over the clips of a manifest.

    pip install opensmile
    python benchmarks/descriptors.py MANIFEST OUT.json [SMILE.csv]

Printed are the correlations over clips of each descriptor with the functional that it follows, of which spread is first
brought from its share of the mean to a standard deviation. A table of functionals, with one row a clip under its
``utterance_id``, stands in for openSMILE where that runs in another environment. openSMILE is free for research alone:
nothing in the package needs it.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotune.audio import SAMPLING_RATE_HZ
from emotune.descriptors.descriptor_set import NAMES, descriptors
from emotune.io.tables import read_rows, to_json
from emotune.schema.manifest import Manifest

_MELODY = {
    "mean": "amean", "std": "stddevNorm", "p20": "percentile20.0", "p50": "percentile50.0", "p80": "percentile80.0",
    "p20_p80_range": "pctlrange0-2", "rise_mean": "meanRisingSlope", "rise_std": "stddevRisingSlope",
    "fall_mean": "meanFallingSlope", "fall_std": "stddevFallingSlope",
}  # fmt: skip
_FRAMES = {
    "flux": "spectralFlux_sma3", "jitter": "jitterLocal_sma3nz", "shimmer_db": "shimmerLocaldB_sma3nz",
    "harmonics_to_noise_db": "HNRdBACF_sma3nz", "h1_h2_db": "logRelF0-H1-H2_sma3nz",
    "h1_a3_db": "logRelF0-H1-A3_sma3nz",
    **{f"mfcc{n}": f"mfcc{n}_sma3" for n in range(1, 5)},
    **{f"f{n}_hz": f"F{n}frequency_sma3nz" for n in range(1, 4)},
    **{f"f{n}_bandwidth_hz": f"F{n}bandwidth_sma3nz" for n in range(1, 4)},
    **{f"f{n}_level_db": f"F{n}amplitudeLogRelF0_sma3nz" for n in range(1, 4)},
    "alpha_ratio_db_voiced": "alphaRatioV_sma3nz", "hammarberg_index_db_voiced": "hammarbergIndexV_sma3nz",
    "slope_0_500_db_per_khz_voiced": "slopeV0-500_sma3nz", "slope_500_1500_db_per_khz_voiced": "slopeV500-1500_sma3nz",
    "flux_voiced": "spectralFluxV_sma3nz", **{f"mfcc{n}_voiced": f"mfcc{n}V_sma3nz" for n in range(1, 5)},
    "alpha_ratio_db_unvoiced": "alphaRatioUV_sma3nz", "hammarberg_index_db_unvoiced": "hammarbergIndexUV_sma3nz",
    "slope_0_500_db_per_khz_unvoiced": "slopeUV0-500_sma3nz",
    "slope_500_1500_db_per_khz_unvoiced": "slopeUV500-1500_sma3nz", "flux_unvoiced": "spectralFluxUV_sma3nz",
}  # fmt: skip
_TIMING = {
    "loudness_peaks_per_s": "loudnessPeaksPerSec", "voiced_segments_per_s": "VoicedSegmentsPerSec",
    "voiced_segment_s_mean": "MeanVoicedSegmentLengthSec", "voiced_segment_s_std": "StddevVoicedSegmentLengthSec",
    "unvoiced_segment_s_mean": "MeanUnvoicedSegmentLength", "unvoiced_segment_s_std": "StddevUnvoicedSegmentLength",
    "level_db": "equivalentSoundLevel_dBp",
}  # fmt: skip


def functional_of(name: str) -> str:
    """The functional of eGeMAPSv02 that one of our descriptors follows."""
    for prefix, theirs in (("pitch_semitones_", "F0semitoneFrom27.5Hz_sma3nz"), ("loudness_", "loudness_sma3")):
        if name.removeprefix(prefix) in _MELODY and name.startswith(prefix):
            return f"{theirs}_{_MELODY[name.removeprefix(prefix)]}"
    if name in _TIMING:
        return _TIMING[name]
    frame, _, statistic = name.rpartition("_")
    return f"{_FRAMES[frame]}_{'amean' if statistic == 'mean' else 'stddevNorm'}"


def smiled(manifest: Manifest, table: Path | None) -> dict[str, dict[str, float]]:
    """The functionals of each clip by its id."""
    if table is not None:
        rows = {str(row.pop("utterance_id")): row for row in map(dict, read_rows(table))}
        return {name: {key: float(value) for key, value in row.items()} for name, row in rows.items()}
    import opensmile

    extractor = opensmile.Smile(opensmile.FeatureSet.eGeMAPSv02, opensmile.FeatureLevel.Functionals)
    return {
        u.utterance_id: dict(extractor.process_signal(manifest.clip_of(u).samples, SAMPLING_RATE_HZ).iloc[0])
        for u in manifest
    }


def correlation(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> float:
    """Pearson's correlation over the clips of which both are known."""
    known = np.isfinite(ours) & np.isfinite(theirs)
    return float(np.corrcoef(ours[known], theirs[known])[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("smile", type=Path, nargs="?")
    arguments = parser.parse_args()
    manifest = Manifest.read(arguments.manifest)
    theirs = smiled(manifest, arguments.smile)
    kept = [utterance for utterance in manifest if utterance.utterance_id in theirs]
    ours = np.array([descriptors(manifest.clip_of(u).samples, SAMPLING_RATE_HZ) for u in kept])
    found: dict[str, float] = {}
    for column, name in enumerate(NAMES):
        functional = functional_of(name)
        values = np.array([theirs[u.utterance_id][functional] for u in kept])
        if functional.endswith("stddevNorm"):
            mean = functional.replace("stddevNorm", "amean")
            values = values * np.array([theirs[u.utterance_id][mean] for u in kept])
        found[name] = correlation(ours[:, column], values)
    ranked = sorted(found.items(), key=lambda item: item[1])
    summary = {f"q{share}": float(np.nanpercentile(list(found.values()), share)) for share in (10, 25, 50, 75, 90)}
    result = {"clips": len(kept), "correlation": found, "quantiles": summary}
    arguments.out.write_text(to_json(result) + "\n", encoding="utf-8")
    print("\n".join(f"{name} {value:.3f}" for name, value in ranked))
    print(summary, len(kept))


if __name__ == "__main__":
    main()
