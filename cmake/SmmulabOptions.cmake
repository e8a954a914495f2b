# SPDX-License-Identifier: Apache-2.0
# One interface target holds language level, warnings and sanitizers; every target links it.
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_CXX_EXTENSIONS OFF)

get_property(_multi_config GLOBAL PROPERTY GENERATOR_IS_MULTI_CONFIG)
if(NOT CMAKE_BUILD_TYPE AND NOT _multi_config)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

# ccache where it is installed, unless the caller chose a launcher. Paths are hashed relative to the
# project, so that a second checkout profits from the first.
find_program(SMMULAB_CCACHE ccache)
mark_as_advanced(SMMULAB_CCACHE)
if(SMMULAB_CCACHE AND NOT DEFINED CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_BASEDIR=${PROJECT_SOURCE_DIR}
                                  CCACHE_NOHASHDIR=1 ${SMMULAB_CCACHE})
endif()

add_library(smmulab_options INTERFACE)
target_compile_features(smmulab_options INTERFACE cxx_std_20)
target_include_directories(smmulab_options INTERFACE ${PROJECT_SOURCE_DIR})
target_compile_options(smmulab_options INTERFACE -Wall -Wextra -Wconversion -Wshadow
                                                 -Wnon-virtual-dtor)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees overlapping copies in std::string's operator+ at -O2 (GCC bug 105651).
  target_compile_options(smmulab_options INTERFACE -Wno-restrict)
endif()
if(SMMULAB_WERROR)
  target_compile_options(smmulab_options INTERFACE -Werror)
endif()
if(SMMULAB_SANITIZE)
  list(JOIN SMMULAB_SANITIZE "," _sanitizers)
  target_compile_options(smmulab_options INTERFACE -fsanitize=${_sanitizers}
                                                   -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(smmulab_options INTERFACE -fsanitize=${_sanitizers})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # GCC's manual: sanitizers make this warning report false positives.
    target_compile_options(smmulab_options INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()

# SimGrid has no CMake package: pkg-config finds it.
set(SMMULAB_HAVE_SIMGRID FALSE)
set(SMMULAB_SIMGRID_VERSION "")
if(NOT SMMULAB_SIMGRID STREQUAL "OFF")
  find_package(PkgConfig)
  if(PkgConfig_FOUND)
    pkg_check_modules(simgrid IMPORTED_TARGET simgrid)
  endif()
  if(TARGET PkgConfig::simgrid)
    set(SMMULAB_HAVE_SIMGRID TRUE)
    set(SMMULAB_SIMGRID_VERSION ${simgrid_VERSION})
  elseif(SMMULAB_SIMGRID STREQUAL "ON")
    message(FATAL_ERROR "SMMULAB_SIMGRID=ON, but pkg-config does not find simgrid")
  endif()
endif()
if(SMMULAB_HAVE_SIMGRID)
  message(STATUS "SimGrid engine: ${SMMULAB_SIMGRID_VERSION}")
else()
  message(STATUS "SimGrid engine: not built in")
endif()

include(${CMAKE_CURRENT_LIST_DIR}/SmmulabBuildInfo.cmake)
