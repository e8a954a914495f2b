# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# SPDX-License-Identifier: Apache-2.0
#
# # TLB reach, walks, and what an invalidation costs afterwards
#
# `smmulab.tlb`: DMA patterns through the SMMU's caches (`smmulab tlb` on the command line). What it
# counts (hits, walks, reads of tables) has no time in it; latencies of translations are in its table, too. Sizes are those of the preset `mmu700-typical` (which of
# the legal ones are typical is assumed).

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import pandas as pd

import smmulab

out = Path(tempfile.mkdtemp())
preset = {"smmuv3.preset": "mmu700-typical"}

# %% [markdown]
# ## Reach
# A random pattern over 64 MiB, by size of page: an entry reaches as far as its page, its contiguous group or its
# block. A 4K page needs 16384 entries for this area, a group of 64K 1024, a block of 2M 32.

# %%
frames = []
for page in ("4k", "64k", "2M"):
    frame = smmulab.tlb(
        pattern="random",
        footprint="64M",
        page=page,
        accesses=50_000,
        values=[64, 256, 1024, 4096],
        set=preset,
    )
    frames.append(frame.assign(page=page))
reach = pd.concat(frames, ignore_index=True)
reach.pivot_table(index="value", columns="page", values="hit_ratio", sort=False).round(3)

# %%
smmulab.plot.tlb(reach[reach["page"] == "64k"]).figure

# %% [markdown]
# With random accesses the ratio is entries over pages, until the area fits. A ring of buffers is
# harsher: where it does not fit, LRU has always just lost what comes next; random replacement keeps some.

# %%
rings = {}
for policy in ("lru", "random"):
    frame = smmulab.tlb(
        pattern="ring",
        footprint="8M",
        accesses=50_000,
        values=[512, 1024, 2048],
        set={"smmuv3.utlb_entries": 0, "smmuv3.mtlb_policy": policy},
    )
    rings[policy] = frame.set_index("value")["hit_ratio"]
pd.DataFrame(rings).round(3)

# %% [markdown]
# ## Walks
# What a miss costs, in reads: four without walk caches, two where those of the upper levels are known,
# one where the last table is. An MMU-600 has a walk cache for each stage and level; here all are of one size.

# %%
walks = []
for entries in (0, 4, 64, 256):
    frame = smmulab.tlb(
        pattern="random",
        footprint="1G",
        accesses=50_000,
        values=[1024],
        set={f"smmuv3.wc_s1l{level}": entries for level in range(4)},
    )
    walks.append((entries, frame["walk_reads"].iloc[0] / frame["walks"].iloc[0]))
pd.DataFrame(walks, columns=["entries of each walk cache", "reads per walk"]).round(2)

# %% [markdown]
# A GiB in 4K pages has 512 tables of the last level: from 64 to 256 entries more and more of their
# descriptors are found at once.
#
# ## Invalidations
# A TLBI takes time of its own (`docs/smmuv3.md`); what it removes is walked for once more. A ring of 256
# buffers, each used once and then invalidated, and between its buffers a descriptor ring of 64 pages that stay
# mapped. Invalidated are the buffers' pages, all of the space, or everything, after each buffer or many.


# %%
def trace(kind, every, rounds=20, buffers=256, kept=64):
    lines = ["smmulab-dma 1", f"map 1 0 0 {buffers * 4}k", f"map 1 1G 1G {kept * 4}k"]
    for i in range(rounds * buffers):
        lines.append(f"dma 1 1 {i % buffers * 4096:#x} w")
        lines.append(f"dma 1 1 {(1 << 30) + i % kept * 4096:#x}")
        if i % every == every - 1:
            first = (i - every + 1) % buffers * 4096
            pages = f"inv 1 {first:#x} {every * 4}k"
            lines.append({"pages": pages, "space": "inv 1", "all": "inv *"}[kind])
    path = out / f"{kind}-{every}.dma"
    path.write_text("\n".join(lines) + "\n")
    return path


rows = []
for kind in ("pages", "space", "all"):
    for every in (1, 16, 256):
        found = smmulab.tlb(trace(kind, every), values=[1024], set=preset).iloc[0]
        rows.append(
            {
                "TLBI of": kind,
                "after buffers": every,
                "commands": found["invalidations"],
                "removed by one": found["invalidated"] / found["invalidations"],
                "walks per access": found["walks"] / found["accesses"],
                "reads per access": found["reads_per_access"],
            }
        )
pd.DataFrame(rows).round(3)

# %% [markdown]
# By pages half of the accesses walk, the buffers': the descriptor ring keeps its entries. A TLBI of the space takes
# those along: a quarter more walks if it comes after 256 buffers, twice as many if more often. Every command here also
# removes table descriptors from the walk caches (Leaf = 0), which is why few pages at a time cost more reads a walk.
# What commands and SYNCs cost is not in these counts: that is what a replay charges.
