# What each job needs and how to get it; sourced by the scripts of ci/.
#
#   install_for GROUP...   installs what is missing of the groups, and nothing else
#   first_of NAME...       prints the first of the commands that exists
#
# On Debian or Ubuntu, as root or with sudo, what is missing is installed by apt-get, whose lists
# are updated only when an install fails without it. Elsewhere the packages are named and the script
# goes on if their tools are there under any version, else exits 2.

# One line a package: group, Debian package, probe. A probe is cmd:NAME, file:PATH or py:MODULE of
# /usr/bin/python3. cmd:NAME-19 is met outside Debian by NAME of any version.
PACKAGES='
build    gcc                   cmd:gcc
build    libc6-dev             file:/usr/include/stdio.h
build    cmake                 cmd:cmake
build    ninja-build           cmd:ninja
build    pkg-config            cmd:pkg-config
build    libzstd-dev           file:/usr/include/zstd.h
build    libjansson-dev        file:/usr/include/jansson.h
test     libcmocka-dev         file:/usr/include/cmocka.h
test     make                  cmd:make
test     git                   cmd:git
test     valgrind              cmd:valgrind
test     python3               cmd:python3
test     python3-pytest        py:pytest
test     python3-hypothesis    py:hypothesis
test     zstd                  cmd:zstd
clang    clang-19              cmd:clang-19
clang    llvm-19               cmd:llvm-nm-19
clang    libclang-rt-19-dev    file:/usr/lib/llvm-19/lib/clang/19/include/fuzzer
format   clang-format-19       cmd:clang-format-19
docs     doxygen               cmd:doxygen
python   swig                  cmd:swig
python   python3-dev           cmd:python3-config
python   python3-numpy         py:numpy
python   python3-pandas        py:pandas
python   python3-mypy          py:mypy
judges   libunicorn-dev        file:/usr/include/unicorn/unicorn.h
models   spin                  cmd:spin
models   python3-z3            py:z3
images   python3-pefile        py:pefile
wine     gcc-mingw-w64-x86-64  cmd:x86_64-w64-mingw32-gcc
wine     wine64                file:/usr/lib/wine/wine64
kernel   qemu-system-x86       cmd:qemu-system-x86_64
kernel   seabios               file:/usr/share/seabios/bios-256k.bin
kernel   binutils              cmd:objcopy
cxx      g++                   cmd:g++
ports    gcc-i686-linux-gnu    cmd:i686-linux-gnu-gcc
ports    gcc-s390x-linux-gnu   cmd:s390x-linux-gnu-gcc
ports    libc6-dev-i386-cross  file:/usr/i686-linux-gnu/lib/libc.a
ports    libc6-dev-s390x-cross file:/usr/s390x-linux-gnu/lib/libc.a
ports    gcc-aarch64-linux-gnu cmd:aarch64-linux-gnu-gcc
ports    libc6-dev-arm64-cross file:/usr/aarch64-linux-gnu/lib/libc.a
ports    qemu-user             cmd:qemu-s390x
ports    python3               cmd:python3
'

first_of() {
    local name
    for name in "$@"; do
        if command -v "$name"; then return 0; fi
    done
    return 1
}

is_debian() { command -v apt-get >/dev/null && command -v dpkg >/dev/null; }

probe() {
    local what=${1#*:}
    case $1 in
        cmd:*-19) command -v "$what" || { ! is_debian && command -v "${what%-19}"; } ;;
        cmd:*) command -v "$what" ;;
        file:*) [ -e "$what" ] || { ! is_debian && [ "${what##*/}" != stdio.h ]; } ;;
        py:*) /usr/bin/python3 -c "import importlib.util as u, sys
sys.exit(u.find_spec('$what') is None)" ;;
    esac >/dev/null 2>&1
}

missing_of() {
    local group package what
    while read -r group package what; do
        case " $* " in
            *" $group "*) probe "$what" || printf '%s ' "$package" ;;
        esac
    done <<<"$PACKAGES"
}

apt_install() {
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then as_root=(sudo); fi
    if [ "${CI:-}" = true ] && [ ${#as_root[@]} -gt 0 ]; then as_root+=(-n); fi
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get
        -o DPkg::Lock::Timeout=300 -q -y)
    local install=("${apt[@]}" install --no-install-recommends "$@")
    "${install[@]}" </dev/null && return 0
    echo "apt-get update, then once more"
    "${apt[@]}" update </dev/null && "${install[@]}" </dev/null
}

install_for() {
    local missing began=$SECONDS log
    missing=$(missing_of "$@")
    if [ -z "$missing" ]; then return 0; fi
    if is_debian && { [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null; }; then
        echo "installing: $missing"
        log=$(mktemp)
        # shellcheck disable=SC2086
        if ! apt_install $missing >"$log" 2>&1; then
            tail -n 30 "$log"
            rm -f "$log"
            echo "cannot install; as root: apt-get install $missing" >&2
            exit 2
        fi
        rm -f "$log"
        echo "installed in $((SECONDS - began)) s"
        return 0
    fi
    echo "This needs what Debian 12 calls: $missing" >&2
    echo "Install it with your system's package manager and run this again." >&2
    exit 2
}
