// SPDX-License-Identifier: Apache-2.0
// The driver's objects: an SMMU with its command queue, masters (devices behind it), domains.
// Names follow Linux 6.12 arm-smmu-v3.h. Not modelled here: SVA.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/linux/mutex.hpp"
#include "models/linux/spinlock.hpp"
#include "models/smmuv3/driver/command_queues.hpp"
#include "models/smmuv3/driver/entry_writer.hpp"
#include "models/smmuv3/driver/lowest_ids.hpp"
#include "models/smmuv3/driver/page_table.hpp"
#include "models/smmuv3/hw/page_table.hpp"
#include "sim/ids.hpp"
#include "sim/record.hpp"
#include "sim/time.hpp"

namespace smmulab::smmu {

struct Domain;

struct Smmu {
  SmmuIndex index;
  CommandQueues queue;
  LowestIds vmids;

  TimedHardware* hardware;  // null: counted

  // `timed` must outlive it.
  Smmu(lnx::Machine& machine, const DriverParams& params, SmmuIndex i,
       TimedHardware* timed = nullptr)
      : index(i), queue(machine, params, i.value(), timed), hardware(timed) {}
};

// When a device's DMA had nowhere to go: its STE said abort or was invalid, or the CD it used was.
// A window lasts from the store that breaks translation to the SYNC after the store that mends it
// (an upper bound: hardware may go on with what it cached).
struct DarkTime {
  std::uint64_t windows = 0;
  Ps total{0};
  Ps max{0};
};

struct Master {
  std::string name;
  Smmu* smmu = nullptr;
  std::vector<StreamId> stream_ids;  // unique
  bool ats_supported = false;

  bool ats_enabled = false;
  bool cd_table_allocated = false;
  std::vector<std::uint32_t> cd_leaves;  // of a table with two levels: those that are there
  Entry ste{};                           // one value: the STEs of all stream ids are written alike
  Entry cd{};                            // SSID 0
  Domain* domain = nullptr;              // null: blocked
  struct PasidUse {
    std::uint32_t pasid;
    Domain* domain;
    Entry cd;
  };
  std::vector<PasidUse> pasids;  // in use
  std::uint64_t cd_table = 0;    // its address; timed hardware, drivers after 6.2

  bool dark = true;
  std::optional<SimTime> dark_since;  // none before its first translation
  RecordedObject recorded;
  // Of the windows that began while the device was in use (it had a translation before).
  DarkTime dark_time;
};

// struct arm_smmu_master_domain: an entry of a domain's list.
struct MasterDomain {
  Master* master;
  std::uint32_t ssid = 0;  // 0: the RID
  friend bool operator==(const MasterDomain&, const MasterDomain&) = default;
};

struct Domain {
  Domain(lnx::Machine& machine, lnx::LockClass& init_class, lnx::LockClass& devices_class,
         std::uint32_t number)
      : init_mutex(machine, init_class), devices_lock(machine, devices_class), id(number) {}

  lnx::Mutex init_mutex;
  lnx::Spinlock devices_lock;
  std::uint32_t id;      // also its symbolic table address with counted hardware
  Smmu* smmu = nullptr;  // null: not finalised
  Stage stage = Stage::kS1;
  Asid asid{};
  Vmid vmid{};                  // stage 2
  bool nest_parent = false;     // stage 2, for guests' page tables on top
  bool dirty_tracking = false;  // IO_PGTABLE_QUIRK_ARM_HD
  Domain* parent = nullptr;     // nested: the domain below, whose lists it shares
  std::vector<MasterDomain> masters;
  std::uint32_t nr_ats_masters = 0;
  std::uint64_t mapped = 0;  // bytes: what iommu_map() was asked for less what was unmapped
  PageTable table;
  std::unique_ptr<hw::PageTable> stored;  // the same bit for bit; timed hardware only
  std::uint64_t cd_table = 0;             // its address; timed hardware, driver 6.2
  const Smmu* cd_table_of = nullptr;      // in whose memory that is

  // Whose masters and invalidations are meant.
  [[nodiscard]] Domain& invalidated() { return parent == nullptr ? *this : *parent; }
};

}  // namespace smmulab::smmu
