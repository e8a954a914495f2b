// SPDX-License-Identifier: Apache-2.0
// A protocol whose operations are scripts (script.hpp) over a base protocol, which does what no
// script replaces. A script's mistakes (an unknown lock or block, a lock released that it does not
// hold or kept at the end) are ConfigErrors with operation, thread and simulated time. Objects that
// were destroyed are kept for the run: a script may still look at them.
// Rule: what the blocks stand for is said where the base protocols call them (igroup.hpp,
// hwpt_lock.hpp). Not modelled: what a script computes between two verbs takes no time.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/iommufd/protocols/igroup.hpp"
#include "models/iommufd/protocols/script.hpp"

namespace smmulab::iommufd {

struct ScriptedInfo {
  std::string name;         // as results show it
  std::string description;  // one line
  std::string base;         // a built-in protocol
  std::vector<ScriptLock> locks;
  // Called for each run, from the thread that runs it.
  std::function<std::unique_ptr<ScriptSource>(Context&, const Protocol& base)> make;
};

// Makes `info` known to find_protocol() as `key`, in place of what went by that key before (runs
// under way keep theirs). Throws ConfigError: the name is a built-in protocol's, no such base, a
// lock whose owner is unknown or whose name is taken.
void add_scripted_protocol(const std::string& key, ScriptedInfo info);

// A block: what it takes and does.
struct ScriptBlock {
  std::string_view name;
  // A letter for each argument: d device, h hwpt, H hwpt or none, i ioas, o hwpt or ioas, n number.
  std::string_view args;
  std::string_view description;  // one line
};
// All blocks, in the order of the documentation.
[[nodiscard]] const std::vector<ScriptBlock>& script_blocks();

class ScriptedProtocol final : public Protocol {
 public:
  ScriptedProtocol(Context& context, const ProtocolParams& params, const ScriptedInfo& info);

  [[nodiscard]] ObjectRefs object_refs() const override { return base_->object_refs(); }
  [[nodiscard]] KernelVersion kernel() const override { return base_->kernel(); }
  [[nodiscard]] bool racy() const override { return true; }
  [[nodiscard]] bool keeps_invariants() const override { return base_->keeps_invariants(); }
  [[nodiscard]] bool checks_isolated_msi_at_bind() const override {
    return base_->checks_isolated_msi_at_bind();
  }
  void add_locks(Hwpt& hwpt) override { add_locks_of("hwpt", hwpt.script_locks); }
  void add_locks(Ioas& ioas) override { add_locks_of("ioas", ioas.script_locks); }
  void add_locks(IommufdGroup& igroup) override { add_locks_of("igroup", igroup.script_locks); }

  Task<void> enter(lnx::Thread& t) override { return base_->enter(t); }
  Task<void> leave(lnx::Thread& t) override { return base_->leave(t); }
  Task<int> hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id,
                       const HwptRequest& request) override {
    return base_->hwpt_alloc(t, device, ioas, id, request);
  }
  Task<void> hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) override;
  Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;
  Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) override;
  Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) override;
  Task<void> detach(lnx::Thread& t, Device& device) override;
  Task<int> attach_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid, Hwpt& hwpt) override {
    return base_->attach_pasid(t, device, pasid, hwpt);
  }
  Task<void> detach_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid) override {
    return base_->detach_pasid(t, device, pasid);
  }
  Task<int> msi_prepare(lnx::Thread& t, Device& device) override;
  [[nodiscard]] Hwpt* attached_hwpt(const Device& device) const override {
    return base_->attached_hwpt(device);
  }
  [[nodiscard]] bool leaks_reference(const Object& object, int rc) const override {
    return base_->leaks_reference(object, rc);
  }

 private:
  // Blocks that igroup has; no operation of it is called.
  class IgroupBlocks final : public IgroupProtocol {
   public:
    using IgroupProtocol::attach_hwpt;
    using IgroupProtocol::detach_hwpt;
    using IgroupProtocol::IgroupProtocol;
    using IgroupProtocol::replace_hwpt;
  };
  struct Held {
    lnx::LockBase* lock;
    std::string name;
    LockMode mode;
  };
  using Args = std::vector<ScriptValue>;
  using BlockFunction = Task<ScriptValue> (*)(ScriptedProtocol& p, lnx::Thread& t, const Args& a);
  struct BlockEntry {
    ScriptBlock block;
    BlockFunction run;
  };
  friend const std::vector<ScriptBlock>& script_blocks();
  [[nodiscard]] static const std::vector<BlockEntry>& blocks();

  void add_locks_of(std::string_view owner, std::vector<std::unique_ptr<lnx::LockBase>>& to) const;
  [[nodiscard]] std::unique_ptr<lnx::LockBase> make_lock(const ScriptLock& lock) const;
  Task<int> drive(lnx::Thread& t, ScriptOp op, Args args);
  Task<ScriptValue> perform(lnx::Thread& t, const Verb& verb, std::vector<Held>& held);
  Task<ScriptValue> acquire(lnx::Thread& t, const Verb& verb, std::vector<Held>& held);
  Task<void> release(lnx::Thread& t, const Verb& verb, std::vector<Held>& held);
  Task<ScriptValue> run_block(lnx::Thread& t, const Verb& verb);
  [[nodiscard]] lnx::LockBase& lock_of(const Verb& verb) const;
  [[nodiscard]] lnx::LockBase* own_lock(const std::string& name, const ScriptValue& owner) const;
  // New automatic hwpt, in no list and with an empty domain.
  Task<Hwpt*> alloc(lnx::Thread& t, Device& device, Ioas& ioas);
  Task<void> abort(lnx::Thread& t, Hwpt& hwpt);
  void group_move(lnx::Thread& t, Device& device, Hwpt& to) const;

  const ScriptedInfo& info_;
  std::unique_ptr<Protocol> base_;
  IgroupBlocks igroup_;
  std::vector<std::unique_ptr<lnx::LockBase>> context_locks_;
  std::unique_ptr<ScriptSource> source_;
};

}  // namespace smmulab::iommufd
