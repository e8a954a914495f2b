# SPDX-License-Identifier: Apache-2.0
# smmulab_build_info: the generated header "build_info.hpp" with version, compiler and SimGrid.
configure_file(${CMAKE_CURRENT_LIST_DIR}/build_info.hpp.in
               ${PROJECT_BINARY_DIR}/generated/build_info.hpp @ONLY)
add_library(smmulab_build_info INTERFACE)
target_include_directories(smmulab_build_info INTERFACE ${PROJECT_BINARY_DIR}/generated)
