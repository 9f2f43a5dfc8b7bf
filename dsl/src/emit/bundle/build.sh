# Above: what this design is. Below: the same for every design.
#
# usage: build.sh [--check] [--no-cache]
#   --check     only look whether all tools are there
#   --no-cache  build anew, and leave the cache as it is
#
# Compiles the kernels with Peano, links and packs with aiecc, checks the linked cores against their limits and
# the instruction stream against insts.bin, then moves final.xclbin and built.json into place. A build that
# fails leaves both as they were.
#
# PEANO_INSTALL_DIR      folder of Peano (llvm-aie)
# MLIR_AIE_INSTALL_DIR   folder of mlir-aie [default: where aiecc is]
# NPU_CACHE_HOME         folder of finished builds [default: ~/.npu/cache]
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"

fail() { # message, help
    printf 'error: %s\n  help: %s\n' "$1" "$2" >&2
    exit 1
}

only_check=no
use_cache=yes
for arg in "$@"; do
    case $arg in
    --check) only_check=yes ;;
    --no-cache) use_cache=no ;;
    *) fail "build.sh does not know \"$arg\"" "usage: build.sh [--check] [--no-cache]" ;;
    esac
done

# --- tools: all that is missing at once ---

missing=()
need() { missing+=("$1"$'\n'"    help: $2"); }

peano=${PEANO_INSTALL_DIR:-}
[ ! -d "$peano" ] || peano=$(realpath "$peano")
if [ -z "$peano" ]; then
    need "PEANO_INSTALL_DIR is not set" \
        "pip install llvm-aie (index of Xilinx/llvm-aie's releases), then set it to the folder llvm-aie of site-packages"
else
    for tool in clang++ llvm-readelf; do
        [ -x "$peano/bin/$tool" ] || need "$peano/bin/$tool is not there, expected Peano's" \
            "set PEANO_INSTALL_DIR to the folder that holds Peano's bin"
    done
fi
aiecc=$(command -v aiecc || true)
[ -n "$aiecc" ] || [ ! -x "${MLIR_AIE_INSTALL_DIR:-}/bin/aiecc" ] || aiecc=$MLIR_AIE_INSTALL_DIR/bin/aiecc
mlir_aie=${MLIR_AIE_INSTALL_DIR:-}
aiecc_version=
if [ -z "$aiecc" ]; then
    need "aiecc is neither on PATH nor in MLIR_AIE_INSTALL_DIR/bin" \
        "pip install mlir_aie (index of Xilinx/mlir-aie's releases, ${releases[0]} to ${releases[1]})"
else
    aiecc=$(realpath "$aiecc")
    [ -n "$mlir_aie" ] || mlir_aie=$(dirname "$(dirname "$aiecc")")
    [ -f "$mlir_aie/include/aie_api/aie.hpp" ] || need "$mlir_aie/include/aie_api/aie.hpp is not there" \
        "set MLIR_AIE_INSTALL_DIR to the folder of mlir-aie that holds include/aie_api"
    if ! aiecc_version=$("$aiecc" --version 2>&1); then
        need "\`aiecc --version\` fails: $(head -n 1 <<<"$aiecc_version")" "install mlir-aie again"
    fi
fi
command -v xclbinutil >/dev/null || [ -n "${AIE_XCLBINUTIL:-}" ] || [ -x "${XILINX_XRT:-/opt/xilinx/xrt}/bin/xclbinutil" ] ||
    need "xclbinutil, with which aiecc packs final.xclbin, is not on PATH" \
        "install XRT's tools (source /opt/xilinx/xrt/setup.sh), or set AIE_XCLBINUTIL"
command -v sha256sum >/dev/null || need "sha256sum is not on PATH" "install coreutils"

