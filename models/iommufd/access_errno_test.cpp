// SPDX-License-Identifier: Apache-2.0
// Accesses: what their operations return, as in the scenarios of Linux 6.12
// tools/testing/selftests/iommu (access_pin, access_pin_unmap, access_domain_destory) and iommufd's
// own checks; what an unmap does to pins.
#include <cerrno>
#include <string>

#include "models/iommufd/ioctl_testing.hpp"

namespace smmulab::iommufd {
namespace {

using namespace testing;

constexpr ObjectId kAccess2{22};

class AccessTest : public ProtocolTest {
 protected:
  void boot_with_access() {
    boot_with_ioas(GetParam());
    ASSERT_EQ(access_create(kAccess), 0);
    ASSERT_EQ(access_attach(kAccess, kIoas), 0);
    ASSERT_EQ(map(kIoas, 16 * kPage, 4 * kPage), 0);
  }
  bool has_replace() { return context().protocol().kernel() >= linux_version(6, 6); }
};

TEST_P(AccessTest, PinAndUnpin) {
  boot_with_access();
  EXPECT_EQ(pin(kAccess, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(pin(kAccess, 16 * kPage, 4 * kPage), 0);  // twice the same
  EXPECT_EQ(pin(kAccess, 17 * kPage, kPage), 0);      // and a part of it
  EXPECT_EQ(unpin(kAccess, 16 * kPage, kPage), -ENOENT);
  EXPECT_EQ(unpin(kAccess, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(unpin(kAccess, 17 * kPage, kPage), 0);
  EXPECT_EQ(unpin(kAccess, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(unpin(kAccess, 16 * kPage, 4 * kPage), -ENOENT);
  EXPECT_EQ(broken(), "");
}

TEST_P(AccessTest, WhatCanNotBePinned) {
  boot_with_access();
  ASSERT_EQ(map(kIoas, 20 * kPage, kPage), 0);
  EXPECT_EQ(pin(kAccess, 16 * kPage, 5 * kPage), 0);  // over two areas
  EXPECT_EQ(pin(kAccess, 15 * kPage, 2 * kPage), -ENOENT);
  EXPECT_EQ(pin(kAccess, 19 * kPage, 3 * kPage), -ENOENT);  // gives the first two back
  EXPECT_EQ(pin(kAccess, 16 * kPage, 0), -EINVAL);
  EXPECT_EQ(pin(kAccess, ~0ULL - kPage + 1, 2 * kPage), -EOVERFLOW);
  EXPECT_EQ(pin(kUnknown, 16 * kPage, kPage), -ENOENT);
  EXPECT_EQ(broken(), "");
}

TEST_P(AccessTest, WithoutAnIoas) {
  boot_with_access();
  ASSERT_EQ(access_create(kAccess2), 0);
  EXPECT_EQ(pin(kAccess2, 16 * kPage, kPage), -ENOENT);
  EXPECT_EQ(access_attach(kAccess2, kUnknown), -ENOENT);
  EXPECT_EQ(access_detach(kAccess2), 0);
  EXPECT_EQ(access_create(kAccess2), -EEXIST);
  EXPECT_EQ(access_destroy(kAccess2), 0);
  EXPECT_EQ(access_destroy(kAccess2), -ENOENT);
  EXPECT_EQ(access_attach(kAccess2, kIoas), -ENOENT);
}

TEST_P(AccessTest, AnUnmapTakesThePinsAway) {
  boot_with_access();
  ASSERT_EQ(access_create(kAccess2), 0);
  ASSERT_EQ(access_attach(kAccess2, kIoas), 0);
  ASSERT_EQ(map(kIoas, 32 * kPage, kPage), 0);
  ASSERT_EQ(pin(kAccess, 16 * kPage, 2 * kPage), 0);
  ASSERT_EQ(pin(kAccess2, 17 * kPage, kPage), 0);
  ASSERT_EQ(pin(kAccess2, 32 * kPage, kPage), 0);
  EXPECT_EQ(unmap(kIoas, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(unpin(kAccess, 16 * kPage, 2 * kPage), -ENOENT);
  EXPECT_EQ(unpin(kAccess2, 17 * kPage, kPage), -ENOENT);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(unpin(kAccess2, 32 * kPage, kPage), 0);  // elsewhere
}

// A pin over two areas goes whole with the first of them.
TEST_P(AccessTest, AnUnmapOfAPartOfAPin) {
  boot_with_access();
  ASSERT_EQ(map(kIoas, 20 * kPage, 4 * kPage), 0);
  ASSERT_EQ(pin(kAccess, 18 * kPage, 4 * kPage), 0);
  EXPECT_EQ(unmap(kIoas, 20 * kPage, 4 * kPage), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(unpin(kAccess, 18 * kPage, 4 * kPage), -ENOENT);
}

// Hazard H10.
TEST_P(AccessTest, AnAccessThatDoesNotLetGo) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(access_create(kAccess, true), 0);
  ASSERT_EQ(access_attach(kAccess, kIoas), 0);
  ASSERT_EQ(map(kIoas, 16 * kPage, kPage), 0);
  ASSERT_EQ(map(kIoas, 17 * kPage, kPage), 0);
  ASSERT_EQ(pin(kAccess, 17 * kPage, kPage), 0);
  EXPECT_EQ(unmap(kIoas, 16 * kPage, 2 * kPage), -EDEADLOCK);
  EXPECT_EQ(map(kIoas, 16 * kPage, kPage), 0);          // the first is gone
  EXPECT_EQ(pin(kAccess, 17 * kPage, kPage), -EINVAL);  // an unmap has begun
  EXPECT_EQ(unpin(kAccess, 17 * kPage, kPage), 0);
  EXPECT_EQ(unmap(kIoas, 16 * kPage, 2 * kPage), 0);
}

TEST_P(AccessTest, ReplaceAndDetachUnpin) {
  boot_with_access();
  ASSERT_EQ(map(kOther, 16 * kPage, kPage), 0);
  ASSERT_EQ(pin(kAccess, 16 * kPage, kPage), 0);
  EXPECT_EQ(ioas_destroy(kIoas), -EBUSY);
  EXPECT_EQ(access_attach(kAccess, kOther), has_replace() ? 0 : -EBUSY);
  EXPECT_EQ(unpin(kAccess, 16 * kPage, kPage), has_replace() ? -ENOENT : 0);
  EXPECT_EQ(pin(kAccess, 16 * kPage, kPage), 0);
  EXPECT_EQ(ioas_destroy(kIoas), has_replace() ? 0 : -EBUSY);
  EXPECT_EQ(access_detach(kAccess), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(unpin(kAccess, 16 * kPage, kPage), -ENOENT);
  EXPECT_EQ(ioas_destroy(kOther), 0);
}

TEST_P(AccessTest, DestroyUnpinsAndLetsTheIoasGo) {
  boot_with_access();
  ASSERT_EQ(pin(kAccess, 16 * kPage, kPage), 0);
  EXPECT_EQ(access_destroy(kAccess), 0);
  EXPECT_EQ(broken(), "");
  EXPECT_EQ(unmap(kIoas, 16 * kPage, 4 * kPage), 0);
  EXPECT_EQ(ioas_destroy(kIoas), 0);
}

TEST_P(AccessTest, DomainsComeAndGoUnderAPin) {
  boot_with_access();
  ASSERT_EQ(pin(kAccess, 16 * kPage, 2 * kPage), 0);
  ASSERT_EQ(attach(kAlone, kIoas), 0);
  ASSERT_EQ(pin(kAccess, 17 * kPage, 2 * kPage), 0);
  ASSERT_EQ(detach(kAlone), 0);
  EXPECT_EQ(unpin(kAccess, 16 * kPage, 2 * kPage), 0);
  EXPECT_EQ(unpin(kAccess, 17 * kPage, 2 * kPage), 0);
  EXPECT_EQ(broken(), "");
}

// An access asks for whole pages.
TEST_P(AccessTest, Alignment) {
  boot_with_ioas(GetParam());
  ASSERT_EQ(access_create(kAccess), 0);
  ASSERT_EQ(map(kIoas, kPage / 2, kPage), 0);
  EXPECT_EQ(access_attach(kAccess, kIoas), -EADDRINUSE);
  ASSERT_EQ(unmap(kIoas, kPage / 2, kPage), 0);
  ASSERT_EQ(access_attach(kAccess, kIoas), 0);
  EXPECT_EQ(map(kIoas, kPage / 2, kPage), -EINVAL);
}

INSTANTIATE_TEST_SUITE_P(Protocols, AccessTest, ::testing::ValuesIn(protocols_with_locks()),
                         test_name);

}  // namespace
}  // namespace smmulab::iommufd
