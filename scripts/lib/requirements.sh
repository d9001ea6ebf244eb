# What the quickstart needs of the machine, checked before anything is built.
# Sourced after say.sh.

# Prints the Debian packages that are missing.
missing_packages() {
    command -v cc >/dev/null || echo build-essential
    command -v python3 >/dev/null || echo python3
    python3 -m pip --version >/dev/null 2>&1 || echo python3-pip
}

require_packages() {
    local packages line
    packages=$(missing_packages | paste -sd ' ')
    [ -n "$packages" ] || return 0
    line="apt-get install -y --no-install-recommends $packages"
    if ! command -v apt-get >/dev/null; then
        die "These are missing: $packages (as Debian names them)." "Install them, then run this again."
    elif [ "$(id -u)" = 0 ]; then
        detail "installing: $line"
        apt-get update -qq && DEBIAN_FRONTEND=noninteractive $line -qq >/dev/null || die "That failed: $line"
    elif command -v sudo >/dev/null && [ -t 0 ]; then
        detail "needs sudo, once: sudo $line"
        sudo apt-get update -qq && sudo $line || die "That failed: sudo $line"
    else
        die "System packages are missing. As root, run:" "$line"
    fi
}

require_rust() {
    command -v cargo >/dev/null || die "Rust is missing: cargo is not on PATH." \
        "Install it with rustup (https://rustup.rs); rust-toolchain.toml says which version, and rustup fetches it."
}

# Sets `tf` to the core to use: $TF, the one that made the state here, terraform, tofu.
choose_core() {
    local made_by=$1 found
    tf=${TF:-$(cat "$made_by" 2>/dev/null || true)}
    [ -n "$tf" ] || tf=$(command -v terraform || command -v tofu || tests/tools/path opentofu 2>/dev/null || true)
    [ -n "$tf" ] || die "Neither terraform nor tofu is on PATH." \
        "Install one of them (1.11 or newer); or, with Go, build OpenTofu in six minutes:" \
        "tests/tools/install opentofu"
    tf=$(command -v "$tf") || die "TF=$TF is not a program."
    # The configuration file is written later; OpenTofu says on standard output that it is not there.
    found=$(env -u TF_CLI_CONFIG_FILE "$tf" version -json 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["terraform_version"])') ||
        die "$tf does not answer 'version -json'."
    python3 - "$found" <<'PY' || die "$tf is $found; 1.11 or newer is needed."
import re, sys
sys.exit(tuple(map(int, re.match(r"(\d+)\.(\d+)", sys.argv[1]).groups())) < (1, 11))
PY
    tf_name="$(basename "$tf") $found"
}
