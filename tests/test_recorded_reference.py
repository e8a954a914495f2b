# SPDX-License-Identifier: Apache-2.0
"""The reference figures: what the recorded runs give, where they are present."""

from __future__ import annotations

from pathlib import Path

import pytest

from smmulab.recordings import RecordingError, load_reference, open_recording
from smmulab.recordings import extract as extraction
from smmulab.recordings.map_costs import mapping_ops

TRACES = Path(__file__).parents[2] / "shared" / "traces"
with_runs = pytest.mark.skipif(
    not (TRACES / "runs").is_dir(), reason="no recorded runs beside the project (../shared/traces)"
)


@pytest.fixture(scope="module")
def figures() -> extraction.Figures:
    return extraction.extract(TRACES)


@with_runs
def test_shipped_reference_is_what_the_runs_give(figures: extraction.Figures) -> None:
    assert extraction.render(figures) == extraction.render(load_reference().raw)


@with_runs
def test_published_contention_counts(figures: extraction.Figures) -> None:
    """The traces' README gives, per shape, mutex begins on asid_lock and in all."""
    published = {
        "a_attach1_8dev_1hwpt": (5095, 5095),
        "b_spread_8dev_4hwpt": (2099, 2099),
        "c_ioas2_8dev_4hwpt": (2695, 2695),
        "c2_auto_8dev_2ioas": (604, 2991),
        "d_mapmix_4dev_4hwpt_4map": (380, 380),
        "e_group4_replace_4hwpt": (0, 1728),
        "e2_group4_plus4dev_replace_4hwpt": (905, 2636),
    }
    shapes = figures["contention"]["shapes"]
    for shape, (on_asid, total) in published.items():
        begins = {name: counts["begins"] for name, counts in shapes[shape]["mutex"].items()}
        assert (begins.get("asid_lock", 0), sum(begins.values())) == (on_asid, total), shape


@with_runs
def test_every_operation_has_its_lock_sequence(figures: extraction.Figures) -> None:
    run = open_recording(TRACES / "runs" / "B_lk_smp2.tar.xz")
    operations = sum(len(extraction.shape_ops(run, s).frame) for s in run.shapes("ops.txt"))
    sequences = figures["lock_sequences"]["sequences"]
    assert sum(s["n"] for kind in sequences.values() for s in kind) == operations
    for kind in ("attach", "detach", "replace_in_ioas", "replace_across_ioas", "map", "unmap"):
        assert len(sequences[kind]) == 1, kind


@with_runs
def test_map_threads_follow_their_seed() -> None:
    run = open_recording(TRACES / "runs" / "A_ic_smp2.tar.xz")
    log = extraction.shape_ops(run, "d3_maponly_4dev_1hwpt_4map")
    ops = mapping_ops(log)
    assert len(ops) == 1206
    assert set(ops["offset_pages"]) == {0, 1, 2, 3}
    assert ops["new_tables"].sum() == 42
    log.header.settings["seed"] += 1
    with pytest.raises(RecordingError, match="did not do what its seed gives"):
        mapping_ops(log)


# --- shipped figures


def test_reference_accessors() -> None:
    reference = load_reference()
    replace = reference.sequences("replace_in_ioas")[0]
    assert "{attach_device_to_domain}" in replace.words
    assert replace.locks()[:2] == ("+M dev_set->lock", "+S objects.xa_lock")
    assert replace.locks().count("+S devices_lock") == 2
    with pytest.raises(KeyError, match="no lock sequence recorded for 'fly'"):
        reference.sequences("fly")
    assert len(reference.shapes()) == 11
    assert reference.latency("b_spread_8dev_4hwpt", "replace_in_ioas").mode_ns == 6748 * 8
    assert set(reference.latencies("uncontended")["shape"]) == set(reference.shapes())
    shares = reference.contention()
    mutex = shares[shares["kind"] == "mutex"].groupby("shape")["share"].sum()
    assert mutex.to_numpy() == pytest.approx(1.0, abs=1e-5)
    assert reference.map_cost("map")["run_ns"] == pytest.approx(4760, rel=0.01)


def test_extract_reports_a_missing_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert extraction.main([str(tmp_path), "-o", str(tmp_path / "out")]) == 2
    assert "B_lk_smp2.tar.xz: no such recording" in capsys.readouterr().err
