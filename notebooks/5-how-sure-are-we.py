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
# # How sure are we?
#
# A simulator is right about what it was held to, and a guess beyond. Four questions, from what is
# known best to what is known least: does the model do what a real kernel and a real SMMU model did;
# does it give numbers that others measured; on which assumed costs does a conclusion hang; and on
# which choice of model.

# %%
# %matplotlib inline
import tempfile
from pathlib import Path

import pandas as pd

import smmulab
from smmulab.oracles import latency, lock_sequences, published, qemu
from smmulab.oracles.recorded_run import recorded_run

root = Path.cwd() if Path("workloads").exists() else Path.cwd().parent
held_out = root / "workloads" / "recordings" / "S_ic_smp2.tar.xz"
out = Path(tempfile.mkdtemp())

# %% [markdown]
# ## 1. What was recorded
#
# **Which locks, in which order (O4).** A run of 16 devices that no constant was fitted to is replayed, and
# the locks of each operation are compared with those that lockdep saw Linux 6.12 take. This is the part
# that needs no cost at all.

# %%
with recorded_run(held_out) as run:
    sequences = lock_sequences.check(run)
    latencies = latency.check(run)
sequences["verdict"].value_counts().to_frame()

# %%
for _, row in sequences[sequences["verdict"] != "ok"].iterrows():
    print(row["shape"], row["operation"], row["verdict"], row["recorded"])
    print(row["details"])

# %% [markdown]
# **QEMU's SMMU (O3).** Every translation of a log of QEMU's SMMUv3, made again by the model: the same
# hits, the same descriptors read at the same addresses, the same entries left after each command.

# %%
qemu.check(root / "tests" / "data" / "qemu_smmu_stock.log.zst").table()

# %% [markdown]
# **How long an operation takes (O12)**, in the virtual time of the recorded machine, where an
# instruction is 8 ns. The costs were calibrated on uncontended operations of another run; all of these
# are predictions.

# %%
latencies.round(3)

# %% [markdown]
# Where an operation waits for a lock or does not, as a move between automatic domains for `ioas->mutex`, the median may lie
# between the two (`rank`: the share of the model's operations up to the recorded median). Maps are not
# judged where the log does not tell whether the memory was contiguous. `smmulab validate RUN` does this for any run
# and also says who waits for which lock (O11); `docs/validation.md` prints it all. And an emulated machine with two CPUs, all instructions equally long, says nothing about the
# cache lines of a large one.

# %% [markdown]
# ## 2. What others published
#
# The DMA API's map+unmap loop on a HiSilicon D06 with up to 96 CPUs, three ways to insert into the
# command queue (O7). Two values were fitted to two points of the first curve; the other 19 points are
# predicted. Lines: model, crosses: measured.

# %%
from smmulab import plot_dma
from smmulab.map_bench import COUNTS, map_bench

curves = map_bench(COUNTS, tuple(published.MEASURED))
plot_dma.throughput(curves, published.measured()).figure

# %%
table = published.check()
print(table["verdict"].value_counts().to_string())
table[table["verdict"] == "miss"].round(3)

# %% [markdown]
# The miss is the plateau of `series` from 16 to 32 CPUs: the measured machine's SMMU is a little faster
# than the fit says. This holds the queue and the `coherent` model of cache lines, on one machine, with
# one domain. It holds no lock of iommufd.

# %% [markdown]
# ## 3. On which costs does a conclusion hang?
#
# Notebook 2 concludes that at 64 devices a lock for each group beats a lock for each hwpt. The costs of
# `server` are mostly assumed, so let each of them be four times less or more:

# %%
from smmulab.study.sensitivity import decision, plausible, sensitivity

config = smmulab.Config(
    workload=smmulab.Workload(
        devices=64, hwpts=4, ops=600, mix="attach=1,replace=8", think="exp:20us"
    )
)
protocols = ["igroup", "seed-lock-both"]
print(len(plausible(config)), "costs are assumed")
decision(config, protocols, samples=48, out=out / "asid").table

