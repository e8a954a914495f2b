// SPDX-License-Identifier: Apache-2.0
// Two bounds, both with igroup's code. no-locks: no mutex excludes anybody (domains_rwsem,
// iova_rwsem, devices_lock and an access's two mutexes stay: trees and pins need them); what it
// costs is a floor, and state may break. one-lock: a single mutex around every operation, all other
// mutexes elided.
#include <array>
#include <string_view>

#include "models/iommufd/protocols/igroup.hpp"
#include "models/iommufd/protocols/registry.hpp"

namespace smmulab::iommufd {
namespace {

void elide_mutexes(lnx::Machine& machine) {
  constexpr std::array<std::string_view, 10> kMutexes = {
      "dev_set->lock", "ioas->mutex", "igroup->lock", "group->mutex",    "pages->mutex",
      "init_mutex",    "asid_lock",   "fault->mutex", "idev->iopf_lock", "msi_prepare_lock"};
  for (const std::string_view name : kMutexes) {
    machine.locks().get(name, lnx::LockKind::kMutex).elided = true;
  }
}

class NoLocks final : public IgroupProtocol {
 public:
  explicit NoLocks(Context& context) : IgroupProtocol(context) { elide_mutexes(machine()); }
  [[nodiscard]] bool racy() const override { return true; }
  [[nodiscard]] bool keeps_invariants() const override { return false; }
};

class OneLock final : public IgroupProtocol {
 public:
  explicit OneLock(Context& context)
      : IgroupProtocol(context),
        lock_(machine(), machine().locks().get("one_lock", lnx::LockKind::kMutex)) {
    elide_mutexes(machine());
  }
  Task<void> enter(lnx::Thread& t) override { return lock_.lock(t); }
  Task<void> leave(lnx::Thread& t) override { co_await lock_.unlock(t); }

 private:
  lnx::Mutex lock_;
};

}  // namespace

std::unique_ptr<Protocol> make_no_locks(Context& context, const ProtocolParams& /*params*/) {
  return std::make_unique<NoLocks>(context);
}

std::unique_ptr<Protocol> make_one_lock(Context& context, const ProtocolParams& /*params*/) {
  return std::make_unique<OneLock>(context);
}

}  // namespace smmulab::iommufd
