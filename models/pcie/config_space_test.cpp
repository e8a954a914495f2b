// SPDX-License-Identifier: Apache-2.0
// Configuration spaces built byte by byte, and a copied sysfs around them.
#include "models/pcie/config_space.hpp"

#include <filesystem>
#include <fstream>

#include <unistd.h>

#include <gtest/gtest.h>

#include "models/pcie/read_sysfs.hpp"
#include "models/pcie/testing.hpp"
#include "sim/error.hpp"

namespace smmulab::pcie {
namespace {

namespace fs = std::filesystem;

class Space {
 public:
  explicit Space(std::size_t size = 4096) : bytes_(size, '\0') {}
  Space& u8(std::size_t at, unsigned value) {
    bytes_.at(at) = static_cast<char>(value);
    return *this;
  }
  Space& u16(std::size_t at, unsigned value) {
    return u8(at, value & 255U).u8(at + 1, value >> 8U);
  }
  // A PCI Express capability at 0x40 of the type with this number.
  Space& express(unsigned type) {
    return u16(0x06, 0x10).u8(0x34, 0x40).u16(0x40, 0x0010).u16(0x42, type << 4U | 2U);
  }
  // An extended capability, and where the next one is.
  Space& extended(std::size_t at, unsigned id, unsigned next) {
    return u16(at, id).u16(at + 2, next << 4U | 1U);
  }
  [[nodiscard]] const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

Space root_port() {
  Space space;
  space.u16(0, 0x1234).u16(2, 0x0001).u8(0x0b, 6).u8(0x0a, 4).u8(0x0e, 1);
  space.u8(0x19, 1).u8(0x1a, 2).express(4).u16(0x54, 0x40);
  space.extended(0x100, 0x0001, 0x140).extended(0x140, 0x000d, 0);
  return space.u16(0x144, 0x005f).u16(0x146, 0x001d);
}

Space endpoint() {
  Space space;
  space.u16(0, 0x8086).u16(2, 0x10ed).u8(0x0e, 0x80).express(0);
  space.extended(0x100, 0x0010, 0x160).extended(0x160, 0x000f, 0);
  return space.u16(0x108, 1).u16(0x110, 2).u16(0x114, 0x80).u16(0x116, 2).u16(0x166, 0x8000);
}

TEST(ConfigSpace, ARootPort) {
  Function f;
  EXPECT_EQ(decode_config_space(root_port().bytes(), f), "");
  EXPECT_EQ(f.type, Type::kRootPort);
  EXPECT_EQ(f.class_code, 0x060400U);
  EXPECT_EQ(f.bridge->secondary, 1);
  EXPECT_EQ(f.bridge->subordinate, 2);
  EXPECT_TRUE(f.bridge->hotplug_slot);
  EXPECT_EQ(f.acs, (Acs{0x5f, acs::kIsolation}));
  EXPECT_FALSE(f.multifunction);
}

TEST(ConfigSpace, AnEndpointWithVfsAndAts) {
  Function f;
  EXPECT_EQ(decode_config_space(endpoint().bytes(), f), "");
  EXPECT_EQ(f.type, Type::kEndpoint);
  EXPECT_TRUE(f.multifunction);
  EXPECT_TRUE(f.ats);
  EXPECT_EQ(f.sriov->vfs, 2);
  EXPECT_EQ(f.sriov->offset, 0x80);
  EXPECT_EQ(f.sriov->stride, 2);
  EXPECT_FALSE(f.acs);
}

TEST(ConfigSpace, SaysWhatIsWrong) {
  Function f;
  EXPECT_EQ(decode_config_space("xy", f), "expected at least 64 bytes, found 2");
  EXPECT_EQ(decode_config_space(Space(64).bytes(), f), "only 64 bytes: copy config as root");
  EXPECT_EQ(decode_config_space(Space().express(0).u8(0x41, 0x40).bytes(), f),
            "the capabilities form a loop");
  EXPECT_EQ(decode_config_space(Space().express(0).extended(0x100, 1, 0x100).bytes(), f),
            "the extended capabilities form a loop");
}

class Sysfs : public ::testing::Test {
 protected:
  Sysfs() : folder_(fs::temp_directory_path() / ("smmulab-sysfs-" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~Sysfs() override { fs::remove_all(folder_); }
  Sysfs(const Sysfs&) = delete;
  Sysfs& operator=(const Sysfs&) = delete;

  fs::path add(const std::string& name, const Space& space, const std::string& group) {
    fs::create_directories(folder_ / name);
    std::ofstream(folder_ / name / "config", std::ios::binary) << space.bytes();
    fs::create_symlink("../../../kernel/iommu_groups/" + group, folder_ / name / "iommu_group");
    return folder_ / name;
  }

  fs::path folder_;
};

TEST_F(Sysfs, IsReadFolderByFolder) {
  add("0000:00:01.0", root_port(), "3");
  add("0000:01:00.0", endpoint(), "4");
  const fs::path vf = add("0000:01:10.0", Space().u16(0, 0xffff).express(0), "5");
  fs::create_symlink("../0000:01:00.0", vf / "physfn");
  fs::create_symlink("../../../bus/pci/drivers/vfio-pci", vf / "driver");
  add("0000:01:10.2", Space().u16(0, 0xffff).express(0), "6");
  const Host host(read_host(folder_.string()));
  EXPECT_EQ(groups_of(host), (std::set<std::string>{"00:01.0", "01:00.0", "01:10.0", "01:10.2"}));
  EXPECT_TRUE(host.has_recorded_groups());
  EXPECT_TRUE(host.unlike_recorded().empty());
  EXPECT_EQ(host.topology().functions()[2].driver, "vfio-pci");
  EXPECT_EQ(host.topology().functions()[3].physfn, host.topology().functions()[1].address);
}

TEST_F(Sysfs, ErrorsNameTheFile) {
  const auto error = [this] {
    try {
      (void)read_host(folder_.string());
    } catch (const ConfigError& e) {
      return std::string(e.what()).substr(folder_.string().size());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error(), ": no folder in it is named as a PCI device, such as 0000:01:00.0");
  add("0000:00:01.0", Space(64), "3");
  EXPECT_EQ(error(), "/0000:00:01.0/config: only 64 bytes: copy config as root");
}

TEST(ReadHost, ATopologyFileTakesNoSecondFile) {
  EXPECT_THROW((void)read_host("no-such-file.txt"), ConfigError);
  EXPECT_THROW((void)read_host("a.toml", "b.toml"), ConfigError);
}

}  // namespace
}  // namespace smmulab::pcie
