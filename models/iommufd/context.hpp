// SPDX-License-Identifier: Apache-2.0
// Context: one /dev/iommu file: its table of objects and their references, and what protocols build
// on. Rule: Linux 6.12 drivers/iommu/iommufd/main.c iommufd_get_object(), iommufd_object_remove();
// up to 6.7 the same with destroy_rwsem.
// xa_lock of the table is modelled as one contended cache line with a short critical section, not
// as a lock class: it is never held across anything else. Not modelled: the 60 s limit of a
// destroy's wait, id allocation (ids come from the trace). A device's object is in the table as any
// other; what drivers do with a device they bound needs no lookup.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include <tsl/robin_map.h>

#include "models/iommufd/invariants.hpp"
#include "models/iommufd/objects.hpp"
#include "models/linux/cache_line.hpp"

namespace smmulab::iommufd {

class Protocol;
struct Access;

enum class ObjectRefs : std::uint8_t { kDestroyRwsem, kShortTerm };

class Context {
 public:
  Context(lnx::Machine& machine, IommuCore& core, const IommufdParams& params);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  void set_protocol(Protocol& protocol) { protocol_ = &protocol; }

  [[nodiscard]] const Protocol& protocol() const { return *protocol_; }
  [[nodiscard]] Invariants& invariants() { return invariants_; }

  [[nodiscard]] lnx::Machine& machine() const { return machine_; }
  [[nodiscard]] IommuCore& core() const { return core_; }
  [[nodiscard]] smmu::Driver& driver() const { return core_.driver(); }
  [[nodiscard]] const IommufdParams& params() const { return params_; }

  // The object of that id with a reference for the running ioctl; null: -ENOENT.
  Task<Object*> get(lnx::Thread& t, ObjectId id);
  Task<void> put(lnx::Thread& t, Object& object);
  // The ioctl returns without put(): who destroys the object waits for ever. lockdep would report a
  // lock held on return to user space.
  static void leak(lnx::Thread& t, const Object& object);
  // iommufd_lock_obj(): a reference to an object the caller found by itself. False: being
  // destroyed.
  Task<bool> try_get(lnx::Thread& t, Object& object);
  // The same within the step under way.
  bool try_reference(lnx::Thread& t, Object& object);
  // Invariants::check_unused(), told to a step control.
  bool check_unused(lnx::Thread& t, const Hwpt& hwpt);
  // DESTROY: 0, -ENOENT, -EBUSY (in use).
  Task<int> destroy(lnx::Thread& t, ObjectId id, ObjectType type);
  // iommufd_object_destroy_user(): a kernel user gives up its reference and the object; waits for
  // those who look at it. -ENOENT: there is none, or it is going already.
  Task<int> destroy_user(lnx::Thread& t, ObjectId id, ObjectType type);

  // A device's object: made as the last part of a bind, destroyed as most of an unbind. Of its
  // costs those of the table are in IommufdParams::bind and unbind, those of semaphores in what a
  // lookup, a put or an unbind costs.
  void add_device(lnx::Thread& t, Device& device, DeviceIndex index);
  // iommufd_get_device(): a reference for the running ioctl. False: being destroyed.
  bool get_device(lnx::Thread& t, Object& device);
  Task<void> put_device(lnx::Thread& t, Object& device);
  // iommufd_device_unbind(): waits for those who look at it, then gives the group's DMA ownership
  // back. REQUIRES: nobody else does so.
  Task<void> destroy_device(lnx::Thread& t, Object& device);
  // iommufd_hw_pagetable_put(): drops a device's reference; destroys an automatic domain with it,
  // within a change only at its end. REQUIRES: no ioas->mutex is held.
  Task<void> put_hwpt(lnx::Thread& t, Hwpt& hwpt);
  // Around what iommufd_device_change_pt() does under its reference to the new hwpt or IOAS: the
  // automatic hwpt that was left is destroyed after that reference is put.
  void begin_change(const lnx::Thread& t) { change_of(t).under_way = true; }
  Task<void> end_change(lnx::Thread& t);

