// SPDX-License-Identifier: Apache-2.0
// The blocks that scripts call by name: what built-in protocols call between their locks.
#include <cerrno>

#include <fmt/format.h>

#include "models/iommufd/protocols/scripted.hpp"

namespace smmulab::iommufd {
namespace {

constexpr std::int64_t kMostSteps = 1'000'000;

Device& device(const ScriptValue& value) {
  return *std::get<Device*>(value);
}
Hwpt& hwpt(const ScriptValue& value) {
  return *std::get<Hwpt*>(value);
}
Hwpt* hwpt_or_null(const ScriptValue& value) {
  Hwpt* const* pointer = std::get_if<Hwpt*>(&value);
  return pointer == nullptr ? nullptr : *pointer;
}
Ioas& ioas(const ScriptValue& value) {
  return *std::get<Ioas*>(value);
}
Object& object(const ScriptValue& value) {
  Hwpt* const pointer = hwpt_or_null(value);
  return pointer != nullptr ? static_cast<Object&>(*pointer) : ioas(value);
}
std::int64_t number(const ScriptValue& value) {
  return std::get<std::int64_t>(value);
}
IommufdGroup& igroup(const ScriptValue& value) {
  IommufdGroup* const group = device(value).igroup;
  if (group == nullptr) {
    throw ScriptFailure("the device is not bound");
  }
  return *group;
}

}  // namespace

Task<Hwpt*> ScriptedProtocol::alloc(lnx::Thread& t, Device& device, Ioas& ioas) {
  Hwpt* hwpt = co_await context().new_hwpt(t, ioas, context().next_auto_id());
  hwpt->domain = co_await context().driver().domain_alloc(t, *device.master);
  co_return hwpt;
}

Task<void> ScriptedProtocol::abort(lnx::Thread& t, Hwpt& hwpt) {
  co_await free_domain(t, hwpt);
  co_await context().abort_hwpt(t, hwpt);
}

// The bookkeeping of iommufd_device_do_replace(): all of the group's references move.
void ScriptedProtocol::group_move(lnx::Thread& t, Device& device, Hwpt& to) const {
  IommufdGroup& group = *device.igroup;
  Hwpt* old = group.hwpt;
  if (old == nullptr || old == &to) {
    throw ScriptFailure("group_move: the group has no hwpt, or that one already");
  }
  group.hwpt = &to;
  t.touch(to.counts(), lnx::Access::kUpdate);
  t.touch(old->counts(), lnx::Access::kUpdate);
  const auto moved = static_cast<std::int64_t>(group.device_list.size());
  to.users += moved;
  old->users -= moved - 1;
}

// Each of these is a coroutine without captures: what it needs is in its frame or its caller's.
const std::vector<ScriptedProtocol::BlockEntry>& ScriptedProtocol::blocks() {
  using P = ScriptedProtocol;
  using V = ScriptValue;
  using T = lnx::Thread;
  static const std::vector<BlockEntry> kBlocks = {
      {{"attach_group", "dh", "the core attaches the device's group to the hwpt's domain"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_return std::int64_t{co_await p.igroup_.attach_hwpt(t, device(a[0]), hwpt(a[1]))};
       }},
      {{"replace_group", "dhh", "the core moves the group from the second's domain to the third's"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_return std::int64_t{
             co_await p.igroup_.replace_hwpt(t, device(a[0]), hwpt(a[1]), hwpt(a[2]))};
       }},
      {{"detach_group", "dH", "the core takes the group off the hwpt's domain"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_await p.igroup_.detach_hwpt(t, device(a[0]), hwpt_or_null(a[1]));
         co_return std::int64_t{0};
       }},
      {{"fill", "h",
        "the ioas's mappings go into the hwpt's domain, which follows it from then on"},
       [](P& /*p*/, T& t, const Args& a) -> Task<V> {
         Hwpt& h = hwpt(a[0]);
         if (h.ioas->iopt.has_domain(*h.domain)) {
           throw ScriptFailure(fmt::format("fill: hwpt {} is filled already", h.id.value()));
         }
         co_return std::int64_t{co_await h.ioas->iopt.add_domain(t, *h.domain)};
       }},
      {{"unfill", "h", "the mappings go out of the hwpt's domain"},
       [](P& /*p*/, T& t, const Args& a) -> Task<V> {
         Hwpt& h = hwpt(a[0]);
         if (!h.ioas->iopt.has_domain(*h.domain)) {
           throw ScriptFailure(fmt::format("unfill: hwpt {} is not filled", h.id.value()));
         }
         co_await h.ioas->iopt.remove_domain(t, *h.domain);
         co_return std::int64_t{0};
       }},
      {{"enforce_reserved", "di", "the device's reserved regions are kept free in the ioas"},
       [](P& /*p*/, T& t, const Args& a) -> Task<V> {
         co_return std::int64_t{co_await ioas(a[1]).iopt.enforce_reserved(t, *device(a[0]).master)};
       }},
      {{"enforce_reserved_of_group", "di", "the same as of 6.2: asks the group under group->mutex"},
       [](P& /*p*/, T& t, const Args& a) -> Task<V> {
         const Device& d = device(a[0]);
         co_return std::int64_t{co_await ioas(a[1]).iopt.enforce_reserved_of_group(
             t, *d.master, d.group->mutex, d.group->devices.size())};
       }},
      {{"remove_reserved", "di", "the device's reserved regions are given up"},
       [](P& /*p*/, T& t, const Args& a) -> Task<V> {
         co_await ioas(a[1]).iopt.remove_reserved(t, *device(a[0]).master);
         co_return std::int64_t{0};
       }},
      {{"setup_msi", "h", "the hwpt gets its MSI cookie, once"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         p.setup_msi(t, hwpt(a[0]).paging());
         co_return std::int64_t{0};
       }},
      {{"list_step", "n", "CPU time of so many steps along a list (iommufd.list_step)"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         if (number(a[0]) < 0 || number(a[0]) > kMostSteps) {
           throw ScriptFailure("list_step: expected 0 to 1000000 steps");
         }
         t.charge(p.costs().list_step * number(a[0]));
         co_return std::int64_t{0};
       }},
      {{"spend", "n", "so many picoseconds of CPU time"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         if (number(a[0]) < 0) {
           throw ScriptFailure("spend: a negative time");
         }
         if (p.machine().control() == nullptr) {  // under which time stands still
           co_await t.run(Ps{number(a[0])});
         }
         co_return std::int64_t{0};
       }},
      {{"set_group_hwpt", "dH", "igroup->hwpt; takes no time"},
       [](P& /*p*/, T& /*t*/, const Args& a) -> Task<V> {
         igroup(a[0]).hwpt = hwpt_or_null(a[1]);
         co_return std::int64_t{0};
       }},
      {{"group_add", "dh", "the device goes into igroup->device_list and refers to the hwpt"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         IommufdGroup& group = igroup(a[0]);
         t.charge(p.costs().list_step);
         ++hwpt(a[1]).users;
         group.device_list.push_back(&device(a[0]));
         co_return std::int64_t{0};
       }},
      {{"group_remove", "d", "the device goes out of igroup->device_list; the reference stays"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         t.charge(p.costs().list_step);
         std::erase(igroup(a[0]).device_list, &device(a[0]));
         co_return std::int64_t{0};
       }},
      {{"group_move", "dh",
        "igroup->hwpt and its devices' references; one of the old is left to put"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         (void)igroup(a[0]);
         p.group_move(t, device(a[0]), hwpt(a[1]));
         co_return std::int64_t{0};
       }},
      {{"hwpt_add", "dh", "the device goes into hwpt->devices and refers to the hwpt"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         t.charge(p.costs().list_step);
         ++hwpt(a[1]).users;
         hwpt(a[1]).devices.push_back(&device(a[0]));
         device(a[0]).hwpt = &hwpt(a[1]);
         co_return std::int64_t{0};
       }},
      {{"hwpt_remove", "dh", "the device goes out of hwpt->devices; the reference stays"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         t.charge(p.costs().list_step);
         std::erase(hwpt(a[1]).devices, &device(a[0]));
         if (device(a[0]).hwpt == &hwpt(a[1])) {
           device(a[0]).hwpt = nullptr;
         }
         co_return std::int64_t{0};
       }},
      {{"get", "o", "a reference to an object found in a list; 0: it is being destroyed"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         const bool got = co_await p.context().try_get(t, object(a[0]));
         co_return std::int64_t{got ? 1 : 0};
       }},
      {{"put", "o", "gives that reference back"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_await p.context().put(t, object(a[0]));
         co_return std::int64_t{0};
       }},
      {{"put_hwpt", "h", "drops a device's reference; an automatic hwpt goes with its last one"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_await p.context().put_hwpt(t, hwpt(a[0]));
         co_return std::int64_t{0};
       }},
      {{"alloc", "di", "a new automatic hwpt, which nobody can find yet"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_return co_await p.alloc(t, device(a[0]), ioas(a[1]));
       }},
      {{"link", "h", "the hwpt goes into its ioas's list"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         Hwpt& h = hwpt(a[0]);
         t.charge(p.costs().list_step);
         if (!h.listed) {
           h.ioas->hwpt_list.push_back(&h);
           h.listed = true;
         }
         co_return std::int64_t{0};
       }},
      {{"unlink", "h", "the hwpt goes out of its ioas's list"},
       [](P& /*p*/, T& /*t*/, const Args& a) -> Task<V> {
         Hwpt& h = hwpt(a[0]);
         std::erase(h.ioas->hwpt_list, &h);
         h.listed = false;
         co_return std::int64_t{0};
       }},
      {{"publish", "h", "the automatic hwpt can be found from now on"},
       [](P& /*p*/, T& t, const Args& a) -> Task<V> {
         hwpt(a[0]).auto_domain = true;
         Context::finalize(t, hwpt(a[0]));
         co_return std::int64_t{0};
       }},
      {{"abort", "h", "the hwpt of an alloc that came to nothing goes away with its domain"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_await p.abort(t, hwpt(a[0]));
         co_return std::int64_t{0};
       }},
      {{"base.attach", "dh", "the whole operation of the base protocol"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_return std::int64_t{co_await p.base_->attach(t, device(a[0]), hwpt(a[1]))};
       }},
      {{"base.attach_ioas", "di", "the same"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_return std::int64_t{co_await p.base_->attach_ioas(t, device(a[0]), ioas(a[1]))};
       }},
      {{"base.replace", "dh", "the same"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_return std::int64_t{co_await p.base_->replace(t, device(a[0]), hwpt(a[1]))};
       }},
      {{"base.replace_ioas", "di", "the same"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_return std::int64_t{co_await p.base_->replace_ioas(t, device(a[0]), ioas(a[1]))};
       }},
      {{"base.detach", "d", "the same"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_await p.base_->detach(t, device(a[0]));
         co_return std::int64_t{0};
       }},
      {{"base.hwpt_destroy", "h", "the same"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_await p.base_->hwpt_destroy(t, hwpt(a[0]));
         co_return std::int64_t{0};
       }},
      {{"base.msi_prepare", "d", "the same"},
       [](P& p, T& t, const Args& a) -> Task<V> {
         co_return std::int64_t{co_await p.base_->msi_prepare(t, device(a[0]))};
       }},
  };
  return kBlocks;
}

const std::vector<ScriptBlock>& script_blocks() {
  static const std::vector<ScriptBlock> kAll = [] {
    std::vector<ScriptBlock> all;
    for (const ScriptedProtocol::BlockEntry& entry : ScriptedProtocol::blocks()) {
      all.push_back(entry.block);
    }
    return all;
  }();
  return kAll;
}

}  // namespace smmulab::iommufd
