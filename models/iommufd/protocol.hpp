// SPDX-License-Identifier: Apache-2.0
// Protocol: one locking design of iommufd. Each is one file in protocols/ and one line in
// protocols/registry.cpp. Map, unmap, bind and object references are common to all
// (they hardly changed from 6.2 on); a protocol says how hwpts are made and destroyed and how
// devices are attached, replaced and detached. Results are 0 or a negative errno.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/iommufd/context.hpp"
#include "models/iommufd/limits.hpp"
#include "sim/params.hpp"

namespace smmulab::iommufd {

// Settings of protocols, key "protocol.*". mend_*: false is as it was posted or merged.
struct ProtocolParams {
  bool fill_before = false;  // drafts: the domain is filled before it replaces the old one
  bool detach_race = false;  // igroup: detach reads igroup->hwpt before igroup->lock, as 6.12 does
  bool destroy_rwsem = false;      // igroup: object references of 6.6 and 6.7
  bool mend_h1 = false;            // seed-unordered, posted-v1: both devices_locks in one order
  bool mend_h2 = false;            // posted-v2: detach takes ioas->mutex before devices_lock
  bool mend_h3 = false;            // posted-v2: replace takes both ioas->mutex first, in one order
  bool mend_h4 = false;            // devices-users-3: a count per group says when to detach it
  bool mend_h5 = false;            // core-group: later devices must ask for the group's domain
  bool mend_h9 = false;            // igroup: a failed replace within an ioas keeps its reservations
  bool mend_stale_domain = false;  // posted-v1: an hwpt without devices leaves its ioas
  bool mend_leaked_reference = false;  // posted-v2: -EBUSY of attach by ioas drops its reference
  bool core_group_ioas_mutex = false;  // core-group: ioas->mutex around attach, as in the draft
  std::uint32_t sw_msi_pages = 1;      // igroup-pasid: MSI pages each group requires
  bool reset_hooks = false;            // igroup-pasid: as of 7.0, whose PCI resets block the device
  bool mend_reset_detach = false;      // igroup-pasid, reset_hooks: a reset lets a detach pass
};
void describe(ParamTable& table, ProtocolParams& params);

// A Linux version, ordered.
using KernelVersion = std::uint32_t;
[[nodiscard]] constexpr KernelVersion linux_version(std::uint32_t major, std::uint32_t minor) {
  return major * 1000 + minor;
}

// IOMMU_HWPT_ALLOC beyond the usual.
struct HwptRequest {
  std::uint32_t flags = 0;  // HwptFlag
  Fault* fault = nullptr;

  [[nodiscard]] bool has(std::uint32_t flag) const { return (flags & flag) != 0; }
};

class Protocol {
 public:
  virtual ~Protocol() = default;
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;

  [[nodiscard]] virtual ObjectRefs object_refs() const = 0;
  // The version that says which operations there are: the last one the protocol stands for; of a
  // draft, what it was based on. An operation that is younger gives -EOPNOTSUPP.
  [[nodiscard]] virtual KernelVersion kernel() const = 0;
  // True: a destroyed object may still be looked at, so it is kept.
  [[nodiscard]] virtual bool racy() const { return false; }
  // False: promises no invariant (bounds without locks).
  [[nodiscard]] virtual bool keeps_invariants() const { return true; }

  // From 6.3 on, binding asks iommu_group_has_isolated_msi(), which takes group->mutex for itself.
  [[nodiscard]] virtual bool checks_isolated_msi_at_bind() const { return false; }

  // Called for each object when it is made: a scripted protocol gives it locks of its own.
  virtual void add_locks(Hwpt& /*hwpt*/) {}
  virtual void add_locks(Ioas& /*ioas*/) {}
  virtual void add_locks(IommufdGroup& /*igroup*/) {}

  // Around every operation (a protocol with one lock for everything takes it here).
  virtual Task<void> enter(lnx::Thread& t);
  virtual Task<void> leave(lnx::Thread& t);

