// SPDX-License-Identifier: Apache-2.0
// Who holds which pages of a memory: an access goes before an area, an area before nobody.
#include "models/iommufd/pages.hpp"

#include <string>

#include "models/iommufd/objects.hpp"
#include "models/linux/testing.hpp"

namespace smmulab::iommufd {
namespace {

class PagesTest : public lnx::LinuxTest {
 protected:
  IoptPages& pages() {
    if (!pages_) {
      pages_ = std::make_unique<IoptPages>(machine(), lock_class("pages->mutex"));
    }
    return *pages_;
  }
  // The holder of each page from `first` to `last`, asked span by span: "..AADD".
  std::string holders(std::uint64_t first, std::uint64_t last) {
    std::string text;
    while (first <= last) {
      const IoptPages::Span s = pages().span(first, last);
      EXPECT_LE(s.last, last);
      text.append(s.last - first + 1, ".AD"[static_cast<std::size_t>(s.holder)]);
      first = s.last + 1;
    }
    const IoptPages::Counts c = pages().counts(0, text.size() - 1);
    EXPECT_EQ(c.nobody + c.access + c.domain, text.size());
    return text;
  }
  Area area_{0, nullptr, 0};
  Area other_{0, nullptr, 0};

 private:
  std::unique_ptr<IoptPages> pages_;
};

TEST_F(PagesTest, AccessesGoBeforeAreas) {
  EXPECT_EQ(holders(0, 9), "..........");
  pages().add_area(area_, 2, 7);
  EXPECT_EQ(holders(0, 9), "..DDDDDD..");
  EXPECT_TRUE(pages().add_access(4, 8));
  EXPECT_EQ(holders(0, 9), "..DDAAAAA.");
  EXPECT_FALSE(pages().add_access(4, 8));
  EXPECT_TRUE(pages().add_access(0, 0));
  pages().add_area(other_, 0, 9);
  EXPECT_EQ(holders(0, 9), "ADDDAAAAAD");
  EXPECT_FALSE(pages().remove_access(4, 8));
  EXPECT_EQ(holders(0, 9), "ADDDAAAAAD");
  EXPECT_TRUE(pages().remove_access(4, 8));
  EXPECT_EQ(holders(0, 9), "ADDDDDDDDD");
  pages().remove_area(other_);
  EXPECT_EQ(holders(0, 9), "A.DDDDDD..");
}

// Against a table of who holds what, page by page.
TEST_F(PagesTest, AnyUses) {
  std::uint64_t seed = 1;
  const auto below = [&seed](std::uint64_t n) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (seed >> 33U) % n;
  };
  for (int round = 0; round < 2000; ++round) {
    IoptPages memory(machine(), lock_class("pages->mutex"));
    std::string expected(24, '.');
    for (std::uint64_t n = below(6); n != 0; --n) {
      const std::uint64_t first = below(24);
      const std::uint64_t last = first + below(24 - first);
      const bool access = below(2) == 0;
      if (access) {
        memory.add_access(first, last);
      } else {
        memory.add_area(area_, first, last);
      }
      for (std::uint64_t i = first; i <= last; ++i) {
        expected[i] = access || expected[i] == 'A' ? 'A' : 'D';
      }
    }
    std::string got;
    while (got.size() < 24) {
      const IoptPages::Span s = memory.span(got.size(), 23);
      got.append(s.last + 1 - got.size(), ".AD"[static_cast<std::size_t>(s.holder)]);
    }
    ASSERT_EQ(got, expected) << "round " << round;
  }
}

}  // namespace
}  // namespace smmulab::iommufd
