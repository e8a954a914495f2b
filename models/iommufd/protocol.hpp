// SPDX-License-Identifier: Apache-2.0
// Protocol: one locking design of iommufd. Each is one file in protocols/ and one line in
// protocols/registry.cpp. Map, unmap, bind and object references are common to all (reference
// locking.md sections 2.1, 3 and 7.0); a protocol says how hwpts are made and destroyed and how
// devices are attached, replaced and detached. Results are 0 or a negative errno.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "models/iommufd/context.hpp"
#include "sim/params.hpp"

namespace smmulab::iommufd {

// Settings of protocols, key "protocol.*".
struct ProtocolParams {
  bool fill_before = false;  // seed-lock-both: the domain is filled before it replaces the old one
  bool detach_race = false;  // igroup: detach reads igroup->hwpt before igroup->lock, as 6.12 does
};
void describe(ParamTable& table, ProtocolParams& params);

class Protocol {
 public:
  virtual ~Protocol() = default;
  Protocol(const Protocol&) = delete;
  Protocol& operator=(const Protocol&) = delete;

  [[nodiscard]] virtual ObjectRefs object_refs() const = 0;
  // True: state may be inconsistent at times (bounds without locks).
  [[nodiscard]] virtual bool racy() const { return false; }

  // From 6.3 on, binding asks iommu_group_has_isolated_msi(), which takes group->mutex for itself.
  [[nodiscard]] virtual bool checks_isolated_msi_at_bind() const { return false; }

  // Around every operation (a protocol with one lock for everything takes it here).
  virtual Task<void> enter(lnx::Thread& t);
  virtual Task<void> leave(lnx::Thread& t);

  // IOMMU_HWPT_ALLOC of a paging domain on an IOAS.
  virtual Task<int> hwpt_alloc(lnx::Thread& t, Device& device, Ioas& ioas, ObjectId id) = 0;
  // The object's destroy operation, after its id is gone.
  virtual Task<void> hwpt_destroy(lnx::Thread& t, Hwpt& hwpt) = 0;

  virtual Task<int> attach(lnx::Thread& t, Device& device, Hwpt& hwpt) = 0;
  virtual Task<int> attach_ioas(lnx::Thread& t, Device& device, Ioas& ioas) = 0;
  virtual Task<int> replace(lnx::Thread& t, Device& device, Hwpt& hwpt) = 0;
  virtual Task<int> replace_ioas(lnx::Thread& t, Device& device, Ioas& ioas) = 0;
  virtual Task<void> detach(lnx::Thread& t, Device& device) = 0;
  // After a failed replace: does the device still have a domain of iommufd?
  [[nodiscard]] virtual bool still_attached(const Device& /*device*/) const { return true; }

 protected:
  explicit Protocol(Context& context) : context_(context) {}
  [[nodiscard]] Context& context() const { return context_; }
  [[nodiscard]] lnx::Machine& machine() const { return context_.machine(); }
  [[nodiscard]] const IommufdParams& costs() const { return context_.params(); }
  [[nodiscard]] IommuCore& core() const { return context_.core(); }

  // setup_msi: a cookie once per hwpt.
  void setup_msi(lnx::Thread& t, Hwpt& hwpt) const;

 private:
  Context& context_;
};

struct ProtocolInfo {
  std::string_view name;
  std::string_view kernel;       // version or series it is from
  std::string_view description;  // one line
  std::unique_ptr<Protocol> (*make)(Context& context, const ProtocolParams& params);
};

// All protocols, in the order they are listed to users.
[[nodiscard]] const std::vector<ProtocolInfo>& protocols();
// Throws ConfigError with the nearest name.
[[nodiscard]] const ProtocolInfo& find_protocol(std::string_view name);

}  // namespace smmulab::iommufd
