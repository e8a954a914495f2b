// SPDX-License-Identifier: Apache-2.0
// Who holds which pages of a memory: an access goes before an area, an area before nobody.
#include "models/iommufd/pages.hpp"

#include <string>
#include <vector>

#include "models/linux/testing.hpp"

namespace smmulab::iommufd {
namespace {

class PagesTest : public lnx::LinuxTest {
 protected:
  // A memory of kPages, and more of it when asked first.
  static constexpr std::uint64_t kPages = 24;
  IoptPages& pages(std::uint64_t count = kPages) {
    if (!pages_) {
      pages_ = new IoptPages(machine(), lock_class("pages->mutex"), count);
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

 private:
  boost::intrusive_ptr<IoptPages> pages_;
};

TEST_F(PagesTest, AccessesGoBeforeAreas) {
  EXPECT_EQ(holders(0, 9), "..........");
  pages().add_area(2, 7);
  EXPECT_EQ(holders(0, 9), "..DDDDDD..");
  EXPECT_TRUE(pages().add_access(4, 8));
  EXPECT_EQ(holders(0, 9), "..DDAAAAA.");
  EXPECT_FALSE(pages().add_access(4, 8));
  EXPECT_TRUE(pages().add_access(0, 0));
  pages().add_area(0, 9);
  EXPECT_EQ(holders(0, 9), "ADDDAAAAAD");
  EXPECT_FALSE(pages().remove_access(4, 8));
  EXPECT_EQ(holders(0, 9), "ADDDAAAAAD");
  EXPECT_TRUE(pages().remove_access(4, 8));
  EXPECT_EQ(holders(0, 9), "ADDDDDDDDD");
  pages().remove_area(0, 9);
  EXPECT_EQ(holders(0, 9), "A.DDDDDD..");
}

// Against a table of how many hold what, page by page, as they come and go.
TEST_F(PagesTest, AnyUses) {
  struct Use {
    bool access;
    std::uint64_t first;
    std::uint64_t last;
  };
  std::uint64_t seed = 1;
  const auto below = [&seed](std::uint64_t n) {
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return (seed >> 33U) % n;
  };
  IoptPages& memory = pages();
  std::vector<Use> uses;
  for (int round = 0; round < 5000; ++round) {
    if (uses.size() < below(8)) {
      const bool whole = below(3) == 0;  // as most are
      const std::uint64_t first = whole ? 0 : below(kPages);
      const Use use{below(2) == 0, first, whole ? kPages - 1 : first + below(kPages - first)};
      use.access ? (void)memory.add_access(use.first, use.last)
                 : memory.add_area(use.first, use.last);
      uses.push_back(use);
    } else if (!uses.empty()) {
      const auto gone = uses.begin() + static_cast<std::ptrdiff_t>(below(uses.size()));
      gone->access ? (void)memory.remove_access(gone->first, gone->last)
                   : memory.remove_area(gone->first, gone->last);
      uses.erase(gone);
    }
    std::string expected(kPages, '.');
    for (const Use& use : uses) {
      for (std::uint64_t i = use.first; i <= use.last; ++i) {
        expected[i] = use.access || expected[i] == 'A' ? 'A' : 'D';
      }
    }
    ASSERT_EQ(holders(0, kPages - 1), expected) << "round " << round;
  }
}

// Within the time a test has: work is in proportion to the pins, not to their square.
TEST_F(PagesTest, ManyPins) {
  constexpr std::uint64_t kPins = 200'000;
  pages(2 * kPins).add_area(0, 2 * kPins - 1);
  for (std::uint64_t i = 0; i < kPins; ++i) {
    pages().add_access(2 * i, 2 * i);
  }
  IoptPages::Counts counts = pages().counts(0, 2 * kPins - 1);
  EXPECT_EQ(counts.access, kPins);
  EXPECT_EQ(counts.domain, kPins);
  pages().remove_area(0, 2 * kPins - 1);
  for (std::uint64_t i = 0; i < kPins; ++i) {
    EXPECT_TRUE(pages().remove_access(2 * i, 2 * i));
  }
  counts = pages().counts(0, 2 * kPins - 1);
  EXPECT_EQ(counts.nobody, 2 * kPins);
}

}  // namespace
}  // namespace smmulab::iommufd
