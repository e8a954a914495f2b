# SPDX-License-Identifier: Apache-2.0
# smmulab_add_test(NAME SOURCES... LIBS...): a GoogleTest binary, its cases registered with ctest.
# A case that calls GTEST_SKIP counts as skipped, not as passed.
if(SMMULAB_BUILD_TESTS)
  enable_testing()
  find_package(GTest REQUIRED)
  include(GoogleTest)
endif()

function(smmulab_add_test name)
  if(NOT SMMULAB_BUILD_TESTS)
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_LIBS} smmulab_options GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE SMMULAB_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60
                       PROPERTIES SKIP_REGULAR_EXPRESSION "  SKIPPED  ")
endfunction()