  // IOMMU_HWPT_ALLOC of a paging domain on an IOAS.
  // REQUIRES: kernel() knows the request's flags, the driver what they ask for.
  virtual Task<int> hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id,
                               const HwptRequest& request) = 0;
  // Of a nested domain on a nest parent: no lock is held.
  Task<int> nested_alloc(lnx::Thread& t, Hwpt& parent, ObjectId id, const HwptRequest& request);
  // The object's destroy operation, after its id is gone.
  virtual Task<void> hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) = 0;

  virtual Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) = 0;
  virtual Task<int> attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) = 0;
  virtual Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) = 0;
  virtual Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) = 0;
  virtual Task<void> detach(lnx::Thread& t, Device& device) = 0;
  // Of a PASID; attach is a replace if the device is attached to the PASID already. -EOPNOTSUPP
  // before 6.15.
  virtual Task<int> attach_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid, Hwpt& hwpt);
  virtual Task<void> detach_pasid(lnx::Thread& t, Device& device, std::uint32_t pasid);
  // An MSI of the device is set up: its doorbell page has to be mapped in the domain.
  virtual Task<int> msi_prepare(lnx::Thread& t, Device& device);
  // The hwpt that iommufd believes the device attached to, or null.
  [[nodiscard]] virtual Hwpt* attached_hwpt(const Device& device) const { return device.hwpt; }
  // The ioctl ended with `rc` and forgot to drop its reference to the object it looked up.
  [[nodiscard]] virtual bool leaks_reference(const Object& /*object*/, int /*rc*/) const {
    return false;
  }

 protected:
  explicit Protocol(Context& context) : context_(context) {}
  [[nodiscard]] Context& context() const { return context_; }
  [[nodiscard]] lnx::Machine& machine() const { return context_.machine(); }
  [[nodiscard]] const IommufdParams& costs() const { return context_.params(); }
  [[nodiscard]] IommuCore& core() const { return context_.core(); }

  // The doorbell page of the system's one ITS, once per hwpt.
  Task<int> map_msi_page(lnx::Thread& t, Hwpt& hwpt);
  // setup_msi: a cookie once per hwpt.
  void setup_msi(lnx::Thread& t, Hwpt& hwpt) const;
  // Destroys an hwpt that was filled when it was made: out of its ioas, then its domain.
  Task<void> destroy_filled(lnx::Thread& t, Hwpt& hwpt);
  // iommu_domain_free(). A domain that is still in use is left: what refers to it would dangle.
  Task<void> free_domain(lnx::Thread& t, Hwpt& hwpt);

 private:
  Context& context_;
};

// What goes wrong in some protocols (docs/protocols.md tells of each).
enum class HazardNeeds : std::uint8_t {
  kThreads,        // nothing but concurrent operations
  kGroups,         // a group of several devices
  kAutomatic,      // attaching by ioas
  kFailedReplace,  // a replace that the driver refuses
  kDeafAccess,     // an access that ignores unmaps
  kReset,          // PCI resets, and protocol.reset_hooks
};
struct Hazard {
  std::string_view name;
  std::string_view effect;  // one line
  std::string_view mend;    // the parameter that mends it; empty: the design has no remedy
  HazardNeeds needs;
};
[[nodiscard]] const std::vector<Hazard>& hazards();
[[nodiscard]] const Hazard& find_hazard(std::string_view name);

struct ProtocolInfo {
  std::string_view name;
  std::string_view kernel;       // version or series it is from
  std::string_view description;  // one line
  std::string_view history;      // where it comes from and what became of it; sentences
  std::vector<std::string_view> hazards;
  std::function<std::unique_ptr<Protocol>(Context& context, const ProtocolParams& params)> make;
};

// All built-in protocols, in the order they are listed to users.
[[nodiscard]] const std::vector<ProtocolInfo>& protocols();
// A built-in protocol, or one that was added. Of a key that holds a ':' and was not added, the
// loader is asked to add it. Throws ConfigError with the nearest name, and what the loader throws.
// References stay valid. May be called from any thread.
[[nodiscard]] const ProtocolInfo& find_protocol(std::string_view name);
using MakeProtocol = decltype(ProtocolInfo::make);
// `key`: what find_protocol() is asked for; `name`: what results show. A key that is there already
// means this protocol from now on.
void add_protocol(const std::string& key, std::string name, std::string description,
                  std::string_view base, MakeProtocol make);
using ProtocolLoader = std::function<void(const std::string& key)>;
void set_protocol_loader(ProtocolLoader loader);

}  // namespace smmulab::iommufd
