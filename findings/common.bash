# What every finding needs: a temporary folder, pinned public packages in it, and a comparison with what was seen.
# Sourced, never run.
set -euo pipefail
export LC_ALL=C PIP_DISABLE_PIP_VERSION_CHECK=1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# pip_install PACKAGE==VERSION...: an environment of its own with exactly these on top of a bare Python.
pip_install() {
    python3 -m venv "$work/venv"
    "$work/venv/bin/pip" -q install "$@"
    python="$work/venv/bin/python"
}

# expect WHAT: standard input is what was seen when the finding was written; $output is what is seen now.
expect() {
    local seen
    seen=$(cat)
    printf '%s\n' "$output"
    if [ "$output" != "$seen" ]; then
        printf '\nCHANGED: %s\nseen before:\n%s\n' "$1" "$seen" >&2
        exit 1
    fi
    printf '\nholds: %s\n' "$1"
}
