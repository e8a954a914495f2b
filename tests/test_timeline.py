# SPDX-License-Identifier: Apache-2.0
"""`smmulab timeline`, decoded with Perfetto's own message classes, and `.hgrm` files against
HdrHistogram's own counting."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hdrh.histogram import HdrHistogram
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

import smmulab
from conftest import CROSSING, SMALL, TRACES
from smmulab.cli import main
from smmulab.percentiles import hgrm

RECORDED = TRACES / "A_ic_smp2-b_spread_8dev_4hwpt.iotrace.zst"
SETTINGS = {"machine.cpus": 2, "machine.pinning": "spread"}


@dataclass
class Slice:
    name: str
    begin: int
    end: int | None = None
    depth: int = 0


@dataclass
class Decoded:
    """Tracks by name: their slices, instants (ns, name, flows started, flows ended), counts."""

    parents: dict[str, str] = field(default_factory=dict)
    slices: dict[str, list[Slice]] = field(default_factory=lambda: defaultdict(list))
    instants: dict[str, list[tuple[int, str, list[int], list[int]]]] = field(
        default_factory=lambda: defaultdict(list)
    )
    counts: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))

    def under(self, group: str) -> list[str]:
        return [name for name, parent in self.parents.items() if parent == group]


def decode(path: Path) -> Decoded:
    trace = Trace()
    trace.ParseFromString(path.read_bytes())
    found = Decoded()
    tracks: dict[int, str] = {}
    names: dict[int, str] = {}
    stacks: dict[str, list[Slice]] = defaultdict(list)
    assert trace.packet[0].sequence_flags == 1  # incremental state cleared
    for packet in trace.packet:
        assert packet.trusted_packet_sequence_id == 1
        if packet.HasField("track_descriptor"):
            about = packet.track_descriptor
            tracks[about.uuid] = about.name
            found.parents[about.name] = tracks.get(about.parent_uuid, "")
            continue
        for entry in packet.interned_data.event_names:
            names[entry.iid] = entry.name
        event, time = packet.track_event, packet.timestamp
        track = tracks[event.track_uuid]
        stack = stacks[track]
        match event.type:
            case TrackEvent.TYPE_SLICE_BEGIN:
                stack.append(Slice(names[event.name_iid], time, None, len(stack)))
                found.slices[track].append(stack[-1])
            case TrackEvent.TYPE_SLICE_END:
                stack.pop().end = time
            case TrackEvent.TYPE_INSTANT:
                flows = list(event.flow_ids), list(event.terminating_flow_ids)
                found.instants[track].append((time, names[event.name_iid], *flows))
            case TrackEvent.TYPE_COUNTER:
                found.counts[track].append((time, event.counter_value))
    return found


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Decoded, dict[str, object]]:
    path = tmp_path_factory.mktemp("timeline") / "t.perfetto-trace"
    result = smmulab.timeline(RECORDED, path, "igroup", set=SETTINGS)
    return decode(path), result


def test_every_operation_is_a_slice(recorded: tuple[Decoded, dict[str, object]]) -> None:
    found, result = recorded
    outermost = [s for track in found.under("Threads") for s in found.slices[track] if not s.depth]
    operations = [s for s in outermost if s.name not in ("asleep", "preempted")]
    assert len(operations) == result["operations"]
    assert all(s.end is not None and s.end >= s.begin for s in operations)
    assert any(s.name.startswith("replace dev=3") for s in operations)


def test_waits_add_up_to_blame(recorded: tuple[Decoded, dict[str, object]]) -> None:
    found, _ = recorded
    waits: dict[str, list[int]] = defaultdict(list)
    for track in found.under("Threads"):
        for s in found.slices[track]:
            if s.name.startswith("waits for "):
                assert s.end is not None
                waits[s.name.removeprefix("waits for ")].append(s.end - s.begin)
    expected: dict[str, int] = defaultdict(int)
    for row in smmulab.blame(RECORDED, "igroup", set=SETTINGS).rows:
        if row["kind"] != "cpu":
            expected[row["awaited"]] += row["total_ps"]
    assert set(waits) == set(expected)
    for name, durations in waits.items():
        # Each end is rounded down to a nanosecond.
        assert sum(durations) == pytest.approx(expected[name] / 1000, abs=len(durations))


def test_flows_lead_from_a_release_or_a_wake_up(
    recorded: tuple[Decoded, dict[str, object]],
) -> None:
    found, _ = recorded
    starts: dict[int, tuple[int, str]] = {}
    ends: dict[int, tuple[int, str]] = {}
    for instants in found.instants.values():
        for time, name, started, ended in instants:
            starts.update((flow, (time, name)) for flow in started)
            ends.update((flow, (time, name)) for flow in ended)
    assert starts.keys() == ends.keys()
    handed = [flow for flow in starts if starts[flow][1].startswith("releases ")]
    woken = [flow for flow in starts if starts[flow][1].startswith("wakes ")]
    assert len(handed) > 100
    assert len(woken) > 5
    assert len(handed) + len(woken) == len(starts)
    assert all(starts[flow][0] <= ends[flow][0] for flow in starts)
    for flow in handed:
        assert ends[flow][1] == "acquires " + starts[flow][1].removeprefix("releases ")
    assert all(ends[flow][1] == "woken" for flow in woken)


def test_a_cpu_runs_one_thread_and_a_lock_has_one_holder(
    recorded: tuple[Decoded, dict[str, object]],
) -> None:
    found, _ = recorded
    assert len(found.under("CPUs")) == 2
    threads = set(found.under("Threads"))
    assert any(name.startswith("asid_lock#") for name in found.under("Locks"))
    for track in [*found.under("CPUs"), *found.under("Locks")]:
        slices = found.slices[track]
        assert slices
        assert not any(s.depth for s in slices)
        assert all(s.name in threads or re.fullmatch(r"\d+ readers?", s.name) for s in slices)


def test_the_command_queue_is_empty_at_the_end(
    recorded: tuple[Decoded, dict[str, object]],
) -> None:
    found, _ = recorded
    (counter,) = [name for name in found.under("Command queues") if name.endswith(" in flight")]
    values = [value for _, value in found.counts[counter]]
    assert values[-1] == 0
    assert max(values) > 1
    assert min(values) == 0


def test_every_command_is_in_a_slice_of_its_queue(
    recorded: tuple[Decoded, dict[str, object]],
) -> None:
    found, result = recorded
    (queue,) = [name for name in found.under("Command queues") if not name.endswith(" in flight")]
    counts: dict[str, int] = defaultdict(int)
    changes: dict[int, int] = defaultdict(int)  # of what is in flight, by time
    for track in found.under(queue):
        for s in found.slices[track]:
            name, _, times = s.name.partition(" x")
            counts[name] += int(times or 1)
            assert s.depth == 0
            assert s.end is not None
            assert s.end >= s.begin
            changes[s.begin] += int(times or 1)
            changes[s.end] -= int(times or 1)
    commands = result["commands"]
    assert isinstance(commands, dict)
    assert counts == {name: count for name, count in commands.items() if count}
    assert counts["SYNC"] > 100
    # The slices under way at a time are what the counter says.
    (counter,) = [name for name in found.under("Command queues") if name.endswith(" in flight")]
    last = dict(found.counts[counter])
    flying = 0
    for time in sorted(changes):
        flying += changes[time]
        assert flying == last[time]


def test_same_inputs_same_bytes(tmp_path: Path) -> None:
    small = tmp_path / "small.iotrace"
    small.write_text(SMALL)
    for name in ("one", "two"):
        smmulab.timeline(small, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_deadlock_is_shown_up_to_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    crossing, out = tmp_path / "crossing.iotrace", tmp_path / "out" / "t.perfetto-trace"
    crossing.write_text(CROSSING)
    assert main(["timeline", str(crossing), "-p", "seed-unordered", "-o", str(out)]) == 1
    text = capsys.readouterr().out
    assert f"{out}: protocol seed-unordered, " in text
    assert "status deadlock" in text
    found = decode(out)
    stuck = [
        s.name
        for track in found.under("Threads")
        for s in found.slices[track]
        if s.name.endswith(", in vain")
    ]
    assert len(stuck) == 2
    assert all("hwpt" in name for name in stuck)


@pytest.mark.parametrize("out", [".", "fifo"])
def test_an_output_that_is_no_file_is_refused_and_stays(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    monkeypatch.chdir(tmp_path)
    small = tmp_path / "small.iotrace"
    small.write_text(SMALL)
    os.mkfifo(tmp_path / "fifo")
    assert main(["timeline", str(small), "-o", out]) == 2
    what = "a folder" if out == "." else "no regular file"
    assert f"cannot write {out}: it is {what}" in capsys.readouterr().err
    assert (tmp_path / "fifo").is_fifo()


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path: Path) -> None:
    small, link, target = (tmp_path / name for name in ("small.iotrace", "link", "target"))
    small.write_text(SMALL)
    target.write_text("before")
    link.symlink_to(target)
    smmulab.timeline(small, link)
    assert link.is_symlink()
    assert target.read_bytes() != b"before"


def test_errors_leave_no_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new" / "t.perfetto-trace"
    assert main(["timeline", str(tmp_path / "none.iotrace"), "-o", str(out)]) == 2
    assert "none.iotrace" in capsys.readouterr().err
    assert not out.parent.exists()


def test_hgrm_counts_as_hdrhistogram_does(tmp_path: Path) -> None:
    assert (
        main(["compare", str(RECORDED), "-p", "igroup", "--hgrm", "-o", str(tmp_path / "out")]) == 0
    )
    text = (tmp_path / "out/hgrm/igroup.replace.hgrm").read_text()
    result = smmulab.compare(RECORDED, protocols="igroup").results[0]
    (latency,) = [k["latency"] for k in result["kinds"] if k["kind"] == "replace"]
    reference = HdrHistogram(1, latency["max_ps"] + 1, 3)
    for low, _, count in latency["buckets"]:
        reference.record_value(low, count)
    rows = [line.split() for line in text.splitlines()[2:] if not line.startswith("#")]
    assert len(rows) > 20
    assert int(rows[-1][2]) == latency["count"] == reference.get_total_count()
    assert float(rows[-1][0]) == pytest.approx(latency["max_ps"] / 1000, abs=0.001)
    # The first bucket up to which a share of all values lies that is not below the level.
    shares = [
        (item.total_count_to_this_value, item.value_iterated_to)
        for item in reference.get_recorded_iterator()
    ]
    levels = [float(level) for _, level, *_ in rows]
    assert levels == sorted(set(levels))
    for value, level, below, *_ in rows[:-1]:
        count, edge = next(
            (c, v) for c, v in shares if c / latency["count"] >= float(level) - 1e-12
        )
        assert int(below) == count
        top = min(reference.get_highest_equivalent_value(edge), latency["max_ps"])
        assert float(value) == pytest.approx(top / 1000, abs=0.001)


def test_hgrm_of_three_values() -> None:
    # Worked out by hand: half of the distance to 100 % has five steps, the next half ten per 100 %.
    latency = {
        "count": 4,
        "mean_ps": 2000.0,
        "max_ps": 4000,
        "buckets": [[1000, 1000, 2], [2000, 2000, 1], [4000, 4000, 1]],
    }
    assert hgrm(latency).splitlines() == [
        "       Value     Percentile TotalCount 1/(1-Percentile)",
        "",
        "       1.000 0.000000000000          2           1.00",
        "       1.000 0.100000000000          2           1.11",
        "       1.000 0.200000000000          2           1.25",
        "       1.000 0.300000000000          2           1.43",
        "       1.000 0.400000000000          2           1.67",
        "       1.000 0.500000000000          2           2.00",
        "       2.000 0.550000000000          3           2.22",
        "       2.000 0.600000000000          3           2.50",
        "       2.000 0.650000000000          3           2.86",
        "       2.000 0.700000000000          3           3.33",
        "       2.000 0.750000000000          3           4.00",
        "       4.000 0.775000000000          4           4.44",
        "       4.000 1.000000000000          4",
        "#[Mean    =        2.000, StdDeviation   =        1.225]",
        "#[Max     =        4.000, Total count    =            4]",
        "#[Buckets =           54, SubBuckets     =         2048]",
    ]


def test_hgrm_of_nothing() -> None:
    with pytest.raises(ValueError, match="no value"):
        hgrm({"count": 0, "buckets": [], "mean_ps": 0.0, "max_ps": 0})
