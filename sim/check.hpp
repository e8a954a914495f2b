// SPDX-License-Identifier: Apache-2.0
// Invariant checks. SMMULAB_CHECK stays in release builds and throws ModelError; SMMULAB_ASSERT is
// for hot paths and is gone in release builds. Neither may have side effects.
#pragma once

#include <string>

#include "sim/error.hpp"

#define SMMULAB_CHECK(condition, message)                \
  do {                                                   \
    if (!(condition)) [[unlikely]] {                     \
      throw ::smmulab::ModelError(std::string(message)); \
    }                                                    \
  } while (false)

#ifdef NDEBUG
#define SMMULAB_ASSERT(condition, message) \
  do {                                     \
  } while (false)
#else
#define SMMULAB_ASSERT(condition, message) SMMULAB_CHECK(condition, message)
#endif
