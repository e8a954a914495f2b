// SPDX-License-Identifier: Apache-2.0
#include "workloads/qemu_smmu/rebuilt.hpp"

#include "models/smmuv3/hw/page_table.hpp"

namespace smmulab::workloads::qemu {
namespace {

// run() that also notes where it reads.
template <class Machine>
hw::Step run_noting(Machine& machine, hw::Memory& memory, Rebuilt::Addresses& read) {
  class Noting {
   public:
    Noting(Machine& inner, Rebuilt::Addresses& addresses) : inner_(inner), read_(addresses) {}
    hw::Step next() {
      const hw::Step step = inner_.next();
      if (step.kind == hw::Step::Kind::kRead) {
        read_.push_back(step.address);
      }
      return step;
    }
    void supply(const std::array<std::uint64_t, 8>& words) { inner_.supply(words); }
    void abort() { inner_.abort(); }
    void updated(bool done) { inner_.updated(done); }

   private:
    Machine& inner_;
    Rebuilt::Addresses& read_;
  };
  Noting noting(machine, read);
  hw::AccessCounts counts;
  return hw::run(noting, memory, counts);
}

std::uint8_t tg0_code(std::uint8_t log2) {
  return log2 == 12 ? 0 : log2 == 14 ? 2 : 1;
}
std::uint8_t tg1_code(std::uint8_t log2) {
  return log2 == 12 ? 2 : log2 == 14 ? 1 : 3;
}

hw::Cd make_cd(const ConfigSeen& seen, std::uint64_t asid) {
  hw::Cd cd;
  cd.valid = true;
  cd.aarch64 = true;
  cd.abort = true;
  cd.record = true;
  cd.af_fault_off = true;
  cd.ips = hw::address_bits_code(seen.output_bits);
  cd.asid = static_cast<std::uint16_t>(asid);
  cd.epd0 = !seen.halves[0].present;
  cd.epd1 = !seen.halves[1].present;
  cd.t0sz = seen.halves[0].tsz;
  cd.t1sz = seen.halves[1].tsz;
  cd.tg0 = tg0_code(seen.halves[0].granule_log2);
  cd.tg1 = tg1_code(seen.halves[1].granule_log2);
  cd.ttb0 = seen.halves[0].ttb;
  cd.ttb1 = seen.halves[1].ttb;
  return cd;
}

}  // namespace

void Rebuilt::write_entry(std::uint64_t address, const hw::EntryWords& words) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    memory.write64(address + i * 8, words[i]);
  }
}

hw::Fault Rebuilt::fetch(std::uint32_t sid, const ConfigSeen& seen, hw::Ste::Config kind,
                         std::uint64_t asid, std::uint64_t vmid, hw::StreamConfig& config,
                         Addresses& read) {
  hw::StreamTableBase base;
  base.log2_size = 32;
  base.two_level = seen.two_level;
  base.split = seen.split;
  if (seen.two_level) {
    base.address = seen.l1_table;
    const hw::L1Std l1{static_cast<std::uint8_t>(seen.split + 1), seen.l2_table};
    memory.write64(seen.l1_table + seen.l1_index * 8, hw::encode(l1));
  } else {
    base.address = seen.ste - (std::uint64_t{sid} << hw::kEntryLog2);
  }
  hw::Ste ste;
  ste.valid = true;
  ste.config = static_cast<std::uint8_t>(kind);
  ste.s1_context_ptr = seen.cd;
  ste.vmid = static_cast<std::uint16_t>(vmid);
  write_entry(seen.ste, hw::encode(ste));
  if (kind == hw::Ste::Config::kS1) {
    write_entry(seen.cd, hw::encode(make_cd(seen, asid)));
  }
  features.oas = seen.output_bits > 48 ? 52 : 48;
  features.va52 = features.oas == 52;
  hw::ConfigFetch fetch;
  hw::Request request;
  request.stream = StreamId{sid};
  fetch.begin(base, features, request);
  if (run_noting(fetch, memory, read).kind == hw::Step::Kind::kFault) {
    return fetch.fault();
  }
  config = fetch.config();
  return {};
}

hw::StreamConfig Rebuilt::from_walk(std::uint64_t root, unsigned level, hw::Granule granule,
                                    std::uint64_t iova, std::uint64_t asid, std::uint64_t vmid) {
  hw::StreamConfig config;
  config.kind = hw::StreamConfig::Kind::kTranslate;
  config.s1 = true;
  config.asid = Asid{static_cast<std::uint16_t>(asid)};
  config.vmid = Vmid{static_cast<std::uint16_t>(vmid)};
  hw::Stage& stage = hw::bit(iova, 55) ? config.tt1 : config.tt0;
  stage.upper = hw::bit(iova, 55);
  stage.enabled = true;
  stage.table = root;
  stage.granule = granule;
  stage.start_level = static_cast<std::uint8_t>(level);
  // The largest input that starts there.
  const unsigned most = hw::level_log2(granule, level) + hw::table_bits(granule);
  stage.input_bits = static_cast<std::uint8_t>(most > 48 ? 48 : most);
  stage.af_fault_off = true;
  return config;
}

hw::Outcome Rebuilt::walk(const hw::StreamConfig& config, std::uint64_t input, bool write,
                          Addresses& read) {
  hw::Outcome outcome;
  hw::TableWalk walk;
  // QEMU does not look at AP[1]: as a privileged access.
  walk.begin(config, input, hw::Access{write, true, false});
  if (run_noting(walk, memory, read).kind == hw::Step::Kind::kFault) {
    outcome.kind = hw::Outcome::Kind::kFault;
    outcome.fault = walk.fault();
    return outcome;
  }
  outcome.kind = hw::Outcome::Kind::kTranslated;
  outcome.translation = walk.translation();
  outcome.pa = outcome.translation.output;
  return outcome;
}

}  // namespace smmulab::workloads::qemu