  // 0, or -EEXIST if the id is in use (ids are the trace's).
  Task<int> add_ioas(lnx::Thread& t, ObjectId id);
  Task<int> add_access(lnx::Thread& t, ObjectId id, bool deaf);
  // An hwpt without a domain yet; auto domains get an id of their own above 2^31.
  // With a parent: nested. Null: the id is in use.
  Task<Hwpt*> new_hwpt(lnx::Thread& t, Ioas& ioas, ObjectId id, Hwpt* parent = nullptr);
  Task<int> add_fault(lnx::Thread& t, ObjectId id);
  static void set_fault(lnx::Thread& t, Hwpt& hwpt, Fault* fault);
  [[nodiscard]] ObjectId next_auto_id() {
    lnx::StepControl* control = machine_.control();
    return ObjectId{control == nullptr ? next_auto_id_++ : kFirstAutoId + control->new_id()};
  }
  // Makes the object findable by its id. REQUIRES: it is whole.
  static void finalize(lnx::Thread& t, Object& object) {
    t.touch(object.entry(), lnx::Access::kWrite);
    object.finalized = true;
  }
  // Undoes new_hwpt.
  Task<void> abort_hwpt(lnx::Thread& t, Hwpt& hwpt);
  [[nodiscard]] bool id_in_use(ObjectId id) const { return objects_.contains(id.value()); }
  IommufdGroup& group_of(IommuGroup& group);
  [[nodiscard]] const std::vector<std::unique_ptr<IommufdGroup>>& groups() const { return groups_; }

  // Without simulated time, for end-state checks and reports.
  [[nodiscard]] const Object* peek(ObjectId id) const;
  [[nodiscard]] std::vector<const Ioas*> all_ioas() const;        // by id
  [[nodiscard]] std::vector<const Hwpt*> all_hwpts() const;       // by id
  [[nodiscard]] std::vector<const Access*> all_accesses() const;  // by id

 private:
  struct Change {
    bool under_way = false;
    std::vector<Hwpt*> left;
  };
  // Ids of a kind are close to each other, but one kind's may be a power of two from another's.
  struct IdHash {
    [[nodiscard]] std::size_t operator()(std::uint32_t id) const {
      constexpr std::uint64_t kGoldenRatio = 0x9e3779b97f4a7c15;
      return static_cast<std::size_t>(id * kGoldenRatio >> 32U);
    }
  };

  [[nodiscard]] Change& change_of(const lnx::Thread& t);
  // Something may still look at an object that is destroyed.
  [[nodiscard]] bool racy() const;
  [[nodiscard]] RecordObject awaited(Record& record, const Object& object) const;
  Task<void> lock_table(lnx::Thread& t, Ps cost, ObjectId id, lnx::Access access);
  void add_destroy_rwsem(Object& object) const;
  Task<int> remove(lnx::Thread& t, Object* held, ObjectId id);
  // Out of the table: its id is gone. REQUIRES: lock_table().
  std::unique_ptr<Object> take(ObjectId id);
  Task<int> add_object(lnx::Thread& t, ObjectId id, std::unique_ptr<Object> object);
  template <class T>
  [[nodiscard]] std::vector<const T*> all_of(ObjectType type) const;
  Task<void> wait_shortterm(lnx::Thread& t, Object& object);
  // What `operations` on an rwsem cost that nobody else looks at.
  [[nodiscard]] Ps free_rwsem_cost(Ps operation, std::int64_t operations) const;
  void drop_reference(lnx::Thread& t, Object& object);
  // What an hwpt refers to.
  static void drop_referred(lnx::Thread& t, Hwpt& hwpt);
  // False: something still refers to the object, as a protocol's hazard has it.
  Task<bool> destroy_object(lnx::Thread& t, Object& object);

  lnx::Machine& machine_;
  IommuCore& core_;
  const IommufdParams& params_;
  Protocol* protocol_ = nullptr;
  lnx::CacheLine table_line_;
  lnx::LockClass& destroy_class_;
  tsl::robin_map<std::uint32_t, std::unique_ptr<Object>, IdHash> objects_;
  std::vector<std::unique_ptr<Object>>
      graveyard_;  // destroyed, but something may still look at them
  std::vector<std::unique_ptr<IommufdGroup>> groups_;
  std::vector<Change> changes_;  // by thread
  static constexpr std::uint32_t kFirstAutoId = 1U << 31U;
  std::uint32_t next_auto_id_ = kFirstAutoId;
  Invariants invariants_{*this};
};

}  // namespace smmulab::iommufd
