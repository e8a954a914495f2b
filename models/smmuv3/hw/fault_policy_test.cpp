// SPDX-License-Identifier: Apache-2.0
// Abort, RAZ/WI or stall, and with or without a record: the tables of IHI 0070 3.12.5, 5.5
// and 3.9.1.
#include "models/smmuv3/hw/fault_policy.hpp"

#include <gtest/gtest.h>

namespace smmulab::smmu::hw {
namespace {

constexpr Event kRelated[] = {Event::kTranslation, Event::kAddrSize, Event::kAccess,
                              Event::kPermission};
constexpr RequestKind kOrdinary = RequestKind::kUntranslated;

Fault fault(Event event, bool stage2 = false) {
  Fault f;
  f.event = event;
  f.stage2 = stage2;
  return f;
}

FaultDecision ars(bool abort, bool record, bool stall, bool stage2) {
  StreamConfig c;
  c.s1 = true;
  c.s2 = true;
  c.stall = stall && !stage2;
  c.s1_record = record && !stage2;
  c.s1_abort = abort;
  c.s2_stall = stall && stage2;
  c.s2_record = record && stage2;
  const FaultDecision first = decide(fault(Event::kTranslation, stage2), c, kOrdinary, {});
  for (const Event event : kRelated) {
    EXPECT_EQ(decide(fault(event, stage2), c, kOrdinary, {}), first) << event_name(event);
  }
  // The flags of the other stage do not matter.
  EXPECT_EQ(decide(fault(Event::kAccess, !stage2), c, kOrdinary, {}).record, false);
  return first;
}

TEST(FaultPolicyTest, FlagsOfStage1) {
  using R = Response;
  EXPECT_EQ(ars(false, false, false, false), (FaultDecision{false, R::kRazWi}));
  EXPECT_EQ(ars(false, true, false, false), (FaultDecision{true, R::kRazWi}));
  EXPECT_EQ(ars(true, false, false, false), (FaultDecision{false, R::kAbort}));
  EXPECT_EQ(ars(true, true, false, false), (FaultDecision{true, R::kAbort}));
  for (const bool abort : {false, true}) {  // a stall is recorded whatever R says
    EXPECT_EQ(ars(abort, false, true, false), (FaultDecision{true, R::kStall}));
  }
}

TEST(FaultPolicyTest, FlagsOfStage2) {
  using R = Response;
  for (const bool abort : {false, true}) {  // there is no A: always abort
    EXPECT_EQ(ars(abort, false, false, true), (FaultDecision{false, R::kAbort}));
    EXPECT_EQ(ars(abort, true, false, true), (FaultDecision{true, R::kAbort}));
    EXPECT_EQ(ars(abort, false, true, true), (FaultDecision{true, R::kStall}));
  }
}

TEST(FaultPolicyTest, OtherFaultsAbortAndAreRecordedWhateverTheFlags) {
  StreamConfig silent;
  silent.stall = silent.s2_stall = true;
  silent.s1_abort = false;
  for (const Event event :
       {Event::kSteFetch, Event::kBadSte, Event::kStreamDisabled, Event::kBadSubstreamId,
        Event::kCdFetch, Event::kBadCd, Event::kWalkEabt, Event::kTlbConflict}) {
    EXPECT_EQ(decide(fault(event), silent, kOrdinary, {}), (FaultDecision{true, Response::kAbort}))
        << event_name(event);
  }
  EXPECT_TRUE(decide(fault(Event::kBadStreamId), silent, kOrdinary, {true, false}).record);
  EXPECT_FALSE(decide(fault(Event::kBadStreamId), silent, kOrdinary, {false, false}).record);
}

TEST(FaultPolicyTest, AtsRequestsTellTheDeviceAndNotSoftware) {
  StreamConfig c;
  c.stall = c.s1_record = c.s2_record = true;
  constexpr RequestKind kTreq = RequestKind::kAtsTranslation;
  for (const Event event : kRelated) {
    EXPECT_EQ(decide(fault(event), c, kTreq, {}), (FaultDecision{false, Response::kAbort}));
    EXPECT_EQ(ats_status(event), AtsStatus::kNoAccess);
  }
  EXPECT_TRUE(decide(fault(Event::kBadAtsTreq), c, kTreq, {}).record);
  EXPECT_FALSE(decide(fault(Event::kBadCd), c, kTreq, {}).record);
  EXPECT_TRUE(decide(fault(Event::kBadCd), c, kTreq, {true, true}).record);
  EXPECT_EQ(ats_status(Event::kBadCd), AtsStatus::kCompleterAbort);
  EXPECT_EQ(ats_status(Event::kBadAtsTreq), AtsStatus::kUnsupportedRequest);
  EXPECT_EQ(ats_status(Event::kNone), AtsStatus::kUnsupportedRequest);
}

TEST(FaultPolicyTest, TranslatedTransactionsNeverStall) {
  StreamConfig c;
  c.s2_stall = c.s2_record = true;
  constexpr RequestKind kTranslated = RequestKind::kTranslated;
  EXPECT_EQ(decide(fault(Event::kTranslation, true), c, kTranslated, {}),
            (FaultDecision{true, Response::kAbort}));
  EXPECT_TRUE(decide(fault(Event::kTranslForbidden), c, kTranslated, {}).record);
  EXPECT_FALSE(decide(fault(Event::kBadSte), c, kTranslated, {}).record);
  // RECINVSID does not matter to them.
  EXPECT_TRUE(decide(fault(Event::kBadStreamId), c, kTranslated, {false, true}).record);
}

}  // namespace
}  // namespace smmulab::smmu::hw