# %% [markdown]
# `wins`: the share of 48 points (a Latin hypercube) in which a protocol is the faster one, with a 95 %
# interval. Four is an assumption, too. With 16:

# %%
decision(config, protocols, samples=48, factor=16, out=out / "asid16").table

# %% [markdown]
# The order does not hang on the costs. How large the lead is does. Now the second conclusion of
# notebook 2: without the driver's global lock (`driver.global_asid_lock = false`) the order turns.

# %%
free = config.replace({"driver.global_asid_lock": False})
found = decision(free, protocols, samples=48, out=out / "free")
found.table

# %% [markdown]
# That one does not hold everywhere. On what does it hang? Morris' method goes through the range of one
# cost after another; `mu_star` is what that does to the logarithm of the ratio of the two rates:

# %%
morris = sensitivity(free, protocols=protocols, samples=3, out=out / "morris")
smmulab.plot.sensitivity_tornado(morris.table.head(8), morris.y).figure

# %% [markdown]
# On one cost: `line.same_node`, the time that a cache line takes from one CPU to another. Sobol's
# indices of the costs that matter most (`total`: share of the variance in which a cost has a part):

# %%
most = list(morris.table["cost"].head(3))
sensitivity(
    free, protocols=protocols, method="sobol", samples=32, only=most, out=out / "sobol"
).table.round(2)

# %% [markdown]
# With 32 base points the intervals are wide; they are good for the order of the costs, not for a digit.
# Where each protocol is faster:

# %%
smmulab.plot.decision_map(found.points, *most[:2]).figure

# %% [markdown]
# `line.same_node` decides, the rest hardly. A number of that kind can be measured on a machine in
# minutes, and this says that it is the one to measure.
#
# ## 4. On which choice of model?
#
# Ranges of costs do not ask whether the *rules* are right. Some can be exchanged. Ratio of the rates of
# `igroup` and `seed-lock-both` at 64 devices, with and without the global lock:

# %%
choices = {
    "as above": {},
    "cache lines: coherent": {"line.model": "coherent"},
    "mutexes do not spin": {"lock.spin_on_owner": False},
    "driver of Linux 6.2": {"driver.version": "6.2"},
    "a command queue for each CPU": {"driver.cmdq_kind": "ecmdq"},
    "two sockets": {"machine.cpus": 64, "machine.sockets": 2},
}


def ratio(base, settings):
    rates = [smmulab.run(base.replace(settings, protocol=name)).ops_per_s for name in protocols]
    return rates[0] / rates[1]


pd.DataFrame(
    {
        "global lock": {name: ratio(config, choice) for name, choice in choices.items()},
        "without": {name: ratio(free, choice) for name, choice in choices.items()},
    }
).round(2)

# %% [markdown]
# In the first column the group lock stays ahead whatever the choice. In the second the answer depends on
# the choice. The first of them weighs most: `coherent` is the rule that part 2 held to measurements,
# `simple`, the default, serves a contended line in order, so that a compare-and-exchange loses against
# every CPU that came before, and the one command queue collapses. With `coherent` and four times less or
# more of each cost:

# %%
coherent = {"line.model": "coherent"}
for name, base in (("global lock", config), ("without", free)):
    print(name)
    wins = decision(base.replace(coherent), protocols, samples=48, out=out / f"coherent {name}")
    print(wins.table.round(2).to_string(index=False))

# %% [markdown]
# ## What may be said
#
# - *Which locks are taken, and which designs deadlock*: held by recordings and by a search of all orders of small
#   cases (`smmulab explore`); no cost has a part in it.
# - *With the driver as it was recorded, a lock for each group is faster at 64 devices than the locks of the
#   two hwpts*: at every point and for every choice that was tried here. By how much: not to be quoted.
# - *Without the driver's global lock a lock for each hwpt is faster*: not to be said. It is so with
#   `line.model = simple` if a line transfer is slow; with `coherent` it is the exception.
# - *Absolute rates of `server`*: nothing holds them. No large machine was measured.
#
# Another claim can be asked the same way: `decision`, `sensitivity`, and the choices above.
