// SPDX-License-Identifier: Apache-2.0
#include "models/linux/params.hpp"

namespace smmulab::lnx {
namespace {

constexpr Provenance kAssumedServer{"assumed: typical of arm64 servers at 2.6-3 GHz"};
constexpr Provenance kConfig{"Linux 6.12 arm64 defconfig choices of distributions"};

void describe_sched(ParamTable& t, SchedParams& p) {
  t.add_enum("sched.preempt", &p.preempt, {"none", "voluntary", "full"},
             "kernel preemption model (CONFIG_PREEMPT*)", kConfig);
  t.add("sched.tick", &p.tick, 100_us, 10_ms, "timer tick period, 1/CONFIG_HZ", kConfig);
  t.add("sched.slice", &p.slice, 100_us, 100_ms,
        "time slice a task may use up before a tick ends it",
        {"Linux 6.12 kernel/sched/fair.c: base_slice 0.75 ms scaled by 1 + log2(CPUs, at most 8)"});
  t.add("sched.context_switch", &p.context_switch, 0_ps, 100_us, "CPU time of a context switch",
        kAssumedServer);
  t.add("sched.wake_up", &p.wake_up, 0_ps, 100_us, "CPU time the waker spends in try_to_wake_up()",
        kAssumedServer);
  t.add("sched.wake_awake", &p.wake_awake, 0_ps, 100_us,
        "the same for a task that an earlier wake-up has made runnable and that has not run yet",
        {"assumed (kernel/sched/core.c try_to_wake_up(): pi_lock, and the state does not match)"});
  t.add("sched.wake_latency", &p.wake_latency, 0_ps, 1_ms,
        "from a wake-up to an idle CPU beginning to switch to the task (IPI, idle exit)",
        kAssumedServer);
  t.add("sched.timed_sleep", &p.timed_sleep, 0_ps, 100_us,
        "CPU time of a sleep for a time, without the switch back: half before it, half in the "
        "timer's interrupt, of each sleep that ends there",
        {"assumed: 0, as a trace's thread sleeps only so that it issues in time"});
  t.add(
      "sched.timer_slack", &p.timer_slack, 0_ps, 100_ms,
      "how much later than asked a sleep ends, unless another sleep's timer interrupts its CPU "
      "before",
      {"Linux 6.12 init/init_task.c: timer_slack_ns; kernel/time/hrtimer.c: hrtimer_nanosleep()"});
  t.add("sched.multiplexed", &p.multiplexed,
        "all CPUs share one host thread, round robin, left at every relax hint",
        {"QEMU 7.2 accel/tcg/tcg-accel-ops-rr.c (for recordings made with -icount)"});
  t.add("sched.relax_switch", &p.relax_switch, 0_ps, 100_us,
        "multiplexed: cost of passing the host thread to another CPU",
        {"assumed: 0 under -icount"});
  t.add("sched.spin_turn", &p.spin_turn, 0_ps, 100_us,
        "multiplexed: what a spinning CPU burns each time it gets the host thread",
        {"assumed; calibrated on A_ic_smp2 by its preset"});
}

void describe_line(ParamTable& t, LineParams& p) {
  t.add_enum(
      "line.model", &p.model, {"simple", "coherent"},
      "contended lines of spinlocks and the command queue: exclusive and served in order of "
      "arrival, or with shared copies, real layout and no order",
      {"assumed: an interconnect keeps no order between requests (docs/dma-api.md holds that to "
       "measurements)"});
  t.add("line.same_cpu", &p.same_cpu, 0_ps, 1_us, "access to a line in this CPU's own cache",
        kAssumedServer);
  t.add("line.same_cluster", &p.same_cluster, 0_ps, 10_us,
        "line transfer from a core of the same cluster (machine.cpus_per_cluster)", kAssumedServer);
  t.add("line.same_node", &p.same_node, 0_ps, 10_us, "line transfer from a core of the same node",
        kAssumedServer);
  t.add("line.cross_node", &p.cross_node, 0_ps, 10_us,
        "line transfer from another node of the same socket", kAssumedServer);
  t.add("line.cross_socket", &p.cross_socket, 0_ps, 10_us, "line transfer from the other socket",
        {"assumed; J. Garry, linux-iommu list, 23 Sep 2020: about 137 ns for each try of a cmpxchg "
         "on 64 CPUs of a Kunpeng 920, derived from 1 success in 12"});
}

void describe_lock(ParamTable& t, LockParams& p) {
  t.add("lock.mutex_lock", &p.mutex_lock, 0_ps, 10_us, "uncontended mutex_lock()", kAssumedServer);
  t.add("lock.mutex_unlock", &p.mutex_unlock, 0_ps, 10_us, "mutex_unlock() without waiters",
        kAssumedServer);
  t.add("lock.mutex_slow", &p.mutex_slow, 0_ps, 100_us,
        "entering and leaving __mutex_lock_slowpath(), without waiting", kAssumedServer);
  t.add("lock.mutex_queue", &p.mutex_queue, 0_ps, 100_us,
        "work on wait_list under wait_lock (once by a waiter, once by the unlocker)",
        kAssumedServer);
  t.add("lock.rwsem_read", &p.rwsem_read, 0_ps, 10_us, "down_read() or up_read(), uncontended",
        kAssumedServer);
  t.add("lock.rwsem_write", &p.rwsem_write, 0_ps, 10_us, "down_write() or up_write(), uncontended",
        kAssumedServer);
  t.add("lock.rwsem_slow", &p.rwsem_slow, 0_ps, 100_us,
        "an rwsem slow path or wake-up pass, without waiting", kAssumedServer);
  t.add("lock.spin_lock", &p.spin_lock, 0_ps, 10_us, "queued spinlock, uncontended lock",
        kAssumedServer);
  t.add("lock.spin_unlock", &p.spin_unlock, 0_ps, 10_us, "queued spinlock, unlock", kAssumedServer);
  t.add("lock.osq", &p.osq, 0_ps, 10_us, "joining or leaving a queue of optimistic spinners",
        kAssumedServer);
  t.add("lock.atomic", &p.atomic, 0_ps, 10_us, "a refcount or xarray step, line present",
        kAssumedServer);
  t.add("lock.spin_on_owner", &p.spin_on_owner,
        "optimistic spinning (CONFIG_MUTEX_SPIN_ON_OWNER, CONFIG_RWSEM_SPIN_ON_OWNER)", kConfig);
}

}  // namespace

void describe(ParamTable& table, LinuxParams& params) {
  describe_sched(table, params.sched);
  describe_line(table, params.line);
  describe_lock(table, params.lock);
}

}  // namespace smmulab::lnx
