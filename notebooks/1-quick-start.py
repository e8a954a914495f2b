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
# # Quick start
#
# Which locking design of iommufd is better for given operations on a given machine? Here the
# operations are generated; a recorded trace goes the same way (`trace=`).

# %%
# %matplotlib inline
import smmulab

smmulab.__version__

# %% [markdown]
# A configuration is a machine, a protocol and operations. It does not change; `replace` makes another.

# %%
config = smmulab.Config(
    workload=smmulab.Workload(
        devices=8, ops=1000, mix="attach=1,replace=8,map=4,unmap=4", think="exp:20us"
    )
)
result = smmulab.run(config, seed=1)
result.status, round(result.ops_per_s)

# %% [markdown]
# Latencies are in picoseconds, as the ends of the columns' names say; locks come with the columns
# of `/proc/lock_stat` or of `perf lock contention`.

# %%
result.frame()[["kind", "count", "errors", "p50_ps", "p99_ps", "max_ps"]]

# %%
result.locks(by="perf").head()

# %% [markdown]
# A wrong name gets the nearest right one.

# %%
try:
    config.replace({"machine.cpu": 4})
except smmulab.ConfigError as error:
    print(error)

# %% [markdown]
# A sweep runs every point of a design with every seed, each run in a process of its own, and keeps
# the results in a folder. Run again, it skips what is there. The same seeds go to every protocol.

# %%
import tempfile

out = tempfile.mkdtemp()
swept = smmulab.sweep(
    config, {"protocol": ["igroup", "v6.2"], "devices": [1, 2, 4, 8]}, seeds=3, out=out
)
swept.frame()[["param.protocol", "param.generate.devices", "param.seed", "ops_per_s"]].head()

# %%
ax = smmulab.plot.scaling(swept.frame(), x="devices")
ax.figure

# %% [markdown]
# How sure is the difference? Pairs of the same seed, 95 % intervals:

# %%
from smmulab.study.statistics import differences

differences(swept.frame(), "ops_per_s", base="igroup", by=["devices"])
