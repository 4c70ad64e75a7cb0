# Install rules: both libraries, the public headers, find_package(ntmm CONFIG) and pkg-config.
include(CMakePackageConfigHelpers)

set(NTMM_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/ntmm")

install(TARGETS ntmm ntmm_static EXPORT ntmm-targets FILE_SET HEADERS)
install(EXPORT ntmm-targets NAMESPACE ntmm:: DESTINATION "${NTMM_PACKAGE_DIR}")

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/ntmm-config.cmake.in" ntmm-config.cmake
  INSTALL_DESTINATION "${NTMM_PACKAGE_DIR}")
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/ntmm-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/ntmm-config.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/ntmm-config-version.cmake" DESTINATION "${NTMM_PACKAGE_DIR}")

# The prefix is found from where the .pc file lies, so that cmake --install --prefix needs no
# rewrite.
file(RELATIVE_PATH NTMM_PC_TO_PREFIX
  "/prefix/${CMAKE_INSTALL_LIBDIR}/pkgconfig" "/prefix")
string(REGEX REPLACE "/$" "" NTMM_PC_TO_PREFIX "${NTMM_PC_TO_PREFIX}")
set(NTMM_PC_THREADS "")
if(NTMM_PLATFORM_EMULATED)
  set(NTMM_PC_THREADS "-pthread")
endif()
configure_file("${CMAKE_CURRENT_LIST_DIR}/ntmm.pc.in" ntmm.pc @ONLY)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/ntmm.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

if(TARGET ntmm_command)
  install(TARGETS ntmm_command)
endif()
install(FILES "${CMAKE_CURRENT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}")