if [ ${#missing[@]} -gt 0 ]; then
    printf 'error: %s cannot be built here:\n' "$design" >&2
    printf '  - %s\n' "${missing[@]}" >&2
    exit 1
fi

# --- versions: an older aiecc drops attributes it does not know without a word ---

older() { [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }
span="mlir-aie main of ${days[0]} to ${days[1]} (releases ${releases[0]} to ${releases[1]})"
judge() { # version, first, last
    if older "$1" "$2"; then
        fail "this aiecc is $1, the design was emitted for $span" "install a release of that span"
    elif older "$3" "$1"; then
        printf 'note: this aiecc is %s; the design was emitted for %s\n' "$1" "$span" >&2
    fi
}
release=$(grep -v LLVM <<<"$aiecc_version" | grep -oE '[0-9]+\.[0-9]+\.[0-9]+' | head -n 1 || true)
compiled=$(sed -n 's/^ *compiled: *\([A-Z][a-z]* *[0-9]* [0-9]*\).*/\1/p' <<<"$aiecc_version" | head -n 1)
compiled=${compiled:+$(date -d "$compiled" +%F 2>/dev/null || true)}
if [ -n "$release" ]; then
    judge "$release" "${releases[0]}" "${releases[1]}"
elif [ -n "$compiled" ]; then
    judge "$compiled" "${days[0]}" "${days[1]}"
else
    printf 'note: `aiecc --version` tells neither release nor date; the design was emitted for %s\n' "$span" >&2
fi
peano_version=$("$peano/bin/clang++" --version | head -n 1)
[ $only_check = no ] || exit 0

# --- files as emitted, and the cache ---

printf '%s\n' "${files[@]}" | sha256sum --check --quiet --strict >&2 ||
    fail "a file is not as Kiln emitted it, so the binary would not be what manifest.json says" \
        "emit $design again"

key=$({
    printf '%s\n' "$content" "$aiecc_version" "$peano_version"
    sha256sum <"$aiecc"
} | sha256sum | cut -d' ' -f1)
cache=${NPU_CACHE_HOME:-${HOME:-/nonexistent}/.npu/cache}/kiln/$key
stage=$(mktemp -d ./.build-XXXXXX)
trap 'rm -rf "$stage"' EXIT

install_results() { # folder that holds them
    mv -f "$1/final.xclbin" final.xclbin
    mv -f "$1/built.json" built.json
}
if [ $use_cache = yes ] && [ -f "$cache/built.json" ] && cp "$cache/final.xclbin" "$cache/built.json" "$stage" 2>/dev/null &&
    grep -q "\"xclbin_sha256\": \"$(sha256sum <"$stage/final.xclbin" | cut -d' ' -f1)\"" "$stage/built.json"; then
    install_results "$stage"
    printf '%s: final.xclbin from the cache, %s\n' "$design" "$cache"
    exit 0
fi

# --- compile and link ---

cp aie.mlir "$stage"
for kernel in "${kernels[@]}"; do
    "$peano/bin/clang++" "${kernel_flags[@]}" -I "$mlir_aie/include" -I kernels \
        -c "kernels/$kernel.cc" -o "$stage/$kernel.o" ||
        fail "kernel $kernel does not compile" "see Peano's message above; the source is kernels/$kernel.cc"
done
# mlir-aie changed the names of the outputs in July 2026.
if "$aiecc" --help 2>&1 | grep -q -e '--aie-generate-xclbin'; then
    outputs=(--aie-generate-xclbin --aie-generate-npu-insts --no-compile-host --no-xchesscc --no-xbridge)
else
    outputs=(--get-xclbin --get-npu-insts --get-core-elfs)
fi
(cd "$stage" && "$aiecc" "${outputs[@]}" "${aiecc_flags[@]}" --peano="$peano" --tmpdir=aie.prj \
    --xclbin-name=final.xclbin --npu-insts-name=insts.bin aie.mlir) ||
    fail "aiecc refuses $design" "see its message above; \`kiln fit $design\` shows what each tile holds"
[ -s "$stage/final.xclbin" ] || fail "aiecc left no final.xclbin" "run it by hand in a copy of this folder"

# --- the linked cores against their limits ---

# Bytes of the executable sections.
program_size() {
    local total=0 size flags
    while read -r size flags; do
        case $flags in *X*) total=$((total + 16#$size)) ;; esac
    done < <("$peano/bin/llvm-readelf" -S --wide "$1" |
        sed -n 's/^ *\[ *[0-9]*\] *[^ ]* *[^ ]* *[0-9a-f]* *[0-9a-f]* *\([0-9a-f]*\) *[0-9a-f]* *\([A-Za-z]*\) .*/\1 \2/p')
    echo "$total"
}

# Most bytes of stack that a call chain can take: no function calls itself and no kernel another kernel, so
# the frames of the functions that are no kernels, and the largest kernel's. The runtime's entry function has
# 64 bytes where Peano's startup code does not state its frame. Then the kernels that state none.
stack_size() { # elf, kernels
    "$peano/bin/llvm-readelf" --stack-sizes "$1" | awk -v kernels="$2" '
        BEGIN { n = split(kernels, list, " "); for (i = 1; i <= n; i++) unknown[list[i]] = 1 }
        $1 ~ /^[0-9]+$/ && NF >= 2 {
            kernel = 0
            for (i = 2; i <= NF; i++) {
                name = $i; gsub(/[(),].*$/, "", name)
                if (name == "_main_init") entry = 1
                for (j = 1; j <= n; j++) if (name == list[j]) { kernel = 1; delete unknown[name] }
            }
            if (!kernel) sum += $1
            else if ($1 > largest) largest = $1
        }
        END {
            printf "%d", sum + largest + (entry ? 0 : 64)
            for (i = 1; i <= n; i++) if (list[i] in unknown) printf " %s", list[i]
            print ""
        }'
}

problems=()
measured=()
for core in "${cores[@]}"; do
    read -r column row stack_limit called <<<"$core"
    elf=$(find "$stage" -name "*core_${column}_${row}.elf" | sort | head -n 1)
    if [ -z "$elf" ]; then
        problems+=("core ($column,$row): aiecc left no ELF of it, so its limits cannot be checked")
        continue
    fi
    program=$(program_size "$elf")
    read -r stack unknown <<<"$(stack_size "$elf" "$called")"
    [ -z "$unknown" ] ||
        problems+=("core ($column,$row): the ELF does not state the stack of $unknown; expected a section .stack_sizes")
    [ "$program" -gt 0 ] || problems+=("core ($column,$row): the ELF has no code")
    [ "$program" -le "$program_bytes" ] ||
        problems+=("core ($column,$row): a program of $program B, its memory has $program_bytes B")
    [ "$stack" -le "$stack_limit" ] ||
        problems+=("core ($column,$row): up to $stack B of stack, it has $stack_limit B, and buffers lie behind")
    measured+=("    {\"column\": $column, \"row\": $row, \"stack_bytes\": $stack, \"program_bytes\": $program}")
done
if [ ${#problems[@]} -gt 0 ]; then
    printf 'error: %s does not keep the limits of manifest.json:\n' "$design" >&2
    printf '  - %s\n' "${problems[@]}" >&2
    printf '  help: give the core a larger stack (`stack_bytes`), or it fewer or smaller kernels\n' >&2
    exit 1
fi
cmp -s "$stage/insts.bin" insts.bin ||
    fail "aiecc's instruction stream is not insts.bin, so this aiecc lowers the sequence in another way" \
        "run \`kiln insts --decode\` on insts.bin and on the one of $aiecc to see where"

# --- results, all or nothing ---

plain() { tr -d '"\\' <<<"$1" | tr '\n\t' '  ' | sed 's/ *$//'; }
{
    printf '{\n  "format": 1,\n  "content": "%s",\n' "$content"
    printf '  "aiecc": "%s",\n  "peano": "%s",\n' "$(plain "$aiecc_version")" "$(plain "$peano_version")"
    printf '  "xclbin_sha256": "%s",\n' "$(sha256sum <"$stage/final.xclbin" | cut -d' ' -f1)"
    printf '  "cores": [\n'
    for i in "${!measured[@]}"; do
        printf '%s%s\n' "${measured[$i]}" "$([ $((i + 1)) -lt ${#measured[@]} ] && echo ,)"
    done
    printf '  ]\n}\n'
} >"$stage/built.json"
if [ $use_cache = yes ] && mkdir -p "$(dirname "$cache")" 2>/dev/null; then
    if fresh=$(mktemp -d "$cache.XXXXXX") && cp "$stage/final.xclbin" "$stage/built.json" "$fresh"; then
        # Another build of the same may have been first.
        mv -T "$fresh" "$cache" 2>/dev/null || rm -rf "$fresh"
    fi
fi
install_results "$stage"
printf '%s: final.xclbin\n' "$design"
